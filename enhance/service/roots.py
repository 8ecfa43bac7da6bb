"""Which files the service may open: images below the folders that it was given, nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stages.kinds import IMAGES
from stages.sample import Fatal

_LONGEST = 4096  # characters of a path


class Roots:
    """The allowed folders, links resolved."""

    def __init__(self, folders: Sequence[str]) -> None:
        """Raises Fatal, status 2, for one that is none."""
        self._folders = []
        for folder in folders:
            path = Path(folder).expanduser()
            if not path.is_dir():
                raise Fatal(f"--allow_root {folder}: there is no such folder", 2)
            self._folders.append(path.resolve())

    def image(self, name: str) -> Path | None:
        """The image of that path, absolute or below a root; None if there is none that may be
        opened: whether it exists elsewhere is nobody's business."""
        if not name or len(name) > _LONGEST or "\0" in name:
            return None
        for root in self._folders:
            try:
                path = Path(os.path.realpath(root / name, strict=True))
            except (OSError, ValueError, RuntimeError):
                continue
            if any(path.is_relative_to(one) for one in self._folders) and _is_image(path):
                return path
        return None


def _is_image(path: Path) -> bool:
    try:
        return path.suffix.lower() in IMAGES and path.is_file()
    except OSError:
        return False
