"""What the last run replaced, read back from the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enhance.journal import as_bytes, text_hash
from enhance.lines import entries


@dataclass(slots=True)
class Change:
    """One text that a run replaced by another."""

    old: bytes
    left: str  # the hash of what the run put in its place
    first_at: int
    last_at: int
    waited: bool = False  # a person's caption that was replaced for the first time
    manual: str = ""  # where it was kept then
    line: dict[str, Any] | None = None  # what was known of `old`, if it was ours


@dataclass(slots=True)
class Past:
    """One run, and all it did to texts; every rank's part."""

    run: str
    at: int
    changes: dict[str, Change] = field(default_factory=dict)  # by the name of the text
    created: set[str] = field(default_factory=set)


def last_run(folder: Path) -> Past | None:
    """The last run of any job that replaced texts and was not undone; its old texts are held in
    memory. None if there is none. Raises OSError if the journal cannot be read."""
    latest: dict[str, int] = {}
    undone = set()
    for entry in entries(folder):
        if "undone" in entry:
            undone.add(entry["undone"])
        elif _replaces(entry):
            latest[entry["run"]] = max(latest.get(entry["run"], 0), entry["at"])
    runs = [run for run in latest if run not in undone]
    if not runs:
        return None
    past = Past(max(runs, key=lambda run: latest[run]), 0)
    past.at = latest[past.run]
    for entry in entries(folder):
        if entry.get("run") == past.run:
            _gather(past, entry)
    _look_up(past, entries(folder))
    return past


def _replaces(entry: dict[str, Any]) -> bool:
    return bool(entry.get("run")) and ("was" in entry or "kept" in entry)


def _gather(past: Past, entry: dict[str, Any]) -> None:
    if not _replaces(entry):
        past.created.add(entry["path"])
        return
    name, at = entry["path"], entry["at"]
    left = entry["hash"] if "hash" in entry else entry["left"]
    old = as_bytes(entry["was"] if "was" in entry else entry["kept"])
    change = past.changes.setdefault(name, Change(old, left, at, at, "waited" in entry))
    if at < change.first_at:
        change.first_at, change.old, change.waited = at, old, "waited" in entry
    if at > change.last_at:
        change.last_at, change.left = at, left


def _look_up(past: Past, lines: Iterable[dict[str, Any]]) -> None:
    """What earlier lines say of the texts that were replaced."""
    hashes = {name: text_hash(change.old) for name, change in past.changes.items()}
    kept_at: dict[str, int] = {}
    for entry in lines:
        name = entry.get("path", "")
        change = past.changes.get(name)
        if change is None or entry["at"] >= change.first_at:
            continue
        if entry.get("hash") == hashes[name] and "key" in entry:
            if change.line is None or change.line["at"] < entry["at"]:
                change.line = entry
        elif ("manual" in entry or "unpublished" in entry) and entry["at"] > kept_at.get(name, 0):
            kept_at[name] = entry["at"]
            change.manual = entry.get("manual", "")
