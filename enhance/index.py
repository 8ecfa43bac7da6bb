"""Where in the journals the lines about each picture stand, so that none need be held in memory.

A run that finds 100,000 files done asks for one line of each. Twelve bytes are kept for a line, and
one number for a picture, which stands for it and all its texts.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from enhance.lines import journals, parsed
from stages.dataset import SUFFIXES

_TEXT, _MEDIA = b'{"path":"', b'{"media":"'
_SUFFIXES = tuple(suffix.encode() for suffix in SUFFIXES.values())
_WRITTEN = re.compile(rb'{"path":"[^"]*_(?:generated|combined)\.txt".*?"hash":"([0-9a-f]{16})"')
_NEWLINE = ord("\n")
_TIME = len(f"{10**18}}}\n")  # nanoseconds have as many digits until 2286
_FILE = 48  # bits of a place that are its offset; those above say in which journal


class Index:
    """The lines of all ranks' journals. Not safe to use from threads."""

    def __init__(self, folder: Path, own: Path) -> None:
        """`own` is this rank's journal, whose lines are added one by one once it is open."""
        self._folder = folder
        self._own = own
        self._journals: list[Path] = []
        self._files: list[BinaryIO | None] = []  # open ones
        self._ends: list[int] = []  # how far each was read
        self._last: dict[int, int] = {}  # the last line about a picture
        self._before = array("i")  # the line before a line about the same picture, -1: none
        self._places = array("Q")
        self._mixed: set[int] = set()  # pictures of which several ranks wrote
        self._sidecars: dict[int, int] | None = (
            None  # by the hash of a text, the line of its writing
        )
        self._unwritten: dict[int, bytes] = {}  # lines of a run that may write none
        self._began = 0  # the first line of this launch
        self.latest = 0  # the time of the latest line

    def read(self, others: Callable[[Path, bytes], None], but_own: bool) -> None:
        """Takes in what was written since; `others` gets the lines that are about no picture."""
        for path in journals(self._folder):
            if not (but_own and path == self._own):
                self._read(self._number(path), others)
        if not but_own:
            self._began = len(self._places)

    def add(self, line: bytes, at: int, offset: int | None) -> None:
        """A line of the own journal, written at `offset`, or never."""
        self.latest = max(self.latest, at)
        picture = _about(line)
        if picture:
            if offset is None:
                self._unwritten[len(self._places)] = line
            self._add(picture, self._number(self._own) << _FILE | (offset or 0))
            self._note(line)

    def about(self, name: str) -> Iterator[dict[str, Any]]:
        """All lines about a picture and its texts, by the name of any; each journal's in order."""
        numbers = []
        number = self._last.get(number_of(name), -1)
        while number >= 0:
            numbers.append(number)
            number = self._before[number]
        for number in reversed(numbers):
            entry = parsed(self._line(number))
            if entry is not None:
                yield entry

    def last(self, name: str) -> dict[str, Any] | None:
        """The line about a picture or its texts that was written last."""
        picture = number_of(name)
        if picture in self._mixed:
            return max(self.about(name), key=lambda entry: int(entry["at"]), default=None)
        number = self._last.get(picture, -1)
        return parsed(self._line(number)) if number >= 0 else None

    def worked(self, name: str) -> bool:
        """True if the last line about a picture was written since this process began."""
        return self._last.get(number_of(name), -1) >= self._began

    def sidecar(self, text: str) -> str | None:
        """Where a draft or merge was written, by its hash. Asked of texts that nobody knows: all
        lines are read for the first one."""
        if self._sidecars is None:
            self._sidecars = {}
            for number in range(len(self._places)):
                self._note(self._line(number), number)
        number = self._sidecars.get(int(text, 16), -1)
        entry = parsed(self._line(number)) if number >= 0 else None
        return entry["path"] if entry else None

    def close(self) -> None:
        for place, file in enumerate(self._files):
            if file is not None:
                file.close()
                self._files[place] = None

    def _read(self, number: int, others: Callable[[Path, bytes], None]) -> None:
        path, offset, latest = self._journals[number], self._ends[number], b""
        with open(path, "rb") as file:
            file.seek(offset)
            for line in file:
                if line[-1] != _NEWLINE and parsed(line) is None:
                    break  # cut by a kill, or being written: what it announces was not written
                picture = _about(line)
                if picture:
                    self._add(picture, number << _FILE | offset)
                else:
                    others(path, line)
                # Not each as a number: of six lines a file, that would take as long as a text.
                if line.endswith(b"}\n"):
                    latest = max(latest, line[-_TIME:])
                offset += len(line)
        self._ends[number] = offset
        self.latest = max(self.latest, _time(latest, path))

    def _add(self, picture: int, place: int) -> None:
        before = self._last.get(picture, -1)
        if before >= 0 and (self._places[before] ^ place) >> _FILE:
            self._mixed.add(picture)
        self._last[picture] = len(self._places)
        self._before.append(before)
        self._places.append(place)

    def _note(self, line: bytes, number: int = -1) -> None:
        found = _WRITTEN.match(line) if self._sidecars is not None else None
        if found and self._sidecars is not None:
            self._sidecars[int(found[1], 16)] = number if number >= 0 else len(self._places) - 1

    def _line(self, number: int) -> bytes:
        if number in self._unwritten:
            return self._unwritten[number]
        place = self._places[number]
        file = self._files[place >> _FILE]
        if file is None:
            file = open(self._journals[place >> _FILE], "rb")  # noqa: SIM115 - stays open
            self._files[place >> _FILE] = file
        file.seek(place & (1 << _FILE) - 1)
        return file.readline()

    def _number(self, path: Path) -> int:
        if path not in self._journals:
            self._journals.append(path)
            self._files.append(None)
            self._ends.append(0)
        return self._journals.index(path)


def _about(line: bytes) -> int:
    """The number of the picture that a line is about; 0: none."""
    if line.startswith(_TEXT):
        name = line[9 : line.find(b'"', 9)]
    elif line.startswith(_MEDIA):
        name = line[10 : line.find(b'"', 10)]
    else:
        return 0
    name = name[: name.rfind(b".")]
    if name.endswith(_SUFFIXES):
        name = name[: name.rfind(b"_")]
    # Two pictures of one number would do no harm: lines are told apart by their names.
    return hash(name) or 1


def number_of(name: str) -> int:
    """A number for a picture, by its name or that of any of its texts; 0: no name."""
    return _about(b'{"path":%b' % json.dumps(name).encode("ascii"))


def _time(end: bytes, path: Path) -> int:
    """The time of the latest line of a journal, by what lines end in."""
    try:
        return int(end[:-2])
    except ValueError:  # not all are as this version writes them
        with open(path, "rb") as file:
            return max((int(entry["at"]) for entry in map(parsed, file) if entry), default=0)
