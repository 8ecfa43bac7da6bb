"""Eight pictures with a manual caption each, and servers that merge them or fail."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from doors import run_here
from loopback import Answer, Script, texts_of

NAMES = [f"{number:02}" for number in range(8)]
ALL = {name: f"in cutout style, note {name}" for name in NAMES}


def answer(_: int, body: dict[str, Any]) -> Answer:
    """A merge without a draft."""
    texts = texts_of(body)
    return Answer(f"in {texts['anchor']}, {texts['person']}")


def merge_on(url: str, folder: Path, *more: str) -> int:
    """Merges what people wrote on the server at this address: the exit status."""
    flags = ["--anchor", "cutout style", "--lora_type", "style", "--no_generate"]
    return run_here("--dataset_dir", folder, "--base_url", url, *flags, *more)


def note_of(body: dict[str, Any]) -> str:
    return texts_of(body)["person"].removeprefix("note ")


def failing_first(*faults: Answer) -> Script:
    """Every file meets all these faults, one after the other, before it gets its answer."""
    met: dict[str, int] = {}
    turn = threading.Lock()

    def script(number: int, body: dict[str, Any]) -> Answer:
        with turn:
            seen = met.get(note_of(body), 0)
            met[note_of(body)] = seen + 1
        return faults[seen] if seen < len(faults) else answer(number, body)

    return script


def failing_for(name: str, fault: Answer) -> Script:
    """One file meets this fault whenever it asks."""
    return lambda number, body: fault if note_of(body) == name else answer(number, body)


def error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "error"}}).encode()


def complaint(err: str) -> str:
    """The one line by which a run ends."""
    (line,) = [line for line in err.splitlines() if "enhance: " in line]
    return line
