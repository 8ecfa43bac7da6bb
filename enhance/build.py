"""The stages of a run, built from its settings and those of its concepts. Nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import cast

from enhance.begun import Begun
from enhance.cache import FOLDER, Cache
from enhance.concepts import Concept, Concepts
from enhance.config import Config
from enhance.disk import Writer
from enhance.journal import Journal
from enhance.ranks import Ranks
from enhance.rooms import OneChat, room
from enhance.servers import Servers
from stages import generate, llm, policy
from stages.asking import Asking, InOneStep
from stages.clean import Clean
from stages.dataset import Layout
from stages.drafting import Drafter
from stages.generate import Generate
from stages.llm import Chat
from stages.load import read
from stages.merge import Merge
from stages.policy import Policy, policy_of
from stages.sample import Fatal, Stage
from stages.text.encoding import decode


def build(
    config: Config,
    ranks: Ranks,
    layout: Layout,
    concepts: Concepts,
    journal: Journal,
    lend: Callable[[generate.Options], Drafter | None] = lambda _: None,
    writer: Writer | None = None,
    begun: Begun | None = None,
) -> tuple[Cache, list[Stage]]:
    """The cache and the stages that this run needs, in their order. Loads and asks nothing. `lend`
    gives a drafter that is there already."""
    writer = writer or Writer(ranks.launch, ranks.rank)
    clean = cleaner(concepts)
    store = Cache(layout, journal, writer, clean, config.cache.overwrite)
    until = config.run.until

    servers = Servers(config, concepts.all, ranks, layout.root / FOLDER, lend, begun)

    @cache
    def drafting(
        options: generate.Options, rules: policy.Options, merge: llm.Options
    ) -> Generate | None:
        if not options.generate:
            return None
        drafter, template = servers.drafter(options, merge), _prompt(options.prompt)
        if merge.merge or template or options.wish:
            asking = Asking(policy_of(rules), rules, template)
            return Generate(options, asking, drafter, store.content, merge.merge)
        asked, _, text = instructed(rules)
        asking = InOneStep(asked, rules, text, merge.repair)
        return Generate(options, asking, drafter, store.content, merged=False)

    @cache
    def instructed(rules: policy.Options) -> tuple[Policy, policy.Options, str]:
        """The policy with the user's own rules, and the instructions that replace its own."""
        text = _text("--system_prompt", rules.system_prompt)
        asked = policy_of(rules).with_rules(_text("--rules", rules.rules))
        return asked, rules, "\n- ".join((text, *asked.rules)) if text else ""

    @cache
    def merging(options: llm.Options, rules: policy.Options, dtype: str) -> Merge | None:
        if not options.merge:
            return None
        return Merge(chat(options, dtype), options, *instructed(rules))

    @cache
    def chat(options: llm.Options, dtype: str) -> Chat:
        made = servers.chat(options, dtype)
        return cast(Chat, OneChat(made)) if len(concepts.all) > 1 else made

    def merging_of(concept: Concept) -> Stage | None:
        return merging(concept.merge, concept.policy, concept.generate.dtype)

    def drafting_of(concept: Concept) -> Stage | None:
        return drafting(concept.generate, concept.policy, concept.merge)

    stages = [_room("generated", concepts, drafting_of)]
    if until == "generated" and stages == [None]:
        raise Fatal("--no_generate and --until generated leave nothing to do", 2)
    for concept in concepts.all:
        if not (concept.merge.merge or concept.generate.generate):
            where = f"{concept.name}: " if concept.files else ""
            raise Fatal(f"{where}--no_generate and --no_merge leave nothing to do", 2)
    if until != "generated":
        stages.append(_room("combined", concepts, merging_of))
    if until == "combined" and stages[-1] is None:
        raise Fatal("--no_merge and --until combined leave nothing to do", 2)
    if until == "final":
        stages.append(clean)
    return store, [stage for stage in stages if stage is not None]


def cleaner(concepts: Concepts) -> Stage:
    """The last room, which needs no model: for a run, and for jobs on captions that exist."""

    @cache
    def cleaning(rules: policy.Options) -> Stage:
        return Clean(rules)

    return cast(Stage, _room("final", concepts, lambda concept: cleaning(concept.policy)))


def _room(
    output: str, concepts: Concepts, stage_of: Callable[[Concept], Stage | None]
) -> Stage | None:
    parts = {concept.name: stage_of(concept) for concept in concepts.all}
    return room(output, parts, lambda media: concepts.of(media).name)


def _prompt(text: str) -> str:
    """What `--prompt` says, or what stands in the file that it names."""
    try:
        named = bool(text) and Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):  # too long to be a name, most often
        named = False
    if not named and _like_a_file(text):
        raise Fatal(f"--prompt {text}: there is no such file", 2)
    return _text("--prompt", text) if named else text.strip()


def _like_a_file(text: str) -> bool:
    """A misspelt name would be asked about a thousand pictures."""
    if not text or any(sign in text for sign in " \n\t{<"):
        return False
    return "/" in text or Path(text).suffix in (".txt", ".md", ".j2", ".jinja", ".jinja2")


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
