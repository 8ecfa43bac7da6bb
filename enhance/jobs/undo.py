"""`enhance undo DIR`: brings back, byte for byte, what the last run replaced."""

from __future__ import annotations

import time
from collections.abc import Sequence

from enhance.cache import FOLDER
from enhance.config import read_job
from enhance.console import say
from enhance.disk import Writer
from enhance.flags import job_parser
from enhance.jobs.history import Change, Past, last_run
from enhance.jobs.work import at_work, folder_of, number, rewrite
from enhance.journal import Journal, text_hash
from stages.dataset import Layout
from stages.load import read


def main(argv: Sequence[str]) -> int:
    """0 done, or nothing to undo; 3 if a text could not be written.

    Raises Fatal, status 2 for a folder that cannot be used, 4 if another run is at work there.
    """
    parser = job_parser("undo", __doc__ or "")
    parser.add_argument(
        "--dry_run", action="store_true", help="say what would come back; write nothing"
    )
    options, _, wanted = read_job(parser, argv)
    layout = folder_of(options, "undo")
    with at_work(layout, "undo", wanted.dry_run) as (journal, writer):
        past = last_run(layout.root / FOLDER)
        if past is None:
            say(f"nothing to undo: no text in {layout.root} was replaced, or all are back")
            return 0
        back, left, failed = _undo(past, layout, journal, None if wanted.dry_run else writer)
        if not failed and not wanted.dry_run:
            journal.undone(past.run)
    for line in (*left, *failed):
        say(line)
    job = past.run.rpartition(" ")[0]
    who = f"enhance {job}" if job else "the run"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(past.at / 1e9))
    verb = "would come back" if wanted.dry_run else "brought back"
    say(
        f"{number(back, 'text')} {verb} that {who} of {when} replaced, {len(left)} left as they are"
        + (f", {len(past.created)} that it made stay" if past.created else "")
    )
    if failed:
        say(f"{number(len(failed), 'text')} could not be written: the same command tries again")
    return 3 if failed else 0


def _undo(
    past: Past, layout: Layout, journal: Journal, writer: Writer | None
) -> tuple[int, list[str], list[str]]:
    """How many texts came back, which are left and why, which could not be written; without a
    writer, what would be."""
    back, left, failed = 0, [], []
    for name, change in sorted(past.changes.items()):
        try:
            data = read(layout.root / name)
        except OSError as error:
            left.append(f"{name}: {error.strerror}; left as it is")
            continue
        if data is None:
            left.append(f"{name}: was deleted since; left so")
        elif data != change.old and text_hash(data) != change.left:
            left.append(f"{name}: was edited since; left as it is")
        elif writer is None:
            say(f"{name}: would come back")
            back += 1
        else:
            try:
                left += _bring_back(name, change, data, layout, journal, writer)
                back += 1
            except OSError as error:
                where = error.filename2 or error.filename or name
                failed.append(f"{name}: cannot write {where}: {error.strerror}")
    return back, left, failed


def _bring_back(
    name: str, change: Change, data: bytes, layout: Layout, journal: Journal, writer: Writer
) -> list[str]:
    """Puts one old text in its place again, and the journal back to what it knew of it. Each step
    may be the last before a kill: whoever comes again goes through all of them.

    What is left of it and why. Raises OSError if it cannot be written.
    """
    path = layout.root / name
    record = journal.record(name)
    if change.line is not None and (record is None or record.hash != text_hash(change.old)):
        journal.again(change.line)
    if data != change.old:
        rewrite(path, change.old, writer, dated=record is None)  # as fix-encoding did
    if not change.waited:
        return []
    if record is None or record.unpublished_at < change.last_at:
        journal.unpublish(name)
    if not change.manual:
        return []
    manual = layout.root / change.manual
    kept = read(manual)
    if kept == change.old:
        manual.unlink()
    elif kept is not None:
        return [f"{change.manual}: was edited since; left as it is"]
    return []
