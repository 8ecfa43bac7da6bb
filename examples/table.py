"""Prints what became of each picture of a captioned folder: manual caption, draft, final caption.

python examples/table.py demo
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import wrap
from unicodedata import east_asian_width

COLUMNS = {"picture": 20, "manual": 28, "draft": 34, "final": 42}
IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".gif"}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(argv).folder
    rows = [list(COLUMNS)]
    for image in sorted(folder.iterdir()):
        if image.suffix.lower() in IMAGES:
            stem = image.with_suffix("")
            texts = [_text(Path(f"{stem}{suffix}.txt")) for suffix in ("_manual", "_generated", "")]
            rows.append([image.name, *texts])
    for row in rows:
        print(_line("-" * width for width in COLUMNS.values()))
        cells = [
            wrap(cell, width) or [""] for cell, width in zip(row, COLUMNS.values(), strict=True)
        ]
        for number in range(max(map(len, cells))):
            print(_line(cell[number] if number < len(cell) else "" for cell in cells))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _line(cells: Iterable[str]) -> str:
    padded = (
        cell + " " * (width - _columns(cell))
        for cell, width in zip(cells, COLUMNS.values(), strict=True)
    )
    return "  ".join(padded).rstrip()


def _columns(text: str) -> int:
    """How wide a terminal shows it: Chinese and Japanese letters take two columns."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


if __name__ == "__main__":
    main()
