"""Datasets within datasets: each knows its own texts alone, and takes the other's for yours."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from enhance.cache import FOLDER


def above(root: Path) -> Path | None:
    """The nearest folder above a dataset that was captioned as one."""
    return next((one for one in root.parents if (one / FOLDER).is_dir()), None)


def below(root: Path, media: Iterable[str]) -> list[Path]:
    """The folders on the way to some media that were captioned by themselves."""
    top = os.fspath(root)
    seen: set[str] = {top}
    for folder in map(os.path.dirname, media):
        while folder not in seen and len(folder) > len(top):
            seen.add(folder)
            folder = os.path.dirname(folder)
    return [Path(one) for one in sorted(seen - {top}) if os.path.isdir(os.path.join(one, FOLDER))]


def notices(root: Path, media: Iterable[str]) -> list[str]:
    """What a person should know before the texts of one count as written by hand in the other."""
    over, under = above(root), below(root, media)
    told = []
    if over is not None:
        told.append(
            f"{over} was captioned as a whole: its texts in {root.name} count as yours here. "
            f"--dataset_dir {over} --files {root} goes on with them"
        )
    if under:
        names = ", ".join(os.path.relpath(one, root) for one in under[:3])
        more = " …" if len(under) > 3 else ""
        told.append(
            f"captioned by themselves before: {names}{more}; their texts count as yours here. "
            "Go on with each of these folders by itself"
        )
    return told
