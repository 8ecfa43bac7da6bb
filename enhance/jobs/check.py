"""`enhance check DIR`: what is wrong with the captions of a dataset, whoever wrote them."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from enhance.concepts import Concept, Concepts
from enhance.config import read_job
from enhance.console import say
from enhance.flags import Parser, job_parser
from enhance.jobs.findings import WHOLE, Found, Whole, print_json, print_text, some
from enhance.jobs.labels import LABELS
from enhance.jobs.trainers import TRAINERS, Trainer, missing
from enhance.jobs.work import folder_of
from stages import dataset, policy
from stages.dataset import NO_PICTURE, OTHER_FORM, Layout, Survey, survey
from stages.load import read
from stages.sample import Problem
from stages.text import CleanOptions, check
from stages.text.corpus import Entry, look_over
from stages.text.encoding import decode, unreadable
from stages.text.file import check_file

_ACCENTS = "is not read: its accents have another Unicode form (NFC, NFD) than the picture's"
_SHOWN = 100  # files, unless told otherwise: who has more fixes them by label
_LINE_BREAKS = re.compile(r"[\r\n]+")


def main(argv: Sequence[str]) -> int:
    """0 all well, 3 problems found. Raises Fatal, status 2, for a folder that cannot be checked."""
    options, rules, wanted = read_job(_parser(), argv)
    trainer = TRAINERS.get(wanted.trainer)
    layout = folder_of(options, "check")
    policy.policy_of(rules)  # or Fatal
    found = Found()
    seen = survey(options, layout)
    media = _chosen(seen, options)
    concepts = Concepts(layout, map(str, media), Concept("", rules))
    for concept in concepts.told:
        say(str(concept), sys.stderr)
    _check_captions(found, media, layout, concepts, trainer)
    _check_names(found, seen, layout, trainer)
    sets = list(_sets(found, concepts, layout, trainer))
    if wanted.format == "json":
        print_json(found, sets)
    else:
        print_text(found, sets, wanted.limit_files)
    if wanted.fail_on:
        told = (finding.label for whole in sets for finding in whole.findings)
        labels = set(found.labels()).union(told)
        return 3 if labels.intersection(wanted.fail_on) else 0
    return 3 if found.problems else 0


def _parser() -> Parser:
    parser = job_parser("check", __doc__ or "")
    group = parser.add_argument_group("check", "What is looked for and how it is told.")
    group.add_argument(
        "--trainer",
        choices=sorted(TRAINERS),
        default="",
        help="add what this trainer chokes on or drops in silence",
    )
    group.add_argument(
        "--fail_on",
        type=_labels,
        default=(),
        metavar="LABEL,…",
        help="exit with status 3 only for these problems (default: any in a file)",
    )
    group.add_argument("--format", choices=("text", "json"), default="text", help="of the answer")
    group.add_argument(
        "--limit_files",
        type=_at_least_none,
        default=_SHOWN,
        metavar="N",
        help=f"files told one by one in text (default: {_SHOWN}; 0: all); json has them all",
    )
    return parser


def _labels(text: str) -> tuple[str, ...]:
    labels = tuple(label for part in text.split(",") if (label := part.strip()))
    for label in labels:
        if label not in LABELS:
            meant = difflib.get_close_matches(label, LABELS, 1)
            hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(LABELS)}"
            raise argparse.ArgumentTypeError(f"{label!r} is no label: {hint}")
    return labels


def _at_least_none(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of files")
    return int(text)


def _chosen(seen: Survey, options: dataset.Options) -> list[Path]:
    return [Path(path) for path in seen.media[: options.limit or None]]


def _check_captions(
    found: Found,
    media: Sequence[Path],
    layout: Layout,
    concepts: Concepts,
    trainer: Trainer | None,
) -> None:
    """Each picture's caption: what a trainer would trip over, then what the policy says of it."""
    for path in media:
        concept = concepts.of(path)
        rules = concept.policy
        limit = rules.target_tokens or (trainer.token_limit if trainer else "t5")
        name = layout.name(path)
        file = layout.path(path, "final")
        try:
            data = read(file)
        except OSError as error:
            message = f"cannot read {file.name}: {error.strerror}"
            found.add(name, Problem("unreadable", True, message=message))
            continue
        if data is None:
            found.add(name, missing(path, file, trainer), trainer)
            continue
        problems = check_file(data, limit)
        # Nothing can be said of words that are guessed.
        caption = "" if unreadable(data) else decode(data)[0].strip()
        if caption:
            entry = Entry(name, caption, _draft(layout.path(path, "generated")))
            found.entries.setdefault(concept.name, []).append(entry)
            line = _LINE_BREAKS.sub(" ", caption)  # several lines are one problem, and told
            line = trainer.read(line, rules.anchor) if trainer else line
            problems += check(
                line,
                lora_type=rules.lora_type,
                anchor=rules.anchor,
                options=CleanOptions.of(rules),
            )
        for problem in problems:
            found.add(name, problem, trainer, concept.name)
        if problems:
            found.captions[name] = caption


def _sets(
    found: Found, concepts: Concepts, layout: Layout, trainer: Trainer | None
) -> Iterator[Whole]:
    """The captions of each concept taken together, and what the trainer's settings must say."""
    captions = [entry.caption for several in found.entries.values() for entry in several]
    notes = tuple(trainer.notes(layout, captions)) if trainer else ()
    alone = len(concepts.all) == 1
    for concept in concepts.all:
        corpus = look_over(found.entries.get(concept.name, []), concept.policy.anchor)
        yield Whole(concept.name, corpus, (*corpus.findings, *(notes if alone else ())))
    if notes and not alone:
        yield Whole(WHOLE, None, notes)


def _draft(path: Path) -> str | None:
    """What a vision model saw, if that can be read."""
    try:
        data = read(path)
    except OSError:
        return None
    return decode(data)[0].strip() if data is not None else None


def _check_names(found: Found, seen: Survey, layout: Layout, trainer: Trainer | None) -> None:
    for path, message in seen.clashes.items():
        found.add(layout.name(path), Problem("stem_collision", True, message=message), trainer)
    for reason, names in seen.orphans.items():
        for name in names:
            # Another extension is another text, unless only its case differs.
            if Path(name).suffix.lower() == layout.extension.lower():
                rename = f"is not read: trainers look for {layout.extension}, rename it"
                told = {NO_PICTURE: "belongs to no picture or video", OTHER_FORM: _ACCENTS}
                message = told.get(reason, rename)
                found.add(name, Problem("orphan_caption", False, message=message))
    forks = [path for path in seen.hidden if path.name.startswith("._")]
    if trainer:
        for name, problem in trainer.in_folder(seen, layout):
            found.add(name, problem)
    elif forks:
        some_forks = some([layout.name(path) for path in forks])
        say(
            f"files that macOS left: {some_forks}: OneTrainer stops at such pictures, SimpleTuner "
            "and diffusion-pipe take them for some",
            sys.stderr,
        )
