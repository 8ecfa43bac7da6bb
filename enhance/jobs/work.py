"""A job at work on texts that exist: alone in the dataset, and with its name in the journal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from enhance.cache import FOLDER
from enhance.disk import Lock, Writer
from enhance.journal import Journal
from enhance.ranks import Ranks
from stages.dataset import Layout, Options
from stages.sample import Fatal


@contextmanager
def at_work(layout: Layout, job: str, dry_run: bool) -> Iterator[tuple[Journal, Writer]]:
    """The journal and the writer of a job; in a dry run the journal notes nothing.

    Raises Fatal if another run is at work in the dataset, or nothing can be written there.
    """
    folder = layout.root / FOLDER
    launch = Ranks().launch
    writer = Writer(launch, 0)
    if dry_run:
        yield Journal(folder, 0, read_only=True), writer
        return
    with Lock(folder, launch, 0) as lock:
        if lock.found_dead:
            writer.sweep(list({layout.root, layout.sidecars, layout.finals, folder}))
        with closing(Journal(folder, 0, run=f"{job} {launch}")) as journal:
            yield journal, writer


def folder_of(options: Options, job: str) -> Layout:
    """Where a job works. Raises Fatal, status 2, for a folder that cannot be used or was not
    named."""
    if not options.dataset_dir:
        raise Fatal(f"say which folder: enhance {job} DIR", 2)
    return Layout.of(options)


def rewrite(path: Path, data: bytes, writer: Writer, dated: bool) -> None:
    """Replaces what stands in a file, whose rights stay, or in the one that a link leads to; if it
    is `dated`, its time stays too.

    Raises OSError; what stood there then still stands.
    """
    status = os.stat(path)
    file = Path(os.path.realpath(path)) if path.is_symlink() else path
    writer.write(file, data, durable=True)
    if dated:
        with suppress(OSError):  # not every disk knows times
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def number(count: int, thing: str) -> str:
    """ "1 text", "2 texts"."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
