"""Which texts a process was at when it died: a crash in a decoder or driver, memory that ran out.

Before a model of its own is given files, a process notes their texts in its journal: `trying`. That
is void once each has a line of its own, or is `tried`, and once the process says that it `stopped`
in order. What is left was under way when the process died.

Whoever kills a run from outside must not brand a picture: a death counts in full only if something
tells that the process died by itself. It crashed, and Python wrote so into the journal, or wrote it
itself since its GPU failed; or Linux counts more processes that it killed for their memory; or
another process of the same launch lived on to stop in order.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from enhance.lines import parsed

Verdict = Literal["clear", "suspect", "culprit"]

_UNEXPLAINED = 3  # deaths at a file that was tried alone, of which nothing tells how they came


@dataclass(frozen=True, slots=True)
class _Try:
    by: str  # the process: launch and rank
    at: int
    alone: bool  # on purpose: a process had died at it before
    killed: int  # processes that had died of their memory on this machine


class Deaths:
    """What the journals of all ranks tell of processes that died."""

    def __init__(self, run: str) -> None:
        """`run` is this launch, of which no process counts as dead."""
        self._run = run
        self._tries: dict[str, list[_Try]] = {}
        self._tried: dict[str, int] = {}
        self._began: set[str] = set()
        self._stopped: dict[str, int] = {}
        self._crashed: dict[str, str] = {}
        self._killed = killed_for_memory()

    def take(self, entry: dict[str, Any]) -> None:
        """A line of a journal; each journal's in their order."""
        at = entry["at"]
        if "trying" in entry:
            one = _Try(entry["by"], at, "alone" in entry, entry["killed"])
            self._began.add(one.by)
            for path in entry["trying"]:
                self._tries.setdefault(path, []).append(one)
        elif "stopped" in entry:
            self._stopped[entry["stopped"]] = at
        elif "crashed" in entry:
            self._crashed[entry["by"]] = entry["crashed"]
        elif "tried" in entry:
            path = entry["tried"]
            self._tried[path] = max(at, self._tried.get(path, 0))
            self._settle(path, at)
        elif "key" in entry:
            self._settle(entry["path"], at)

    def read(self, path: Path) -> None:
        """The journal of a process that did not say that it stopped."""
        by = ""
        with open(path, "rb") as file:
            for line in file:
                if line.startswith((b'{"path"', b'{"media"')) and b'"key":' not in line:
                    continue
                entry = parsed(line)
                if entry is not None:
                    by = entry.setdefault("by", by)  # a crash is that of who wrote last
                    with suppress(KeyError, TypeError):  # of another version
                        self.take(entry)

    def verdict(self, path: str, since: int) -> tuple[Verdict, str]:
        """What the deaths since then make of a text; of a culprit also what it does."""
        since = max(since, self._tried.get(path, 0))
        dead = [one for one in self._tries.get(path, ()) if one.at > since and self._died(one.by)]
        if not dead:
            return "clear", ""
        last = max(dead, key=lambda one: one.at)
        sure = [one for one in dead if self._by_itself(one)]
        alone = sum(one.alone for one in dead)
        if (len(sure) > 1 and last in sure and last.alone) or alone >= _UNEXPLAINED:
            hows = {self._crashed[one.by] for one in dead if one.by in self._crashed}
            how = f" ({', '.join(sorted(hows))})" if hows else ""
            return "culprit", f"{len(dead)} processes died while they were at this file{how}"
        return "suspect", ""

    def began(self, by: str) -> bool:
        """True if a process ever said what it was at, and not that it crashed."""
        return by in self._began and by not in self._crashed

    def _died(self, by: str) -> bool:
        return by not in self._stopped and by.rpartition(".")[0] != self._run

    def _by_itself(self, one: _Try) -> bool:
        launch = one.by.rpartition(".")[0]
        outlived = any(
            by.rpartition(".")[0] == launch and at > one.at for by, at in self._stopped.items()
        )
        return outlived or one.by in self._crashed or self._killed > one.killed

    def _settle(self, path: str, at: int) -> None:
        left = [one for one in self._tries.pop(path, ()) if one.at > at]
        if left:
            self._tries[path] = left


def killed_for_memory() -> int:
    """How many processes this Linux has killed since it started; 0 elsewhere."""
    try:
        counts = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in counts if line.startswith("oom_kill "))
    except (OSError, ValueError, StopIteration):
        return 0
