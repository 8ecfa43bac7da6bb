"""Who drafts, wherever the model runs: what the second room needs of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from stages import llm
from stages.answer import Answer, Attempt, Shown
from stages.asking import Asked
from stages.joy import Wish
from stages.policy import Policy
from stages.reel import Sampling


class Drafter(Protocol):
    """A model that the first batch loads, or one behind a server."""

    always: tuple[str, ...]  # settings that a draft depends on,
    telling: tuple[str, ...]  # and those that do so where they are not the default
    workers: int  # batches at once
    server: llm.Options | None  # the one that is asked, and what it costs

    @property
    def notice(self) -> str:
        """What to tell the user about the model, if it is not the one they named."""
        ...

    @property
    def in_words(self) -> bool:
        """It follows instructions, rather than tasks; known once prepared."""
        ...

    @property
    def model(self) -> object:
        """For fingerprints: known without asking anyone."""
        ...

    @property
    def origin(self) -> str:
        """The model that really drafts; known once prepared."""
        ...

    def batch_size(self, wished: int) -> int:
        """Pictures in a batch, 0 if no number is wished; known once prepared."""
        ...

    def wording(self, policy: Policy, wish: Wish) -> object | None:
        """What the default prompt is made of, told without asking anyone; None if nothing can be
        told."""
        ...

    def prompt(self, policy: Policy, wish: Wish) -> str:
        """What is asked by default. Raises Fatal for what the model cannot be asked."""
        ...

    def prepare(self) -> Mapping[str, Any]:
        """Raises Fatal if the model cannot be had; what that cost. Loads no weights."""
        ...

    def load(self) -> object:
        """What takes long before the first batch. Raises Fatal if the model cannot be loaded."""
        ...

    def open(self, media: Path, background: str, sampling: Sampling) -> list[Shown]:
        """What is shown of a file: in one question, or a video's frames in one each. Raises
        Unusable for a file that cannot be read, Unavailable for one that cannot be now, Fatal if
        the model cannot be loaded."""
        ...

    def request(self, shown: Shown, asked: Asked) -> Any:
        """What is shown and what is asked about it."""
        ...

    def again(self, request: Any, asked: Asked) -> Any:
        """The same picture, and what is asked about it now."""
        ...

    def check(self, request: Any) -> None:
        """Raises Fatal if no picture would do with the prompt of this one."""
        ...

    def __call__(self, requests: Sequence[Any], attempt: Attempt) -> list[Answer]:
        """One answer each, in order. Raises MemoryError for too large a batch."""
        ...

    def let_go(self, requests: Sequence[Any]) -> None:
        """No more is asked about what they show, whatever became of them."""

    def close(self) -> None:
        """Lets go of models and connections."""
        ...
