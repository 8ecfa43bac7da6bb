"""`enhance show FILE`: every text of one file, where it came from, and what is wrong with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from enhance.cache import FOLDER, with_caption
from enhance.concepts import Concept, Concepts
from enhance.console import say
from enhance.flags import Parser
from enhance.journal import Journal, as_bytes, text_hash
from enhance.ledgers import ledger
from enhance.owners import Owners
from enhance.records import Kept, Record
from stages import policy
from stages.clean import Clean
from stages.dataset import Layout, Options
from stages.kinds import MEDIA
from stages.load import load, read
from stages.sample import Caption, Fatal, Problem
from stages.text import CleanOptions, check, not_a_caption
from stages.text.encoding import decode, unreadable
from stages.text.file import check_file


def main(argv: Sequence[str]) -> int:
    """0, or Fatal with status 2 if the file is not part of a dataset."""
    parser = Parser(prog="enhance show", description=__doc__)
    parser.add_argument("file", metavar="FILE", help="an image or video of a captioned dataset")
    parser.add_argument("--sidecar_dir", default="", metavar="DIR", help="as in the run")
    parser.add_argument("--output_dir", default="", metavar="DIR", help="as in the run")
    parser.add_argument("--caption_extension", default=".txt", help="as in the run")
    wanted = parser.parse_args(argv)
    media = Path(os.path.abspath(Path(wanted.file).expanduser()))
    if media.suffix.lower() == wanted.caption_extension.lower():
        raise Fatal(f"{media} is a caption: name its picture or video", 2)
    if not media.is_file() or media.suffix.lower() not in MEDIA:
        raise Fatal(f"{media}: there is no such image or video", 2)
    layout = Layout.of(
        Options(
            dataset_dir=str(_dataset_of(media)),
            caption_extension=wanted.caption_extension,
            sidecar_dir=wanted.sidecar_dir,
            output_dir=wanted.output_dir,
        )
    )
    journal = Journal(layout.root / FOLDER, 0, read_only=True)
    say(layout.name(media))
    last = _rules(layout.root)
    concept = Concepts(layout, [str(media)], Concept("", last or policy.Options())).of(media)
    rules = concept.policy if last or concept.files else None
    if concept.files:
        say(f"  {concept}")
    for output in ("manual", "generated", "combined", "final"):
        path = layout.path(media, output)
        record = journal.record(layout.name(path))
        in_place = output == "final" and path == layout.original(media)
        data = read(path) or b""
        if in_place and not (record and (record.published or text_hash(data) in record.hashes)):
            output = "waits to be used, as manual"
        kept = journal.kept(layout.name(path))
        for line in (*_lines(output, path, record), *_replaced(path, kept)):
            say(f"  {line}")
        if path == layout.path(media, "final"):
            known = {problem.label for problem in record.problems} if record else set()
            for problem in _wrong(data, rules):
                if problem.label not in known:
                    say(f"    {problem.label}: {problem.message}")
    for line in _claims(layout, media, journal, rules):
        say(f"  {line}")
    return 0


def _claims(
    layout: Layout, media: Path, journal: Journal, rules: policy.Options | None
) -> Iterator[str]:
    """Where the words of a caption come from; nothing of one that a person wrote."""
    if rules is None:
        return
    (sample,) = load([str(media)], layout, Owners(layout, journal, Clean(rules)))
    if sample.failure:
        return
    for output in ("generated", "combined", "final"):
        path = layout.path(media, output)
        record, data = journal.record(layout.name(path)), read(path) or b""
        ours = record is not None and text_hash(data) in record.hashes
        if data.strip() and (ours or output == "generated"):
            sample = with_caption(sample, output, Caption(decode(data)[0], "ours"))
    found = ledger(sample, rules)
    if found is None:
        return
    yield "sources: " + "; ".join(f"{one.text} ({one.source})" for one in found.claims)
    if found.invented:
        yield f"  invented, in neither source: {', '.join(found.invented)}"
    if found.lost:
        yield f"  lost of the manual caption: {', '.join(found.lost)}"


def _wrong(data: bytes, rules: policy.Options | None) -> list[Problem]:
    """What is wrong with a final caption; without `rules`, by which one was made, as such."""
    problems = check_file(data)
    if not data.strip() or unreadable(data):
        return problems if data else []
    caption = " ".join(decode(data)[0].split())
    if rules is None:
        lost = not_a_caption(caption)
        return [*problems, lost] if lost else problems
    options = CleanOptions.of(rules)
    return [
        *problems,
        *check(caption, lora_type=rules.lora_type, anchor=rules.anchor, options=options),
    ]


def _rules(root: Path) -> policy.Options | None:
    """The LoRA type and anchor that the last run's report names."""
    try:
        settings = json.loads(read(root / FOLDER / "report.json") or b"{}").get("settings", {})
        names = [option.name for option in fields(policy.Options) if option.name in settings]
        values = {name: settings[name]["value"] for name in names}
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        rules = policy.Options(**values | lists)
        policy.policy_of(rules)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, Fatal):
        return None
    return rules if names else None


def _dataset_of(media: Path) -> Path:
    """The nearest folder above that a run has worked in, else the file's own."""
    return next((up for up in media.parents if (up / FOLDER).is_dir()), media.parent)


def _lines(output: str, path: Path, record: Record | None) -> Iterator[str]:
    data = read(path)
    if data is not None and data.strip():
        ours = record is not None and text_hash(data) in record.hashes
        by = record.origin or "enhance" if ours and record else "a person"
        yield f"{output} ({path.name}, by {by}): {decode(data)[0].strip()}"
    else:
        yield f"{output}: none"
    if record is None:
        return
    if record.failure:
        yield f"  failed: {record.failure}"
    if record.text is not None:
        yield f"  not usable, so not written: {record.text.strip() or '(nothing)'}"
    for problem in record.problems:
        yield f"  {problem.label}: {problem.message}"


def _replaced(path: Path, kept: Sequence[Kept]) -> Iterator[str]:
    """A person's texts that stood there once; not one that was brought back."""
    stands = read(path)
    for before in kept:
        data = as_bytes(before.text)
        if data != stands:
            by = f"enhance {job}" if (job := before.run.rpartition(" ")[0]) else "--overwrite"
            yield f"  written by a person, replaced by {by}: {decode(data)[0].strip()}"
