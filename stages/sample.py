"""The record that walks through the rooms, and what a room is.

The cellar of the house: standard library only, imported by everything, importing nothing of ours.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Fatal(Exception):
    """Ends the run at once with one line: a bad key, a missing model, a folder that is none.

    `status` is the exit status of a run started directly: 2 wrong usage, 4 configuration.
    """

    def __init__(self, message: str, status: int = 4) -> None:
        super().__init__(message)
        self.status = status


class Unusable(Exception):
    """This input cannot be used and would fail again unchanged: the failure may be remembered."""


class Unavailable(RuntimeError):
    """This input cannot be had now, and perhaps later: no permission, a dangling link, a sick disk.
    The failure is not remembered."""


class NotYet(RuntimeError):
    """The answer is not there yet, as was wished, and another run has it. Nothing went wrong."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a person or the next stage should know about one caption.

    A blocking problem keeps the caption from being published.
    """

    label: str
    blocking: bool
    where: str = ""  # the offending words, as they stand in the caption
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a sample got no caption from a stage. It drifts on, untouched by later stages."""

    stage: str
    message: str
    lasting: bool = False  # True: the same input would fail again, so a rerun does not try
    later: bool = False  # True: nothing went wrong, the caption comes in another run


@dataclass(frozen=True, slots=True)
class Caption:
    """One text about one media file, and where it came from."""

    text: str  # as it stands in its file
    origin: str  # "human", a model id, "clean"
    finish: str | None = None  # "stop", "length", …: what the model said
    problems: tuple[Problem, ...] = ()

    @property
    def blocked(self) -> bool:
        return any(problem.blocking for problem in self.problems)

    @property
    def usable(self) -> bool:
        """True if there is something in it that a model or a trainer may be given."""
        return bool(self.text.strip()) and not self.blocked


@dataclass(frozen=True, slots=True)
class Sample:
    """One media file and its captions; each field is also a suffix on disk."""

    media: Path
    manual: Caption | None = None  # None: not done; text "": done, nothing there
    generated: Caption | None = None  # {name}_generated.txt
    combined: Caption | None = None  # {name}_combined.txt
    final: Caption | None = None  # {name}.txt
    failure: Failure | None = None


class Stage(Protocol):
    """A room: maps a batch of samples to captions. No threads, files, cache or progress inside."""

    output: str  # the field it fills = the file suffix

    @property
    def batch_size(self) -> int: ...

    @property
    def workers(self) -> int:
        """Batches that may be in this room at once."""
        ...

    @property
    def spent(self) -> Counter[str]:
        """What its answers cost: requests, prompt_tokens, completion_tokens."""
        ...

    def key(self, sample: Sample) -> str:
        """Everything the answer depends on, as made by `fingerprint`."""
        ...

    def settings(self, media: Path) -> str:
        """The same for all files whose keys differ by nothing but the files, their names and texts;
        `media` may be named by what it needs."""
        ...

    def prepare(self) -> None:
        """Called once before the first batch of the run. Raises Fatal if the room cannot work."""
        ...

    def load(self) -> None:
        """Called once after that: what takes long before the first batch, such as a model. Raises
        Fatal if it cannot be loaded."""
        ...

    def __call__(self, batch: Sequence[Sample]) -> Sequence[Caption]:
        """One caption per sample, in order. Raises if the batch cannot be done."""
        ...

    def close(self) -> None:
        """Lets go of models and connections; a batch still in the room may then fail."""
        ...


def fingerprint(**parts: object) -> str:
    """`name=digest` for every part, so that two keys tell which part changed.

    48 bits a part are enough: a key is only ever compared with the same file's earlier key.
    """
    return " ".join(f"{name}={_digest(str(value))}" for name, value in parts.items())


def _digest(value: str) -> str:
    return hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
