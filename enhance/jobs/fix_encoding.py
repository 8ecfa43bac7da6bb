"""`enhance fix-encoding DIR`: every caption file below DIR becomes UTF-8 without BOM."""

from __future__ import annotations

import argparse
import codecs
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from enhance.config import read_job
from enhance.console import say
from enhance.disk import Writer
from enhance.flags import job_parser
from enhance.jobs.work import at_work, folder_of, number, rewrite
from enhance.journal import Journal
from stages.dataset import Layout
from stages.scan import scan
from stages.text.encoding import Unreadable, readable

_SHOWN = 8  # kinds of characters named per file
_SAY = "save it as UTF-8, or say --encoding NAME"


def main(argv: Sequence[str]) -> int:
    """0 done, 3 with --strict if files were listed.

    Raises Fatal: status 2 for a folder or settings that cannot be used, 4 if another run is at
    work there.
    """
    parser = job_parser("fix-encoding", __doc__ or "")
    parser.add_argument(
        "--also",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="other text files to make UTF-8; the --config file is one anyway",
    )
    parser.add_argument(
        "--encoding",
        type=_encoding,
        default=None,
        metavar="NAME",
        help="of the files that are not UTF-8: gbk, cp1251, shift_jis … (default: UTF-16 by its "
        "byte order mark, else Windows-1252)",
    )
    parser.add_argument(
        "--dry_run", action="store_true", help="say what would change; write nothing"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with status 3 if a file needs a person"
    )
    options, _, wanted = read_job(parser, argv, text=_lenient)
    layout = folder_of(options, "fix-encoding")
    changed, total, listed = 0, 0, []
    with at_work(layout, "fix-encoding", wanted.dry_run) as (journal, writer):
        for path in _files(layout, options.recursive, wanted.config, wanted.also):
            total += 1
            name = layout.name(path)
            try:
                if path.name.startswith(".env"):
                    raise ValueError("keys may stand in it, which must not stand in the journal")
                data = path.read_bytes()
                text, encoding = readable(data, wanted.encoding or "")
                new = text.encode()
                if new != data:
                    if not wanted.dry_run:
                        _replace(path, name, data, new, journal, writer)
                    changed += 1
                    say(f"{name}: {encoding} to UTF-8 ({_characters(text)})")
            except OSError as error:
                where = error.filename2 or error.filename or path
                listed.append(f"{name}: cannot read or write {where}: {error.strerror}")
            except Unreadable as reason:
                listed.append(f"{name}: {reason}; left as it is: {_SAY}")
            except ValueError as reason:
                listed.append(f"{name}: {reason}; left as it is: save it as UTF-8")
    for line in listed:
        say(line)
    would = "would be changed" if wanted.dry_run else "changed"
    fine = total - changed - len(listed)
    say(f"{number(total, 'file')}: {changed} {would}, {fine} already UTF-8, {len(listed)} listed")
    return 3 if listed and wanted.strict else 0


def _encoding(name: str) -> str:
    try:
        "".encode(name)  # unlike the look-up it refuses what is none of texts
        return codecs.lookup(name).name
    except (LookupError, UnicodeError, ValueError):
        raise argparse.ArgumentTypeError(f"{name!r} is no encoding of texts") from None


def _lenient(data: bytes) -> str:
    """The --config file itself may be what is to be made UTF-8."""
    return readable(data)[0]


def _files(
    layout: Layout, recursive: bool, config: str | None, also: Sequence[str]
) -> Iterator[Path]:
    """Caption files, orphans too, and what was named; each once."""
    folders = dict.fromkeys((layout.root, layout.sidecars, layout.finals))
    found = {
        Path(text)
        for folder in folders
        if folder.is_dir()
        for text in scan(folder, recursive, layout.extension).texts
    }
    yield from sorted(found)
    own = [config] if config and Path(config).expanduser().exists() else []  # else a shipped one
    # The file itself, not a link to it: what is written takes the place of the name.
    named = {Path(os.path.realpath(Path(file).expanduser())) for file in (*own, *also)}
    yield from sorted(named - found)


def _replace(
    path: Path, name: str, old: bytes, new: bytes, journal: Journal, writer: Writer
) -> None:
    """Raises OSError if that is impossible; what stood there then still stands."""
    journal.keep(name, old, new)  # whoever wrote it, the text is theirs still
    # Where the journal was deleted, the age tells whether it is a caption or an edited final.
    rewrite(path, new, writer, dated=journal.record(name) is None)


def _characters(text: str) -> str:
    """Which characters beyond ASCII, and how many of each."""
    counts = Counter(character for character in text if not character.isascii())
    kinds = [
        character + (f" ×{count}" if count > 1 else "")
        for character, count in counts.most_common(_SHOWN)
    ]
    if len(counts) > _SHOWN:
        kinds.append(f"and {len(counts) - _SHOWN} more kinds")
    return ", ".join(kinds) or "ASCII only"
