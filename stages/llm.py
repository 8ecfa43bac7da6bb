"""What a language model is to the merge, wherever it runs: `chat_server` or `chat_model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Conversation = Sequence[Mapping[str, str]]  # [{"role": …, "content": …}, …]


@dataclass(frozen=True, slots=True)
class Options:
    """The language model that merges."""

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
    concurrency: int = field(
        default=0,
        metadata={
            "help": "requests at once (0: 4 to a local server, 8 to a hosted one)",
            "metavar": "N",
            "least": 0,
        },
    )
    temperature: float = field(
        default=0.0,
        metadata={"help": "0 gives the likeliest caption", "metavar": "T", "least": 0, "most": 2},
    )
    max_tokens: int = field(
        default=512,
        metadata={"help": "longest merged caption, in tokens", "metavar": "N", "least": 1},
    )
    timeout: float = field(
        default=300.0,
        metadata={"help": "seconds to wait for an answer", "metavar": "S", "least": 0.1},
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a chat model said, and what the server counted."""

    text: str
    finish: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Chat(Protocol):
    """A chat model, wherever it runs."""

    name: str  # for fingerprints: as the user chose it, known without asking anyone
    origin: str  # the model that really answers, known once prepared
    batch_size: int
    workers: int

    def prepare(self) -> None: ...
    def __call__(self, conversations: Sequence[Conversation]) -> list[Reply]: ...
    def close(self) -> None: ...
