"""What was handed to a server in batches, on disk before it costs anything.

A batch is paid for whether its answers are read or not, and a run may die at any instant. So each
rank writes what it is about to do into `.enhance/batches.<rank>.jsonl`, and reads those of all:

- `{"tag", "run", "address", "at", "ids"}`: these requests are about to be sent under this tag.
- `{"tag", "batch"}`: the server has them, and calls the batch so.
- `{"tag", "dropped"}`: the server never had them.
- `{"tag", "lost"}`: these requests got no answer, and may be sent again.
- `{"tag", "given"}`: the answers to these were used.
- `{"answer", "run", "told"}`: an answer that was not asked for in a batch.

A request is known by a hash of all that it says.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enhance.disk import sync_folder
from stages.sample import Fatal


@dataclass(slots=True)
class Sent:
    """Requests that were, or were about to be, sent together."""

    tag: str
    run: str
    address: str
    at: float
    ids: set[str]  # without those that got no answer
    batch: str = ""  # "" until the server's name for it is known
    given: set[str] = field(default_factory=set)  # by earlier runs


class Submitted:
    """The batches of a dataset. Safe to use from threads; nothing is read before it is asked."""

    def __init__(self, folder: Path, rank: int, run: str, anew: bool = False) -> None:
        """`run` is the same for all ranks of a launch; `anew`: what earlier runs got is not used
        again."""
        self._folder, self._run, self._anew = folder, run, anew
        self._path = folder / f"batches.{rank}.jsonl"
        self._turn = threading.RLock()
        self._file: Any = None
        self._sent: dict[str, Sent] = {}  # by tag
        self._by_id: dict[str, Sent] = {}
        self._answers: dict[str, Mapping[str, Any]] = {}
        self._read = False

    def of(self, name: str) -> Sent | None:
        """What a request was sent with, None if it has to be sent."""
        with self._turn:
            self._know()
            return self._by_id.get(name)

    def unsure(self, address: str) -> list[Sent]:
        """Those of earlier runs of which it is not known whether the server has them."""
        with self._turn:
            self._know()
            return [
                sent
                for sent in self._sent.values()
                if sent.address == address and not sent.batch and sent.run != self._run
            ]

    def begin(self, address: str, ids: Collection[str]) -> Sent:
        """Call before requests are sent; on disk before this returns."""
        with self._turn:
            self._know()
            sent = Sent(uuid.uuid4().hex, self._run, address, time.time(), set(ids))
            line = {"tag": sent.tag, "run": sent.run, "address": address, "at": sent.at}
            self._append({**line, "ids": sorted(ids)}, durable=True)
            self._take(sent)
            return sent

    def created(self, sent: Sent, batch: str) -> None:
        """Call when the server has named the batch."""
        with self._turn:
            sent.batch = batch
            self._append({"tag": sent.tag, "batch": batch}, durable=True)

    def drop(self, sent: Sent) -> None:
        """The server has nothing of it."""
        with self._turn:
            self._append({"tag": sent.tag, "dropped": True})
            self._forget(sent.tag, tuple(sent.ids))
            self._sent.pop(sent.tag, None)

    def lose(self, sent: Sent, ids: Collection[str]) -> None:
        """These got no answer: the next run may send them again."""
        if ids:
            with self._turn:
                self._append({"tag": sent.tag, "lost": sorted(ids)})
                self._forget(sent.tag, ids)

    def give(self, ids: Iterable[str]) -> None:
        """The answers to these are about to be saved."""
        with self._turn:
            by_tag: dict[str, list[str]] = {}
            for name in ids:
                sent = self._by_id.get(name)
                if sent is not None and name not in sent.given:
                    sent.given.add(name)
                    by_tag.setdefault(sent.tag, []).append(name)
            for tag, given in by_tag.items():
                self._append({"tag": tag, "given": sorted(given)})

    def answer(self, name: str) -> Mapping[str, Any] | None:
        """What was answered to a request that went alone."""
        with self._turn:
            self._know()
            return self._answers.get(name)

    def answered(self, name: str, told: Mapping[str, Any]) -> None:
        with self._turn:
            self._know()
            self._answers[name] = told
            self._append({"answer": name, "run": self._run, "told": told})

    def close(self) -> None:
        with self._turn:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _know(self) -> None:
        """Reads what all ranks wrote: a file may have been another rank's."""
        if self._read:
            return
        self._read = True
        paths = sorted(self._folder.glob("batches.*.jsonl"))
        lines = [line for path in paths for line in _of(path)]
        for line in sorted((one for one in lines if "ids" in one), key=lambda one: one["at"]):
            self._take(
                Sent(line["tag"], line["run"], line["address"], line["at"], set(line["ids"]))
            )
        for line in lines:
            sent = self._sent.get(str(line.get("tag", "")))
            if "answer" in line and not (self._anew and line.get("run") != self._run):
                self._answers[line["answer"]] = line["told"]
            if sent is None:
                continue
            if "batch" in line:
                sent.batch = line["batch"]
            if "given" in line:
                sent.given.update(line["given"])
                if self._anew and sent.run != self._run:
                    self._forget(sent.tag, line["given"])
            if "lost" in line:
                self._forget(sent.tag, line["lost"])
            if "dropped" in line:
                self._forget(sent.tag, tuple(sent.ids))
                del self._sent[sent.tag]
        for sent in self._sent.values():
            if sent.run == self._run and not sent.batch:  # another rank is just sending it
                self._forget(sent.tag, tuple(sent.ids))

    def _take(self, sent: Sent) -> None:
        self._sent[sent.tag] = sent
        for name in sent.ids:
            self._by_id[name] = sent

    def _forget(self, tag: str, ids: Collection[str]) -> None:
        sent = self._sent[tag]
        sent.ids.difference_update(ids)
        for name in ids:
            known = self._by_id.get(name)
            if known is not None and known.tag == tag:
                del self._by_id[name]

    def _append(self, line: Mapping[str, Any], durable: bool = False) -> None:
        """Raises Fatal if it cannot be written: then nothing may be sent."""
        try:
            if self._file is None:
                self._open()
            self._file.write(json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n")
            if durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise Fatal(f"cannot write {self._path}: {error.strerror}") from None

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - stays open for the run
        if self._file.tell():
            with open(self._path, "rb") as file:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # killed within a line
                    self._file.write(b"\n")
        else:
            sync_folder(self._folder)


def _of(path: Path) -> Iterable[dict[str, Any]]:
    with open(path, "rb") as file:
        for line in file:
            try:
                told = json.loads(line)
            except ValueError:  # cut by a kill: what it announced was not done
                continue
            if isinstance(told, dict):
                yield told
