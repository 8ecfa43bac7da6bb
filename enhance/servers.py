"""The servers of a run: which stage asks which one, with which key, and what they share.

Whoever asks at one address goes through one gate, and all pay from one purse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from enhance.begun import Begun
from enhance.concepts import Concept
from enhance.config import CAPTIONER_KEY, Config, Secret
from enhance.ranks import Ranks
from enhance.submitted import Submitted
from stages import generate, llm
from stages.batched import Batched
from stages.captioners import HOSTED, Hosted, family_named, openai
from stages.chat.address import OPENAI, is_local, server_address
from stages.chat.gate import Gate
from stages.chat.model import ChatModel
from stages.chat.purse import Purse
from stages.chat.server import Server
from stages.drafting import Drafter
from stages.hosted import Served
from stages.llm import Chat, Manner
from stages.resident import Resident
from stages.sample import Fatal


class Servers:
    """What drafts and merges, wherever it runs. Nothing is loaded, nobody is asked."""

    def __init__(
        self,
        config: Config,
        concepts: Iterable[Concept],
        ranks: Ranks,
        folder: Path,
        lend: Callable[[generate.Options], Drafter | None] = lambda _: None,
        begun: Begun | None = None,
    ) -> None:
        """All processes share the ceilings and the money; what was handed in at servers is noted in
        `folder`, what one was begun with in `begun`. `lend` gives a drafter that is there
        already."""
        self._lend = lend
        self._begun = begun
        self._config = config
        self._ranks = ranks
        self._used = [options for concept in concepts for options in self._asked(concept)]
        most = config.merge.max_cost
        if most and self._used and not any(one.price_in or one.price_out for one in self._used):
            raise Fatal("--max_cost: say what tokens cost, --price_in and --price_out", 2)
        self._purse = Purse(most / ranks.world, most)
        anew = not {"generated", "all"}.isdisjoint(config.cache.overwrite)
        self._submitted = Submitted(folder, ranks.rank, ranks.launch, anew)
        self._drafters: dict[object, Drafter] = {}
        self.gate = cache(self._gate)

    def chat(self, options: llm.Options, dtype: str) -> Chat:
        """What merges: a server if one is configured, else a model in this process."""
        if not serves(self._config, options):
            return ChatModel(options, dtype, self._ranks.device)
        # Datasets are handed around: a server that only its caption.toml names must not get a key.
        own = _address(options) == _address(self._config.merge)
        key = self._config.key.reveal() if own else ""
        return Server(options, key, self.gate(_address(options)), self._purse)

    def drafter(self, options: generate.Options, merge: llm.Options) -> Drafter:
        """What drafts. Concepts whose settings allow it share one."""
        in_batches = self._config.batch.batch_api
        if in_batches and options.hosted != "openai":
            raise Fatal("--batch_api is for --captioner openai", 2)
        if not options.hosted:
            if options.captioner_base_url:
                wrong = f"--captioner {options.captioner} runs in this process"
                hosted = ", ".join(HOSTED)
                raise Fatal(f"{wrong}: --captioner_base_url is for --captioner {hosted}", 2)
            if options.of_model not in self._drafters:
                resident = Resident(options, self._ranks.device, self._ranks.cores)
                self._drafters[options.of_model] = self._lend(options) or resident
            return self._drafters[options.of_model]
        asked = self._drafting(options, merge)
        place = (options.of_server, asked)
        if place not in self._drafters:
            captioner = self._captioner(options, asked)
            if in_batches and isinstance(captioner, openai.Captioner):
                batch, memory, purse = self._config.batch, self._submitted, self._purse
                self._drafters[place] = Batched(options, batch, asked, captioner, memory, purse)
            else:
                self._drafters[place] = Served(options, asked, captioner)
        return self._drafters[place]

    def _captioner(self, options: generate.Options, asked: llm.Options) -> Hosted:
        address = _address(asked)
        name, key = self._key(options.hosted, address)
        make: Any = family_named(options.hosted).Captioner
        more = {"begun": self._begun} if HOSTED[options.hosted].paid_when_begun else {}
        made: Hosted = make(
            asked,
            key.reveal(),
            self.gate(address),
            self._purse,
            manner=Manner(
                options.max_new_tokens,
                options.temperature,
                options.top_p,
                options.top_k,
                asked.reasoning_effort,
            ),
            detail=options.detail,
            key_name=name,
            **more,
        )
        return made

    def _key(self, hosted: str, address: str) -> tuple[str, Secret]:
        """The key for a captioner's server, by its name: only for one that the run itself names."""
        config = self._config
        of_run = config.generate.hosted == hosted and address == _address(
            self._drafting(config.generate, config.merge)
        )
        names = HOSTED[hosted].keys
        named = bool(config.merge.base_url) and address == _address(config.merge)
        if not (of_run or named):
            return names[0], Secret()
        names = (CAPTIONER_KEY, *names) if of_run else names
        given = (name for name in names if config.keys[name])
        name = next(given, HOSTED[hosted].keys[0])
        return name, config.keys[name]

    def _asked(self, concept: Concept) -> Iterable[llm.Options]:
        """The servers that a concept asks, each as its client is told."""
        if concept.generate.generate and concept.generate.hosted:
            yield self._drafting(concept.generate, concept.merge)
        if self._merges(concept) and serves(self._config, concept.merge):
            yield concept.merge

    def _merges(self, concept: Concept) -> bool:
        return self._config.run.until != "generated" and concept.merge.merge

    def _drafting(self, options: generate.Options, merge: llm.Options) -> llm.Options:
        """The captioner's server: what holds for the merging one holds for it too."""
        elsewhere = HOSTED[options.hosted].address or merge.base_url
        asked = replace(merge, base_url=options.captioner_base_url or elsewhere)
        shared = serves(self._config, merge) and _address(asked) == _address(merge)
        price_in, price_out = options.captioner_price_in, options.captioner_price_out
        return replace(
            asked,
            model=options.model_id or (merge.model if shared else ""),
            price_in=merge.price_in if price_in is None else price_in,
            price_out=merge.price_out if price_out is None else price_out,
        )

    def _gate(self, address: str) -> Gate:
        """By the lowest ceilings that anyone who asks there has; 0 is none."""
        there = [one for one in self._used if _address(one) == address]

        def lowest(name: str) -> Any:
            return min((value for one in there if (value := getattr(one, name))), default=0)

        options = llm.Options(
            concurrency=lowest("concurrency"),
            rpm=lowest("rpm"),
            tpm=lowest("tpm"),
            timeout=lowest("timeout"),
        )
        return Gate.of(options, is_local(address), self._ranks.world)


def serves(config: Config, options: llm.Options) -> bool:
    """True if a server merges. A folder as --model can only be meant for this process."""
    if options.base_url:
        return True
    return bool(config.key) and not Path(options.model or "?").expanduser().is_dir()


def in_turns(config: Config, concepts: Iterable[Concept]) -> bool:
    """True if one stage waits for the other: two models in one process share its memory, so the
    captioner is unloaded before the other loads."""
    if not config.run.overlap:
        return True
    if config.run.until == "generated":
        return False
    loads = any(one.generate.generate and not one.generate.hosted for one in concepts)
    return loads and any(one.merge.merge and not serves(config, one.merge) for one in concepts)


def _address(options: llm.Options) -> str:
    return server_address(options.base_url or OPENAI)
