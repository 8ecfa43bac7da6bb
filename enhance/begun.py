"""What a run has begun at a service and not read yet: a killed one must not pay for it twice.

Lines of `.enhance/begun.<rank>.jsonl`: `{"request", "prediction", "run", "at"}`, each on disk
before anyone waits for the prediction; without a name it was about to be begun. The last line about
a request holds. A run that ends in order leaves only what it did not see the end of.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from stages.sample import Fatal

_KEPT = 86400.0  # seconds: no service keeps an output longer


class Begun:
    """The memory of one process. Nothing is read or written before it is asked."""

    def __init__(
        self, folder: Path, rank: int, run: str, *, alone: bool = True, again: bool = False
    ) -> None:
        """`run` is the same for all ranks of a launch, `alone` says that there is one; `again`: all
        is to be made anew, so nothing of earlier runs is taken."""
        self._folder, self._run, self._alone, self._again = folder, run, alone, again
        self._path = folder / f"begun.{rank}.jsonl"
        self._left: dict[str, dict[str, Any]] | None = None  # by earlier runs
        self._open: dict[str, dict[str, Any]] = {}  # of this process
        self._file: Any = None
        self._turn = threading.Lock()

    def take(self, request: str) -> str | None:
        with self._turn:
            entry = self._earlier().pop(request, None)
            if entry is None or self._again:
                return None
            self._open[request] = entry  # until it has ended
            return str(entry["prediction"])

    def note(self, request: str, prediction: str) -> None:
        """Raises Fatal if it cannot be written: then nothing may be begun."""
        entry = {
            "request": request,
            "prediction": prediction,
            "run": self._run,
            "at": time.time(),
        }
        with self._turn:
            self._earlier()
            self._open[request] = entry
            try:
                if self._file is None:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - for the run
                self._file.write(_line(entry))
                os.fsync(self._file.fileno())
            except OSError as error:
                raise Fatal(f"cannot write {self._path}: {error.strerror}") from None

    def ended(self, request: str) -> None:
        with self._turn:
            self._open.pop(request, None)

    def close(self) -> None:
        """Call once all answers are kept: what has ended is forgotten now."""
        with self._turn:
            if self._left is None:
                return
            if self._file is not None:
                self._file.close()
                self._file = None
            # What other ranks left is theirs to keep, unless there are none any more.
            mine = [*self._left.values()] if self._alone else []
            entries = [*mine, *self._open.values()]
            if entries:
                temporary = self._path.with_suffix(".tmp")
                temporary.write_bytes(b"".join(map(_line, entries)))
                os.replace(temporary, self._path)
            for path in [*self._folder.glob("begun.*.jsonl")] if self._alone else [self._path]:
                if path != self._path or not entries:
                    path.unlink(missing_ok=True)

    def _earlier(self) -> dict[str, dict[str, Any]]:
        """Called within `_turn`."""
        if self._left is None:
            self._left = {}
            for path in sorted(self._folder.glob("begun.*.jsonl")):
                for line in path.read_bytes().splitlines():
                    entry = _parsed(line)
                    if entry and entry["run"] != self._run:
                        self._left[entry["request"]] = entry
        return self._left


def _line(entry: dict[str, Any]) -> bytes:
    # Begun on a line of its own, even after one that a kill cut off.
    return b"\n" + json.dumps(entry).encode() + b"\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    """None for a line that a kill cut off, and for one that is too old to be of use."""
    try:
        entry = json.loads(line)
        young = time.time() - float(entry["at"]) < _KEPT
        whole = all(isinstance(entry[name], str) for name in ("request", "prediction", "run"))
    except (ValueError, KeyError, TypeError):
        return None
    return entry if young and whole else None
