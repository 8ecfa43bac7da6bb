"""The requests of one batch, in a temporary file until they are sent."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from typing import IO, Protocol

from stages.chat.freight import write

# Of one file of requests, by the API; and bytes, of which a few are kept back.
MOST, _BYTES = 50_000, 195_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """A request as it goes into a file of requests."""

    name: str
    data: bytes
    tokens: int  # that it has, about
    answer: int  # and that its answer may have


class Sender(Protocol):
    """Who starts a batch of requests: see `Waiting.send`."""

    def send(
        self, requests: IO[bytes], names: Collection[str], tokens: int, answer: int, /
    ) -> bool: ...


class Shard:
    """Requests that are sent together; what is too much for one file goes in several. The file has
    no name: nothing is left of it, however the process ends."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._begin()

    def __enter__(self) -> Shard:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, line: Line) -> None:
        if line.name in self._names:  # the same picture twice
            return
        if self._names and (self._size + len(line.data) > _BYTES or len(self._names) >= MOST):
            self.send()
        write(self._file, line.data)
        self._names.add(line.name)
        self._size += len(line.data)
        self._tokens += line.tokens
        self._answer += line.answer

    def send(self) -> None:
        if self._names:
            self._sender.send(self._file, self._names, self._tokens, self._answer)
            self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._names: set[str] = set()
        self._size = self._tokens = self._answer = 0
