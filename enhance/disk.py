"""Whole writes and the lock: what makes a run safe to kill and to start twice."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import time
from pathlib import Path

from filelock import FileLock, Timeout

from stages.sample import Fatal

_STRAY = ".enhance."  # our temporary files: dot-prefixed and not .txt, so that no trainer reads one


class Writer:
    """Writes files of one launch and rank, each whole or not at all."""

    def __init__(self, launch: str, rank: int) -> None:
        self._own = f"{_STRAY}{launch}."
        self._name = f"{self._own}{rank}."
        self._count = itertools.count()

    def write(
        self, path: Path, data: bytes, durable: bool = False, like: Path | None = None
    ) -> None:
        """Replaces `path` by a file holding `data`, with the rights of what stood there or, where
        nothing did, of `like`. `durable`: survives a power cut too.

        Raises OSError; what stood there before then still stands.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{self._name}{next(self._count)}.tmp"
        try:
            with open(temporary, "xb") as file:
                _take_rights(temporary, path, like)  # before a private text stands in it
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            _replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)

    def sweep(self, folders: list[Path]) -> None:
        """Removes temporary files that a killed launch left behind. Call with the lock held."""
        for folder in folders:
            for parent, names, files in os.walk(folder):
                names[:] = [name for name in names if not name.startswith(".")]
                for name in files:
                    stray = name.startswith(_STRAY) and name.endswith(".tmp")
                    if stray and not name.startswith(self._own):
                        Path(parent, name).unlink(missing_ok=True)


def _take_rights(temporary: Path, *models: Path | None) -> None:
    for model in filter(None, models):
        with contextlib.suppress(OSError):  # nothing stands there, or the disk knows no rights
            os.chmod(temporary, stat.S_IMODE(os.stat(model).st_mode))
            return


def _replace(temporary: Path, path: Path) -> None:
    # On Windows an indexer or virus scanner may hold the file for a moment.
    for attempt in range(8):
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            if os.name != "nt" or attempt == 7:
                raise
            time.sleep(0.02 * 2**attempt)


def sync_folder(folder: Path) -> None:
    """That a file is there survives a power cut too."""
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Lock:
    """One launch per dataset. Each of its ranks holds a file; those of dead launches are free."""

    def __init__(self, folder: Path, launch: str, rank: int) -> None:
        self._folder = folder
        self._own = f"lock.{launch}."
        self._path = folder / f"{self._own}{rank}.{os.getpid()}"
        self._lock = FileLock(self._path, timeout=0)
        self.found_dead = False  # an earlier launch was killed: it may have left files behind

    def __enter__(self) -> Lock:
        """Raises Fatal if another run is at work in this folder, or nothing can be written."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except (OSError, Timeout) as error:
            reason = getattr(error, "strerror", None) or error
            raise Fatal(f"cannot write into {self._folder}: {reason}") from None
        for other in self._folder.glob("lock.*"):
            if other.name.startswith(self._own):
                continue
            theirs = FileLock(other, timeout=1)  # other ranks too look whether it is a dead one
            try:
                theirs.acquire()
            except Timeout:
                self.__exit__()
                raise Fatal(
                    f"another run is at work in {self._folder.parent} (process "
                    f"{other.name.rpartition('.')[2]}): wait for it or stop it"
                ) from None
            self.found_dead = True
            other.unlink(missing_ok=True)
            theirs.release()
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        self._lock.release()
        with contextlib.suppress(OSError):  # a run that could not start leaves no folder
            self._folder.rmdir()
