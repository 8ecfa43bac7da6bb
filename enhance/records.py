"""What the journal knows: of texts, of those that were replaced, of media files."""

from __future__ import annotations

from dataclasses import dataclass

from stages.sample import Problem


@dataclass(slots=True)
class Record:
    """What is known of one text file. `hashes` are of all texts we ever wrote there."""

    key: str = ""
    hash: str = ""
    hashes: tuple[str, ...] = ()
    finish: str | None = None
    origin: str = ""
    problems: tuple[Problem, ...] = ()
    text: str | None = None  # of an answer that was not written
    failure: str = ""
    at: int = 0  # nanoseconds since the epoch
    # Lines of several ranks are not read in their order: what counts is which came last.
    kept_as: str = ""
    kept_at: int = 0
    published_at: int = 0
    unpublished_at: int = 0

    @property
    def published(self) -> bool:
        return self.published_at > self.unpublished_at

    @property
    def manual(self) -> str:
        """The file that keeps what a person wrote there first."""
        return self.kept_as if self.kept_at > self.unpublished_at else ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A person's text that stood somewhere and was replaced."""

    text: str
    run: str  # that replaced it: "clean 3f9a…"; captions were made by a run without such a word


@dataclass(frozen=True, slots=True)
class Content:
    """A media file's digest, and the state of the file that it was taken from."""

    size: int
    mtime_ns: int
    digest: str
    at: int
