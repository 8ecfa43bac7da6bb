"""What the user sees while a run goes on: log lines and progress bars, on stderr."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from enhance.ranks import Ranks
from stages.sample import Fatal


@dataclass(frozen=True, slots=True)
class Options:
    """What is said."""

    log_level: str = field(
        default="info",
        metadata={"help": "least level shown", "choices": ("debug", "info", "warning", "error")},
    )
    log_file: str = field(
        default="",
        metadata={"help": "log here too, with time, rank and thread", "metavar": "FILE"},
    )


def start_logging(options: Options, ranks: Ranks) -> None:
    """Log lines to stderr, above the bars, and to a file if one is wanted."""
    level = options.log_level.upper()
    console = _AboveBars()
    # Other ranks would repeat what the main one says; their warnings are their own.
    console.setLevel(level if ranks.main else max(logging.WARNING, logging.getLevelName(level)))
    console.setFormatter(logging.Formatter("%(message)s"))
    for package in ("enhance", "stages"):  # libraries have consoles of their own
        logging.getLogger(package).setLevel(level)
        logging.getLogger(package).handlers[:] = [console]
    if options.log_file:
        path = Path(options.log_file).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        to_file = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
        form = f"%(asctime)s %(levelname)s rank {ranks.rank} %(threadName)s %(message)s"
        to_file.setFormatter(logging.Formatter(form))
        logging.getLogger().addHandler(to_file)


class _AboveBars(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError):  # stderr was closed
            say(self.format(record), sys.stderr)


def say(line: str, stream: Any = None) -> None:
    """One line on stdout, or on `stream`, whatever encoding it has."""
    stream = stream or sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        tqdm.write(line.encode(encoding, "backslashreplace").decode(encoding), file=stream)
        stream.flush()
    except BrokenPipeError:  # `| head` has read enough; the run goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Bar:
    """One stage's progress over the whole dataset, on the main rank: a bar, or plain lines."""

    _EVERY = 10.0  # seconds between plain lines
    _SHARED = 0.5  # seconds between looks at what other ranks did

    def __init__(self, label: str, total: int, ranks: Ranks, position: int) -> None:
        self._label, self._total, self._ranks = label, total, ranks
        self._began = 0.0  # of the first file: in a run stage by stage it comes late
        self._told = self._looked = time.monotonic()
        self._unsent = self._count = self._worked = 0
        self._bar: tqdm[Any] | None = None
        if ranks.main and sys.stderr.isatty():
            # A terminal that does not know its width says 0, and would get empty bars.
            known = os.get_terminal_size(sys.stderr.fileno()).columns > 0
            self._bar = tqdm(
                total=total,
                desc=label,
                unit="file",
                position=position,
                dynamic_ncols=known,
                ncols=None if known else 80,
            )

    def advance(self, act: str) -> None:
        if not self._began:
            self._began = self._told = time.monotonic()
        self._unsent += 1
        self._worked += act == "done"
        if time.monotonic() - self._looked > (self._SHARED if self._ranks.world > 1 else 0.1):
            self._share()

    def close(self) -> None:
        with contextlib.suppress(Fatal):  # the launcher has ended: there is nobody to tell
            self._share()  # and look once more at what other ranks did
        if self._bar is not None:
            self._bar.close()

    def _share(self) -> None:
        self._looked = time.monotonic()
        before = self._count
        told = self._ranks.add(f"count {self._label}", self._unsent)
        self._count = told if self._ranks.world > 1 else before + self._unsent
        self._unsent = 0
        if self._bar is not None:
            self._bar.update(self._count - before)
        elif self._ranks.main and self._looked - self._told > self._EVERY and self._worked:
            self._told = self._looked
            rate = self._count / max(self._looked - self._began, 1e-9)
            left = (self._total - self._count) / rate if rate else 0.0
            logging.getLogger(__name__).info(
                "%s %d/%d files, %.1f/s, %s left",
                self._label,
                self._count,
                self._total,
                rate,
                tqdm.format_interval(left),
            )
