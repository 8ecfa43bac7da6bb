"""Which files the service may open: those below the folders that it was given, nothing else."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import IO

from enhance.cache import FOLDER
from stages.kinds import IMAGES, MEDIA
from stages.sample import Fatal, Unavailable

_LONGEST = 4096  # characters of a path
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
_AS_IT_IS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # a pipe would be waited for


class Missing(Unavailable):
    """There is no such image, or none that may be opened: the two are answered alike."""


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
        return self._found(name, lambda path: _is_file(path, IMAGES))

    def dataset(self, name: str) -> tuple[Path, Path | None] | None:
        """(a dataset, the file or folder in it that is meant or None for all of it), of the path of
        a folder, an image or a video; None as above. All belongs to the nearest folder that was
        captioned as a whole: another one would take the texts there for a person's."""
        path = self._found(name, lambda path: path.is_dir() or _is_file(path, MEDIA))
        if path is None:
            return None
        own = path if path.is_dir() else path.parent
        above = [one for one in (own, *own.parents) if self._holds(one)]
        dataset = next((one for one in above if (one / FOLDER).is_dir()), own)
        return dataset, None if dataset == path else path

    def captioned_below(self, folder: Path) -> list[str]:
        """The folders below one that were captioned by themselves, as they are called there."""
        inner = (Path(parent) for parent, folders, _ in os.walk(folder) if FOLDER in folders)
        return sorted(str(one.relative_to(folder)) for one in inner if one != folder)

    def escape(self, folder: Path) -> Path | None:
        """The first link below a folder that leads out of the roots: whoever reads and writes there
        would do so elsewhere."""
        left, seen = [folder], {folder}
        while left:
            for parent, folders, files in os.walk(left.pop()):
                for path in (Path(parent, name) for name in (*folders, *files)):
                    if not path.is_symlink():
                        continue
                    target = Path(os.path.realpath(path))
                    if not self._holds(target):
                        return path
                    if target not in seen and target.is_dir():
                        seen.add(target)
                        left.append(target)
        return None

    def _found(self, name: str, fits: Callable[[Path], bool]) -> Path | None:
        if not name or len(name) > _LONGEST or "\0" in name:
            return None
        # Below a root, or by the root's own name: "annika/01.png" of --allow_root ~/sets/annika.
        for place in [*self._folders, *(root.parent for root in self._folders)]:
            try:
                path = Path(os.path.realpath(place / name, strict=True))
                if self._holds(path) and fits(path):
                    return path
            except (OSError, ValueError, RuntimeError):
                continue
        return None

    def open(self, path: Path) -> IO[bytes]:
        """A file that `image` found, to be read. It was looked at some time ago: no link is
        followed that has taken its place, or that of a folder on the way to it. Raises Missing,
        Unavailable."""
        root = next((one for one in self._folders if path.is_relative_to(one)), None)
        if root is None:
            raise Missing("the image file is gone")
        try:
            return _opened(root, path.relative_to(root).parts)
        except PermissionError:
            raise Unavailable("no permission to read the image file") from None
        except OSError:
            raise Missing("the image file is gone") from None

    def _holds(self, path: Path) -> bool:
        return any(path.is_relative_to(one) for one in self._folders)


def _is_file(path: Path, kinds: Collection[str]) -> bool:
    return path.suffix.lower() in kinds and path.is_file()


def _opened(root: Path, parts: Sequence[str]) -> IO[bytes]:
    """Step by step from the root. Raises OSError."""
    if os.open not in os.supports_dir_fd:  # Windows, where links are for administrators
        return root.joinpath(*parts).open("rb")
    at = os.open(root, _FOLDER | _AS_IT_IS)
    try:
        for folder in parts[:-1]:
            inner = os.open(folder, _FOLDER | _AS_IT_IS, dir_fd=at)
            os.close(at)
            at = inner
        file = os.open(parts[-1], os.O_RDONLY | _AS_IT_IS | _AT_ONCE, dir_fd=at)
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError
    return os.fdopen(file, "rb")
