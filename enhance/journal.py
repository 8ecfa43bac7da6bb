"""The journal: what this program wrote where, from what, and what it replaced.

One append-only file of JSON lines per rank, `.enhance/journal.<rank>.jsonl`; all of them together
are the memory. Lines name texts by their path relative to the dataset:

- `{"path", "key", "hash", …}` before a text is written: the file is ours while its hash is this.
- `{"path", "key", "text", "problems"}`: an answer that is no caption, so no file was written.
- `{"path", "key", "failure"}`: the input could not be used, and would fail again unchanged.
- `{"path", "published"}` after a final stands.
- `{"path", "manual"}`: where the caption was kept that a person wrote there first.
- `{"path", "unpublished"}` after a person's caption was brought back: it waits to be used again.
- `{"path", "kept", "left", "run"}`: a person's text replaced by one that is a person's still.
- `{"undone"}` after what a run replaced was brought back.
- `{"media", "size", "mtime_ns", "content"}`: the digest of a media file.
- `{"trying", …}`, `{"tried"}`, `{"stopped"}`: see `enhance/deaths.py`. Where a process crashed,
  Python's own words stand between the lines.

A text that is about to be replaced stands in the same line, as `kept` if a person wrote it, else as
`was`; `waited` tells of a caption that was kept as the manual one. `new` tells that no text stood
there. Such lines name the run, so that what it replaced can be brought back.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any, Literal

from enhance.deaths import Deaths, Verdict, killed_for_memory
from enhance.lines import journals, whole_lines
from enhance.records import Content, Kept, Record
from stages.dataset import SUFFIXES
from stages.sample import Problem

_SIDECARS = tuple(f"{SUFFIXES[output]}.txt" for output in ("generated", "combined"))


# Whose text it is: one that we wrote, a person's caption that waits to be used, a person's text.
Whose = Literal["ours", "waiting", "person"]


def text_hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class Journal:
    """Reads the journals of all ranks, appends to this rank's own. Safe to use from threads."""

    def __init__(self, folder: Path, rank: int, read_only: bool = False, run: str = "") -> None:
        """`read_only`: nothing is written, for plans. `run` is the same for all ranks of a launch,
        and another for every launch."""
        self._read_only = read_only
        self._run = run
        self._by = f"{run}.{rank}"
        self._path = folder / f"journal.{rank}.jsonl"
        self._file: Any = None
        self._turn = threading.Lock()
        self.records: dict[str, Record] = {}
        self.contents: dict[str, Content] = {}
        self.sidecars: dict[str, str] = {}  # where drafts and merges were written, by their hash
        self.kept: dict[str, tuple[Kept, ...]] = {}  # by path, oldest first
        self._deaths = Deaths(run)
        self._killed = killed_for_memory()
        self._watches = False
        self._latest = 0
        self._read: dict[Path, int] = {}  # bytes of each journal that were taken in
        self.refresh()

    def refresh(self) -> None:
        """Takes in what other ranks wrote since."""
        with self._turn:
            for path in journals(self._path.parent):
                if path != self._path or self._file is None:
                    by = ""
                    for entry in whole_lines(path, self._read):
                        by = entry.setdefault("by", by)  # a crash is that of who wrote last
                        with contextlib.suppress(ValueError, KeyError, TypeError):  # other versions
                            self._take(entry)

    def write(self, path: str, key: str, data: bytes, finish: str | None, **more: Any) -> None:
        """Call before the file is written: killed in between, the hash tells that it was not."""
        self._append({"path": path, "key": key, "hash": text_hash(data), "finish": finish, **more})

    def replace(
        self,
        path: str,
        key: str,
        data: bytes,
        finish: str | None,
        old: bytes | None,
        whose: Whose,
        **more: Any,
    ) -> None:
        """Like `write`, and stores what stands there byte for byte; a person's text is on disk
        before this returns."""
        if old is None:
            more |= {"new": True, "run": self._run}
        elif old != data:
            more |= {"kept" if whose == "person" else "was": _as_text(old), "run": self._run}
            if whose == "waiting":
                more["waited"] = True
        entry = {"path": path, "key": key, "hash": text_hash(data), "finish": finish, **more}
        self._append(entry, durable="kept" in entry)

    def keep(self, path: str, old: bytes, data: bytes) -> None:
        """Stores a person's text before `data` replaces it, which is not claimed as ours; on disk
        before this returns."""
        entry = {"path": path, "kept": _as_text(old), "left": text_hash(data), "run": self._run}
        self._append(entry, durable=True)

    def unpublish(self, path: str) -> None:
        """Call after a person's caption stands again where the first final had replaced it."""
        self._append({"path": path, "key": "", "unpublished": True})

    def again(self, line: dict[str, Any]) -> None:
        """Call before a text of ours is brought back: what was known of it holds again."""
        names = ("path", "key", "hash", "finish", "origin", "problems")
        self._append({name: line[name] for name in names if name in line})

    def undone(self, run: str) -> None:
        self._append({"undone": run})

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

    def trying(self, paths: list[str], alone: bool) -> None:
        """Call before a model of this process is given what these texts are made from."""
        entry = {"trying": paths, "by": self._by, "killed": self._killed}
        self._append(entry | ({"alone": True} if alone else {}))
        self._watch()

    def tried(self, path: str) -> None:
        """The process outlived a text that no other line tells of."""
        self._append({"tried": path})

    def crashed(self, how: str) -> None:
        """This process can do no more, as if it had died."""
        self._append({"crashed": how, "by": self._by})

    def under_way(self, path: str) -> bool:
        """True if this process said that it was at a text, and not what became of it."""
        return self._deaths.under_way(path, self._by)

    def stopped(self) -> None:
        """This process ends in order: what it is at did not kill it."""
        if self._deaths.began(self._by):
            self._append({"stopped": self._by})

    def verdict(self, path: str) -> tuple[Verdict, str]:
        """What is to be thought of a text that processes were at when they died."""
        record = self.records.get(path)
        return self._deaths.verdict(path, record.at if record else 0)

    def published(self, path: str) -> None:
        self._append({"path": path, "published": True})

    def adopt(self, path: str, data: bytes) -> None:
        """A final of ours that a deleted journal knew."""
        self._append({"path": path, "hash": text_hash(data), "published": True})

    def manual(self, path: str, kept_as: str) -> None:
        """Call after a person's caption was copied, before the first final replaces it."""
        self._append({"path": path, "manual": kept_as})

    def content(self, media: str, size: int, mtime_ns: int, digest: str) -> None:
        self._append({"media": media, "size": size, "mtime_ns": mtime_ns, "content": digest})

    def close(self) -> None:
        with self._turn:
            if self._watches:
                faulthandler.disable()
                self._watches = False
            if self._file is not None:
                self._file.close()
                self._file = None

    def _append(self, entry: dict[str, Any], durable: bool = False) -> None:
        # Content is held against the times of files; of lines only the order counts, and a clock
        # may be set back.
        now = time.time_ns()
        with self._turn:
            entry["at"] = now if "media" in entry else max(now, self._latest + 1)
            # ASCII: names that are no UTF-8 and texts in any encoding survive as escapes.
            line = json.dumps(entry, separators=(",", ":")).encode("ascii") + b"\n"
            if not self._read_only:
                if self._file is None:
                    self._open()
                self._file.write(line)  # unbuffered: one write per line
                if durable:
                    os.fsync(self._file.fileno())
            self._take(entry)

    def _watch(self) -> None:
        """Has Python write into the journal that this process crashes."""
        with self._turn:
            if self._file is not None and not faulthandler.is_enabled():
                faulthandler.enable(self._file, all_threads=False)
                self._watches = True

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - stays open for the run
        if self._file.tell():
            with open(self._path, "rb") as file:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # killed within a line
                    self._file.write(b"\n")

    def _take(self, entry: dict[str, Any]) -> None:
        at = int(entry["at"])
        if "media" in entry:
            known = self.contents.get(entry["media"])
            if known is None or known.at <= at:
                self.contents[entry["media"]] = Content(
                    entry["size"], entry["mtime_ns"], entry["content"], at
                )
            return
        self._latest = max(self._latest, at)
        self._deaths.take(entry)
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
            if path.endswith(_SIDECARS):
                self.sidecars[entry["hash"]] = path
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


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """A text that the journal kept, byte for byte."""
    return text.encode("utf-8", "surrogateescape")
