"""The lines of the journals, as they stand in their files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CRASH = b"Fatal Python error: "  # as `faulthandler` begins


def entries(folder: Path) -> Iterator[dict[str, Any]]:
    """Every line of all ranks' journals; each rank's in their order."""
    for path in journals(folder):
        yield from whole_lines(path, {})


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("journal.*.jsonl"))


def whole_lines(path: Path, read: dict[Path, int]) -> Iterator[dict[str, Any]]:
    """The whole lines of a journal behind the bytes that were `read`."""
    with open(path, "rb") as file:
        file.seek(read.get(path, 0))
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                if not line.endswith(b"\n"):
                    break  # cut by a kill, or being written: what it announces was not written
                entry = None
                if line.startswith(_CRASH):
                    how = line[len(_CRASH) :].decode(errors="replace").strip()
                    entry = {"crashed": how, "at": 0}
            read[path] = read.get(path, 0) + len(line)
            if isinstance(entry, dict) and isinstance(entry.get("at"), int):
                yield entry
