"""The stages of a run, built from its settings and those of its concepts. Nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import cast

from enhance.cache import Cache
from enhance.concepts import Concept, Concepts
from enhance.config import Config
from enhance.disk import Writer
from enhance.journal import Journal
from enhance.ranks import Ranks
from enhance.rooms import OneChat, room
from stages import generate, llm, policy
from stages.chat.model import ChatModel
from stages.chat.server import Server
from stages.clean import Clean
from stages.dataset import Layout
from stages.drafter import Drafter
from stages.generate import Generate
from stages.llm import Chat
from stages.load import read
from stages.merge import Merge
from stages.policy import policy_of
from stages.sample import Fatal, Stage
from stages.text.encoding import decode


def build(
    config: Config,
    ranks: Ranks,
    layout: Layout,
    concepts: Concepts,
    journal: Journal,
    writer: Writer | None = None,
) -> tuple[Cache, list[Stage]]:
    """The cache and the stages that this run needs, in their order. Loads and asks nothing."""
    writer = writer or Writer(ranks.launch, ranks.rank)
    clean = cleaner(concepts)
    store = Cache(layout, journal, writer, clean, config.cache.overwrite)
    until = config.run.until

    drafters: dict[tuple[object, ...], Drafter] = {}

    @cache
    def drafting(options: generate.Options, rules: policy.Options) -> Generate | None:
        if not options.generate:
            return None
        drafter = drafters.setdefault(options.of_model, Drafter(options, ranks.device))
        template, asked = _prompt(options.prompt), policy_of(rules)
        return Generate(options, asked, rules.anchor, template, drafter, store.content, ranks.cores)

    @cache
    def merging(options: llm.Options, rules: policy.Options, generating: generate.Options) -> Merge:
        text = _text("--system_prompt", rules.system_prompt)
        asked = policy_of(rules).with_rules(_text("--rules", rules.rules))
        if text:
            text = "\n- ".join((text, *asked.rules))
        return Merge(chat(options, generating.dtype), options, asked, rules, text)

    @cache
    def chat(options: llm.Options, dtype: str) -> Chat:
        made = _chat(config, options, dtype, ranks, concepts)
        return cast(Chat, OneChat(made)) if len(concepts.all) > 1 else made

    def merging_of(concept: Concept) -> Stage:
        return merging(concept.merge, concept.policy, concept.generate)

    def drafting_of(concept: Concept) -> Stage | None:
        return drafting(concept.generate, concept.policy)

    stages = [_room("generated", concepts, drafting_of)]
    if until == "generated" and stages == [None]:
        raise Fatal("--no_generate and --until generated leave nothing to do", 2)
    if until != "generated":
        stages.append(_room("combined", concepts, merging_of))
    if until == "final":
        stages.append(clean)
    return store, [stage for stage in stages if stage is not None]


def cleaner(concepts: Concepts) -> Stage:
    """The last room, which needs no model: for a run, and for jobs on captions that exist."""

    @cache
    def cleaning(rules: policy.Options) -> Stage:
        return Clean(rules)

    return cast(Stage, _room("final", concepts, lambda concept: cleaning(concept.policy)))


def serves(config: Config, options: llm.Options) -> bool:
    """True if a server merges. A folder as --model can only be meant for this process."""
    if options.base_url:
        return True
    return bool(config.key) and not Path(options.model or "?").expanduser().is_dir()


def in_turns(config: Config, concepts: list[Concept]) -> bool:
    """True if one stage waits for the other: two models in one process share its memory, so the
    captioner is unloaded before the other loads."""
    if not config.run.overlap:
        return True
    served = all(serves(config, concept.merge) for concept in concepts)
    return not served and config.run.until != "generated"


def _room(
    output: str, concepts: Concepts, stage_of: Callable[[Concept], Stage | None]
) -> Stage | None:
    parts = {concept.name: stage_of(concept) for concept in concepts.all}
    return room(output, parts, lambda media: concepts.of(media).name)


def _chat(
    config: Config, options: llm.Options, dtype: str, ranks: Ranks, concepts: Concepts
) -> Chat:
    """A server if one is configured, else a model in this process."""
    if not serves(config, options):
        return ChatModel(options, dtype, ranks.device)
    # Datasets are handed around: a server that only its caption.toml names must not get the key.
    own = options.base_url.rstrip("/") == config.merge.base_url.rstrip("/")
    # Concepts with models of their own at one server share its ceilings, and all share the money.
    served = {one.merge for one in concepts.all if serves(config, one.merge)}
    beside = [one for one in served if one.base_url == options.base_url or one.max_cost]
    return Server(options, config.key.reveal() if own else "", ranks.world * len(beside))


def _prompt(text: str) -> str:
    """What `--prompt` says, or what stands in the file that it names."""
    try:
        named = bool(text) and Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):  # too long to be a name, most often
        named = False
    return _text("--prompt", text) if named else text


def _text(flag: str, file: str) -> str:
    """What stands in a text file that a setting names; "" if it names none."""
    if not file:
        return ""
    try:
        data = read(Path(file).expanduser())
    except OSError as error:
        raise Fatal(f"{flag} {file}: {error.strerror}", 2) from None
    if data is None:
        raise Fatal(f"{flag} {file}: there is no such file", 2)
    text = decode(data)[0].strip()
    if not text:
        raise Fatal(f"{flag} {file}: the file is empty", 2)
    return text
