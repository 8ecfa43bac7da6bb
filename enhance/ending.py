"""How a run ends: the report in its file, the summary, the exit status. None claims more than is.

Ranks end in any order, and one that was killed says nothing. So a report is complete only if every
rank has handed in its part, and while a run is at work, no earlier report speaks for it.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from enhance.console import say
from enhance.disk import Writer
from enhance.flow import Broken
from enhance.ranks import Ranks
from enhance.report import Report, news, worked
from enhance.summary import summarise
from stages.load import read
from stages.sample import Fatal

log = logging.getLogger(__name__)


class Ending:
    """The end of this rank, and of the run if it is the last one."""

    def __init__(
        self,
        report: Report,
        ranks: Ranks,
        writer: Writer,
        path: Path,
        settings: Mapping[str, Any],
        tell: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """`path` is where the report belongs; `tell` gets the last one, too."""
        self._say = tell
        self._report, self._ranks, self._writer = report, ranks, writer
        self._path, self._settings = path, settings

    def open(self) -> None:
        """Call when the run leaves its first trace."""
        if self._ranks.first("begun"):
            self._write(self._report.unfinished(self._settings))

    def close(
        self,
        stopped: Fatal | KeyboardInterrupt | None,
        spent: Mapping[str, Counter[str]],
        more: Mapping[str, Any],
        strict: bool,
    ) -> int:
        """The exit status, once report and summary are out. `stopped` is why this rank ended before
        all was done; raised again if it is Fatal and the others cannot go on without it."""
        ended = "interrupted" if isinstance(stopped, KeyboardInterrupt) else str(stopped or "")
        told = self._report.finish(spent, self._settings, ended)
        last = told["heard"] == self._ranks.world
        self._say(told)
        if isinstance(stopped, Broken) and self._ranks.world > 1:
            name = f"process {self._ranks.rank + 1} of {self._ranks.world}"
            log.error("%s ends%s: %s", name, "" if last else ", the others go on", stopped)
            stopped = None
        elif stopped is None and not last:
            return 0
        if worked(told) or not isinstance(stopped, Fatal):
            told = self._tell({**told, **more}, last, more)
            if last or (stopped and self._ranks.main):
                summarise(told, self._path)
        if isinstance(stopped, KeyboardInterrupt):
            if self._ranks.first("stopped"):
                say("Stopped before the end; the same command goes on from here.")
            return 130
        if stopped is not None:
            raise stopped
        if last and told["ended"]:
            return 4
        needy = last and (told["failed"] or told["later"] or told["needs_a_person"])
        return 3 if needy and strict else 0

    def _tell(self, told: dict[str, Any], last: bool, more: Mapping[str, Any]) -> dict[str, Any]:
        """Writes the report; again, if another rank ended meanwhile, which may have known less."""
        while True:
            if news(told, read(self._path)):
                self._write(told)
            if last:
                return told
            again = {**self._report.again(self._settings), **more}
            if again["heard"] <= told["heard"]:
                return told
            told = again

    def _write(self, told: Mapping[str, Any]) -> None:
        text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
        self._writer.write(self._path, text.encode("utf-8", "backslashreplace"))
