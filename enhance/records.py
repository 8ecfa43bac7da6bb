"""What the journal knows: of texts, of those that were replaced, of media files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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

    @property
    def sure(self) -> bool:
        """False if the file may have changed since without a new time: disks count it in steps of
        up to 2 s."""
        return self.at - self.mtime_ns > 2_000_000_000


@dataclass(frozen=True, slots=True)
class Known:
    """What all lines about a picture and its texts say together, whichever comes first."""

    records: dict[str, Record] = field(default_factory=dict)  # by path
    kept: dict[str, tuple[Kept, ...]] = field(default_factory=dict)  # by path, oldest first
    contents: dict[str, Content] = field(default_factory=dict)  # by media file

    def take(self, entry: dict[str, Any]) -> None:
        """One line. Raises ValueError, KeyError or TypeError for one of another version."""
        at = int(entry["at"])
        if "content" in entry:
            known = self.contents.get(entry["media"])
            if known is None or known.at <= at:
                content = Content(entry["size"], entry["mtime_ns"], entry["content"], at)
                self.contents[entry["media"]] = content
        if "path" not in entry:
            return
        path = entry["path"]
        if "kept" in entry:
            text = Kept(entry["kept"], entry.get("run", ""))
            self.kept[path] = (*self.kept.get(path, ()), text)
            if "key" not in entry:
                return  # no record: whether it was published, other lines tell
        record = self.records.setdefault(path, Record())
        if "hash" in entry and entry["hash"] not in record.hashes:
            record.hashes = (*record.hashes, entry["hash"])
        if "manual" in entry and at >= record.kept_at:
            record.kept_as, record.kept_at = entry["manual"], at
        if "published" in entry:
            record.published_at = max(record.published_at, at)
        if "unpublished" in entry:
            record.unpublished_at = max(record.unpublished_at, at)
        if "key" not in entry or at < record.at:
            return
        record.at = at
        record.key = entry["key"]
        record.hash = entry.get("hash", record.hash)
        record.finish = entry.get("finish")
        record.origin = entry.get("origin", "")
        record.text = entry.get("text")
        record.failure = entry.get("failure", "")
        record.problems = tuple(Problem(*problem) for problem in entry.get("problems", ()))
