"""What the tables of a policy's file say under the user's `--allow`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stages.wordlists import read_words


def examples(
    tables: Mapping[str, Any], kind: str, needed: Sequence[str], allow: tuple[str, ...]
) -> tuple[Mapping[str, str], ...]:
    """The examples of a kind that hold under `allow`: those that show a trait left out (`without`)
    go once it may be described, those that show it described (`with`) come then.

    Raises ValueError for an unknown trait, KeyError for what is missing.
    """
    result = []
    for entry in tables.get(kind, ()):
        table: dict[str, Any] = {"text": entry} if isinstance(entry, str) else dict(entry)
        told, left = traits(table.pop("with", ())), traits(table.pop("without", ()))
        if set(told) <= set(allow) and not set(left) & set(allow):
            example = {"person": "", "why": "", **table}
            result.append({name: str(example[name]) for name in (*needed, "person", "why")})
    return tuple(result)


def omitted(
    entries: Sequence[Any], allow: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(lines of the prompt, traits to look for): an entry is a line, or one with its traits.

    Raises ValueError for an unknown trait.
    """
    lines: list[str] = []
    left_out: list[str] = []
    for entry in entries:
        named = [] if isinstance(entry, str) else traits(entry.get("traits", ()))
        left = [trait for trait in named if trait not in allow]
        if len(left) == len(named):
            lines.append(entry if isinstance(entry, str) else str(entry["say"]))
        elif left:
            lines.append(", ".join(left))
        left_out += left
    return tuple(lines), tuple(left_out)


def traits(names: Sequence[str]) -> list[str]:
    """Names of traits. Raises ValueError for an unknown one."""
    for name in names:
        if name not in read_words().traits:
            raise ValueError(f"{name!r} is none of: {', '.join(read_words().traits)}")
    return list(names)
