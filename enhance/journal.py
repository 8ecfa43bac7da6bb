"""The journal: what this program wrote where, from what, and what it replaced.

One append-only file of JSON lines per rank, `.enhance/journal.<rank>.jsonl`; all of them together
are the memory. Lines name texts by their path relative to the dataset:

- `{"path", "key", "hash", …}` before a text is written: the file is ours while its hash is this.
- `{"path", "key", "text", "problems"}`: an answer that is no caption, so no file was written.
- `{"path", "key", "failure"}`: the input could not be used, and would fail again unchanged.
- `{"path", "published"}` after a final stands.
- `{"path", "manual"}`: where the caption was kept that a person wrote there first.
- `{"path", "kept"}`: a person's text that was about to be replaced, so that it can be brought back.
- `{"media", "size", "mtime_ns", "content"}`: the digest of a media file.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.dataset import SUFFIXES
from stages.sample import Problem

_SIDECARS = tuple(f"{SUFFIXES[output]}.txt" for output in ("generated", "combined"))


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
    published: bool = False
    manual: str = ""  # the file that keeps what a person wrote there first
    kept: tuple[str, ...] = ()  # a person's texts that stood there and were replaced
    at: int = 0  # nanoseconds since the epoch


@dataclass(frozen=True, slots=True)
class Content:
    """A media file's digest, and the state of the file that it was taken from."""

    size: int
    mtime_ns: int
    digest: str
    at: int


def text_hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class Journal:
    """Reads the journals of all ranks, appends to this rank's own. Safe to use from threads."""

    def __init__(self, folder: Path, rank: int, read_only: bool = False) -> None:
        """`read_only`: nothing is written, for plans."""
        self._read_only = read_only
        self._path = folder / f"journal.{rank}.jsonl"
        self._file: Any = None
        self._turn = threading.Lock()
        self.records: dict[str, Record] = {}
        self.contents: dict[str, Content] = {}
        self.sidecars: dict[str, str] = {}  # where drafts and merges were written, by their hash
        for path in sorted(folder.glob("journal.*.jsonl")):
            self._read(path)

    def write(self, path: str, key: str, data: bytes, finish: str | None, **more: Any) -> None:
        """Call before the file is written: killed in between, the hash tells that it was not."""
        self._append({"path": path, "key": key, "hash": text_hash(data), "finish": finish, **more})

    def refuse(
        self, path: str, key: str, text: str, finish: str | None, problems: tuple[Problem, ...]
    ) -> None:
        """Remembers an answer that is not written to a file."""
        self._append(
            {
                "path": path,
                "key": key,
                "text": text,
                "finish": finish,
                "problems": [[p.label, p.blocking, p.where, p.message] for p in problems],
            }
        )

    def fail(self, path: str, key: str, message: str) -> None:
        self._append({"path": path, "key": key, "failure": message})

    def published(self, path: str) -> None:
        self._append({"path": path, "published": True})

    def adopt(self, path: str, data: bytes) -> None:
        """A final of ours that a deleted journal knew."""
        self._append({"path": path, "hash": text_hash(data), "published": True})

    def manual(self, path: str, kept_as: str) -> None:
        """Call after a person's caption was copied, before the first final replaces it."""
        self._append({"path": path, "manual": kept_as})

    def keep(self, path: str, data: bytes) -> None:
        """Stores a text byte for byte; on disk before this returns."""
        self._append({"path": path, "kept": data.decode("utf-8", "surrogateescape")}, durable=True)

    def content(self, media: str, size: int, mtime_ns: int, digest: str) -> None:
        self._append({"media": media, "size": size, "mtime_ns": mtime_ns, "content": digest})

    def close(self) -> None:
        with self._turn:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _append(self, entry: dict[str, Any], durable: bool = False) -> None:
        entry["at"] = time.time_ns()
        # ASCII: names that are no UTF-8 and texts in any encoding survive as escapes.
        line = json.dumps(entry, separators=(",", ":")).encode("ascii") + b"\n"
        with self._turn:
            if not self._read_only:
                if self._file is None:
                    self._open()
                self._file.write(line)  # unbuffered: one write per line
                if durable:
                    os.fsync(self._file.fileno())
            self._take(entry)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - stays open for the run
        if self._file.tell():
            with open(self._path, "rb") as file:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # killed within a line
                    self._file.write(b"\n")

    def _read(self, path: Path) -> None:
        with open(path, "rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    self._take(entry)
                except (ValueError, KeyError, TypeError):
                    continue  # a line cut by a kill: what it announced was not written

    def _take(self, entry: dict[str, Any]) -> None:
        at = int(entry["at"])
        if "media" in entry:
            known = self.contents.get(entry["media"])
            if known is None or known.at <= at:
                self.contents[entry["media"]] = Content(
                    entry["size"], entry["mtime_ns"], entry["content"], at
                )
            return
        record = self.records.setdefault(entry["path"], Record())
        if "hash" in entry and entry["hash"] not in record.hashes:
            record.hashes = (*record.hashes, entry["hash"])
            if entry["path"].endswith(_SIDECARS):
                self.sidecars[entry["hash"]] = entry["path"]
        if "manual" in entry:
            record.manual = entry["manual"]
        if "kept" in entry:
            record.kept = (*record.kept, entry["kept"])
        if "published" in entry:
            record.published = True
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
