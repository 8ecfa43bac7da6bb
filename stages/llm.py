"""What a chat model is to the merge, wherever it runs: `chat/server` or `chat/model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

# [{"role": …, "content": …}, …]; a content is a text, or parts of it and pictures for a captioner.
Conversation = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a model is asked to answer. None and "": as it does by itself, so nothing is sent."""

    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    reasoning_effort: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """The language model that merges."""

    merge: bool = field(
        default=True,
        metadata={
            "help": "the captioner writes the caption itself, by the rules of the LoRA type and "
            "what you wrote; it is cleaned and published"
        },
    )
    base_url: str = field(
        default="",
        metadata={
            "help": "an OpenAI-compatible server, with or without /v1 "
            "(without one, --model runs in this process)",
            "metavar": "URL",
        },
    )
    model: str = field(
        default="",
        metadata={
            "help": "the server's model (default: the only one it lists); "
            "without a server a Hugging Face id or folder"
        },
    )
    merge_temperature: float = field(
        default=0.0,
        metadata={
            "help": "of the merge; 0 gives the likeliest caption",
            "metavar": "T",
            "least": 0,
            "most": 2,
        },
    )
    max_tokens: int = field(
        default=512,
        metadata={"help": "longest merged caption, in tokens", "metavar": "N", "least": 1},
    )
    reasoning_effort: str = field(
        default="",
        metadata={
            "help": "sent to a model that thinks before it answers: none, minimal, low, … "
            "(default: nothing is sent)",
            "metavar": "LEVEL",
        },
    )
    candidates: int = field(
        default=1,
        metadata={
            "help": "ask N times for each caption and keep the one most faithful to its sources",
            "metavar": "N",
            "least": 1,
        },
    )
    repair: bool = field(
        default=True,
        metadata={"help": "do not ask a second time when an answer breaks the rules"},
    )
    concurrency: int = field(
        default=0,
        metadata={
            "help": "at most N requests at once (0: as many as make the server faster, 64 at most)",
            "metavar": "N",
            "least": 0,
        },
    )
    rpm: float = field(
        default=0.0,
        metadata={"help": "at most N requests a minute", "metavar": "N", "least": 0},
    )
    tpm: float = field(
        default=0.0,
        metadata={"help": "at most N tokens a minute", "metavar": "N", "least": 0},
    )
    timeout: float = field(
        default=300.0,
        metadata={"help": "seconds to wait for a whole answer", "metavar": "S", "least": 0.1},
    )
    deadline: float = field(
        default=900.0,
        metadata={
            "help": "seconds that one file may cost the server, with all that is asked again",
            "metavar": "S",
            "least": 0.1,
        },
    )
    server_wait: float = field(
        default=0.0,
        metadata={
            "help": "seconds to wait for a server that does not listen yet",
            "metavar": "S",
            "least": 0,
        },
    )
    price_in: float = field(
        default=0.0,
        metadata={"help": "price of a million tokens sent", "metavar": "PRICE", "least": 0},
    )
    price_out: float = field(
        default=0.0,
        metadata={"help": "price of a million tokens answered", "metavar": "PRICE", "least": 0},
    )
    max_cost: float = field(
        default=0.0,
        metadata={
            "help": "stop before this run costs more, by --price_in and --price_out (0: no limit)",
            "metavar": "PRICE",
            "least": 0,
        },
    )

    @property
    def manner(self) -> Manner:
        """How the merging model is asked."""
        effort = self.reasoning_effort
        return Manner(self.max_tokens, self.merge_temperature, reasoning_effort=effort)

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """In the currency of the prices."""
        return (self.price_in * prompt_tokens + self.price_out * completion_tokens) / 1e6

    def spent(self, reply: Reply) -> Mapping[str, Any]:
        """What a reply adds to the counts of its stage; money has fractions."""
        counts = {name: getattr(reply, name) for name in ("requests", *_COUNTED)}
        cost = self.cost(reply.prompt_tokens, reply.completion_tokens)
        return {**counts, "cost": cost} if cost else counts


_COUNTED = ("prompt_tokens", "completion_tokens", "cached_tokens")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a chat model said, and what was counted until it did."""

    text: str
    finish: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0  # of the prompt's, read from the server's cache
    requests: int = 1  # that were answered, this one too
    thought: bool = False  # it reasoned before it answered, or instead of it

    def after(self, other: Reply) -> Reply:
        """With what an earlier answer cost, which could not be used."""
        return replace(
            self,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            requests=self.requests + other.requests,
        )


class TooLong(RuntimeError):
    """The conversation does not fit into the model's context."""


class Chat(Protocol):
    """A chat model, wherever it runs."""

    name: str  # for fingerprints: as the user chose it, known without asking anyone
    origin: str  # the model that really answers, known once prepared
    batch_size: int
    workers: int

    def prepare(self) -> None: ...

    def load(self) -> None: ...

    def __call__(
        self, conversations: Sequence[Conversation], temperature: float | None = None
    ) -> list[Reply]:
        """One reply each, in order; `temperature`, if given, instead of that of the options.

        Raises TooLong where a conversation exceeds the context, RuntimeError where no answer can
        be had, Fatal where none of any file can.
        """
        ...

    def tokens(self, texts: Sequence[str]) -> list[int] | None:
        """How many tokens the model makes of each text, or None if no tokenizer is at hand."""
        ...

    def close(self) -> None: ...
