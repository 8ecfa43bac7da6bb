"""What lies below a folder: a stat per folder and link, none per file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stages.kinds import MEDIA
from stages.sample import Fatal


@dataclass(frozen=True, slots=True)
class Found:
    """The paths of files, as strings: there may be millions."""

    media: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # files that look like captions, whichever
    # Entries whose names begin with a dot; nobody looks into the folders.
    hidden: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)  # what else, by kind


def scan(root: Path, recursive: bool, extension: str, but: tuple[str, ...] = ()) -> Found:
    """Media, and texts with `extension` or .txt, those apart that end in one of `but`.

    Raises Fatal if nobody may look into `root`.
    """
    found = Found()
    captions = {".txt", extension.lower()}
    folders = [os.fspath(root)]
    seen: set[tuple[int, int]] = set()
    while folders:
        folder = folders.pop()
        try:
            # Not the entry's own stat(): on Windows that knows no inode.
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue  # links may form a circle
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                below = _sort(entries, found, captions, but)
        except OSError as error:
            if folder == os.fspath(root):
                raise Fatal(f"cannot look into {root}: {error.strerror}", 2) from None
            found.others[f"folders without access ({os.path.basename(folder)})"] += 1
            continue
        for path, link in below:
            if recursive:
                # Links last: a folder goes by its own name if it has one here.
                folders.insert(0 if link else len(folders), path)
            else:
                found.others["subfolders"] += 1
    return found


def _sort(
    entries: Iterator[os.DirEntry[str]], found: Found, captions: set[str], but: tuple[str, ...]
) -> list[tuple[str, bool]]:
    """Adds the files of a folder to what was found; its subfolders, and whether each is a link."""
    below = []
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            found.hidden.append(entry.path)
            continue  # hidden folders, and the ._ files macOS leaves on foreign disks
        link = entry.is_symlink()
        # os.path.isdir, unlike the entry, bears a link to itself.
        if os.path.isdir(entry.path) if link else entry.is_dir():
            below.append((entry.path, link))
            continue
        dot = name.rfind(".")  # not by os.path, which takes as long as all else here
        extension = name[dot:].lower() if dot > 0 else ""
        if extension in MEDIA:
            found.media.append(entry.path)
        elif extension not in captions:
            found.others[f"{extension or 'extensionless'} files"] += 1
        elif not name.endswith(but):
            found.texts.append(entry.path)
    return below
