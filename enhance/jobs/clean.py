"""`enhance clean DIR`: cleans the captions that exist as a run cleans its own, without a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from enhance.build import cleaner
from enhance.concepts import Concept, Concepts, check
from enhance.config import read_job
from enhance.console import say
from enhance.disk import Writer
from enhance.flags import job_parser
from enhance.jobs.diff import words
from enhance.jobs.marks import coloured
from enhance.jobs.work import at_work, folder_of, rewrite
from enhance.journal import Journal
from enhance.owners import Owners
from stages import policy, text
from stages.dataset import Layout, apart, notices, survey
from stages.load import read
from stages.sample import Sample
from stages.text.encoding import NAME_IT, Unreadable, readable


def main(argv: Sequence[str]) -> int:
    """0 done, 3 with --strict if captions were listed.

    Raises Fatal: status 2 for a folder or settings that cannot be used, 4 if another run is at
    work there.
    """
    parser = job_parser("clean", __doc__ or "")
    parser.add_argument(
        "--dry_run", action="store_true", help="show what would change, word by word; write nothing"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with status 3 if a caption needs a person"
    )
    options, rules, wanted = read_job(parser, argv)
    check(rules)
    layout = folder_of(options, "clean")
    seen = survey(options, layout)
    media, listed = apart(seen, layout, options.limit)
    for notice in notices(seen):
        say(notice, sys.stderr)
    concepts = Concepts(layout, media, Concept("", rules))
    for concept in concepts.told:
        say(str(concept), sys.stderr)
    if not all(concept.policy.anchor for concept in concepts.all if not concept.files):
        say("no --anchor: captions are cleaned without one", sys.stderr)
    done = already = 0
    with at_work(layout, "clean", wanted.dry_run) as (journal, writer):
        owners = Owners(layout, journal, cleaner(concepts))
        for picture in map(Path, media):
            path = layout.path(picture, "final")
            try:
                data = read(path)
                if data is None:
                    continue
                before, after = _cleaned(data, concepts.of(picture).policy)
                if data == after:
                    already += 1
                    continue
                if wanted.dry_run:
                    _show(layout.name(path), before, after.decode(), data == before.encode())
                else:
                    _replace(picture, path, data, after, layout, owners, journal, writer)
                done += 1
            except OSError as error:
                where = error.filename2 or error.filename or path
                listed.append(
                    f"{layout.name(path)}: cannot read or write {where}: {error.strerror}"
                )
            except Unreadable as reason:
                listed.append(f"{layout.name(path)}: {reason}; left as it is: {NAME_IT}")
            except ValueError as reason:
                listed.append(f"{layout.name(path)}: {reason}; left as it is")
    for line in listed:
        say(line)
    would = "would be cleaned" if wanted.dry_run else "cleaned"
    say(f"{done} {would}, {already} already clean, {len(listed)} listed")
    return 3 if listed and wanted.strict else 0


def _cleaned(data: bytes, rules: policy.Options) -> tuple[str, bytes]:
    """A caption as it is read, and the file that it is cleaned to.

    Raises ValueError, with the reason, for what is no caption or may not be published.
    """
    before, _ = readable(data)
    cleaned = text.clean(
        before,
        lora_type=rules.lora_type,
        anchor=rules.anchor,
        options=text.CleanOptions.of(rules),
    )
    reasons = [p.message or p.label for p in cleaned.problems if p.blocking]
    if cleaned.text is None or reasons:
        raise ValueError("; ".join(reasons) or "there is no caption in it")
    return before, cleaned.text.encode()


def _replace(
    picture: Path,
    path: Path,
    old: bytes,
    new: bytes,
    layout: Layout,
    owners: Owners,
    journal: Journal,
    writer: Writer,
) -> None:
    """Puts a cleaned caption in the place of what stands there, which is kept first.

    Raises OSError if that is impossible; what stood there then still stands.
    """
    name = layout.name(path)
    whose = owners.whose(Sample(picture), "final", path, old)
    if whose == "person":
        # Edited by hand, cleaned or not: later runs must leave it, so it is not noted as ours.
        journal.keep(name, old, new)
        rewrite(path, new, writer, dated=False)
        return
    if whose == "waiting":
        owners.keep_manual(picture, path, writer)
    # Without a key: the next run cleans its own merge.
    journal.replace(name, "", new, None, old, whose, origin="clean")
    rewrite(path, new, writer, dated=False)
    journal.published(name)


def _show(name: str, before: str, after: str, is_utf8: bool) -> None:
    say(f"{name}:" if is_utf8 else f"{name} (becomes UTF-8 without BOM):")
    say(f"  {words(before, after, coloured())}")
