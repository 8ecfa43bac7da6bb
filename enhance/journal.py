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
- `{"media", "settled", "told"}` after all others of a file: see `enhance/settled.py`.
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
from enhance.index import Index, number_of
from enhance.lines import parsed
from enhance.records import Content, Kept, Known, Record
from stages.sample import Problem

_AT_HAND = 1024  # pictures of which what is known is held in memory

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
        self._index = Index(folder, self._path)
        self._at_hand: dict[int, Known] = {}  # by picture
        self._deaths = Deaths(run)
        self._unstopped: dict[Path, set[str]] = {}  # processes, by their journal
        self._read: set[Path] = set()  # journals of processes that died
        self._killed = killed_for_memory()
        self._watches = False
        self.refresh()

    def refresh(self) -> None:
        """Takes in what other ranks wrote since."""
        with self._turn:
            self._at_hand.clear()
            self._index.read(self._take_other, but_own=self._file is not None)
            for path, processes in self._unstopped.items():
                died = any(one.rpartition(".")[0] != self._run for one in processes)
                if died and path not in self._read:
                    self._read.add(path)
                    self._deaths.read(path)

    def record(self, path: str) -> Record | None:
        """What is known of a text file."""
        with self._turn:
            return self._known(path).records.get(path)

    def content_of(self, media: str) -> Content | None:
        """What is known of a media file."""
        with self._turn:
            return self._known(media).contents.get(media)

    def kept(self, path: str) -> tuple[Kept, ...]:
        """A person's texts that stood there and were replaced, oldest first."""
        with self._turn:
            return self._known(path).kept.get(path, ())

    def sidecar(self, data: bytes) -> str | None:
        """Where a draft or merge was written."""
        with self._turn:
            return self._index.sidecar(text_hash(data))

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

    def stopped(self) -> None:
        """This process ends in order: what it is at did not kill it."""
        if self._deaths.began(self._by):
            self._append({"stopped": self._by})

    def verdict(self, path: str) -> tuple[Verdict, str]:
        """What is to be thought of a text that processes were at when they died."""
        record = self.record(path)
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

    def settle(self, media: str, digest: str, told: dict[str, Any]) -> None:
        """Call after the last line about a file of which nothing is left to do."""
        self._append({"media": media, "settled": digest, "told": told})

    def last(self, media: str) -> dict[str, Any] | None:
        """The last line about a media file or its texts."""
        with self._turn:
            return self._index.last(media)

    def worked(self, media: str) -> bool:
        """True if it was written since this process began."""
        with self._turn:
            return self._index.worked(media)

    def close(self) -> None:
        with self._turn:
            if self._watches:
                faulthandler.disable()
                self._watches = False
            if self._file is not None:
                self._file.close()
                self._file = None
            self._index.close()

    def _append(self, entry: dict[str, Any], durable: bool = False) -> None:
        # Content is held against the times of files; of lines only the order counts, and a clock
        # may be set back.
        now = time.time_ns()
        with self._turn:
            entry["at"] = now if "content" in entry else max(now, self._index.latest + 1)
            # ASCII: names that are no UTF-8 and texts in any encoding survive as escapes.
            line = json.dumps(entry, separators=(",", ":")).encode("ascii") + b"\n"
            place = None
            if not self._read_only:
                if self._file is None:
                    self._open()
                place = self._file.tell()
                self._file.write(line)  # unbuffered: one write per line
                if durable:
                    os.fsync(self._file.fileno())
            self._index.add(line, entry["at"], place)
            self._deaths.take(entry)
            known = self._at_hand.get(number_of(entry.get("path") or entry.get("media", "")))
            if known is not None:
                known.take(entry)

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

    def _take_other(self, path: Path, line: bytes) -> None:
        """A line that is about no picture. What a process tried is of interest if it died."""
        unstopped = self._unstopped.setdefault(path, set())
        if line.startswith(b'{"trying"'):
            unstopped.add(line[line.rfind(b'"by":"') + 6 :].split(b'"', 1)[0].decode())
            return
        entry = parsed(line)
        if entry is not None and "crashed" not in entry:
            unstopped.discard(entry.get("stopped", ""))
            self._deaths.take(entry)

    def _known(self, name: str) -> Known:
        """Read when it is asked for: all of a large dataset would fill the memory."""
        picture = number_of(name)
        known = self._at_hand.get(picture)
        if known is None:
            known = Known()
            for entry in self._index.about(name):
                with contextlib.suppress(ValueError, KeyError, TypeError):  # of another version
                    known.take(entry)
            if len(self._at_hand) >= _AT_HAND:
                del self._at_hand[next(iter(self._at_hand))]
            self._at_hand[picture] = known
        return known


def _as_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """A text that the journal kept, byte for byte."""
    return text.encode("utf-8", "surrogateescape")
