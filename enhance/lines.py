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
        with open(path, "rb") as file:
            for line in file:
                entry = parsed(line)
                if entry is not None:
                    yield entry


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("journal.*.jsonl"))


def parsed(line: bytes) -> dict[str, Any] | None:
    """What a line says; None if it is none of ours, or was cut by a kill: what it announced was not
    written."""
    try:
        entry = json.loads(line.decode("utf-8", "surrogatepass"))  # bytes would be looked at first
    except ValueError:
        if not line.startswith(_CRASH):
            return None
        how = line[len(_CRASH) :].decode(errors="replace").strip()
        return {"crashed": how, "at": 0} if line.endswith(b"\n") else None
    return entry if isinstance(entry, dict) and isinstance(entry.get("at"), int) else None
