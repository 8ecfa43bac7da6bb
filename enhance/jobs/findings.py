"""What `enhance check` found, and how it is told: as text or as one JSON object."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from enhance.console import say
from enhance.jobs.labels import LABELS
from enhance.jobs.marks import coloured, line_of, marked
from enhance.jobs.trainers import Trainer
from enhance.jobs.work import number
from stages.sample import Problem
from stages.text.corpus import Corpus, Entry, Finding

_PROBLEMS = 20  # of a file
_FINDINGS = 5  # of a label about the set
_PROMPTABLE = 16
WHOLE = "."  # the name of the dataset itself among its files


@dataclass(frozen=True, slots=True)
class Whole:
    """The captions of one concept taken together, or what is to be said of the dataset."""

    name: str  # the concept's folder, "" for the files that no caption.toml is about
    corpus: Corpus | None
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Found:
    """What was found, by name relative to the dataset."""

    _found: dict[str, dict[tuple[str, str], Problem]] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)  # of the files that have problems
    # Of every caption that can be read, by its concept.
    entries: dict[str, list[Entry]] = field(default_factory=dict)

    def add(
        self, name: str, problem: Problem, trainer: Trainer | None = None, concept: str = ""
    ) -> None:
        """With what the trainer makes of it, unless that is nothing bad."""
        told = trainer.explain(problem) if trainer else problem
        if told is None:
            return
        # The anchor is one for all of a concept; a file's problem may be one of its words too.
        whose = (concept or WHOLE) if told.label == "generic_anchor" else name
        self._found.setdefault(whose, {}).setdefault((told.label, told.where), told)

    @property
    def problems(self) -> Mapping[str, Collection[Problem]]:
        return {name: found.values() for name, found in self._found.items()}

    def labels(self) -> Counter[str]:
        """How many files have each problem, most frequent first."""
        counts = Counter(
            label for found in self.problems.values() for label in {one.label for one in found}
        )
        return Counter(dict(counts.most_common()))


def print_json(found: Found, sets: Sequence[Whole]) -> None:
    """`problems`: files by label; `files`: problems by file, "." being the dataset; `set`, or
    `sets` by folder where there are several concepts."""
    told = {
        "problems": dict(found.labels()),
        "files": {name: [*map(asdict, several)] for name, several in found.problems.items()},
    }
    if len(sets) == 1:
        told["set"] = _as_json(sets[0])
    else:
        told["sets"] = {whole.name: _as_json(whole) for whole in sets}
    say(json.dumps(told, indent=1, ensure_ascii=False))


def _as_json(whole: Whole) -> dict[str, Any]:
    corpus = whole.corpus
    findings = [asdict(finding) for finding in whole.findings]
    if corpus is None:
        return {"findings": findings}
    return {
        "captions": corpus.captions,
        "lengths": asdict(corpus.lengths) if corpus.lengths else None,
        "findings": findings,
        "promptable": [asdict(share) for share in corpus.promptable],
    }


def print_text(found: Found, sets: Sequence[Whole], limit_files: int) -> None:
    colour = coloured()
    problems = found.problems
    for label, count in found.labels().items():
        say(f"{count:6} {label:28} {LABELS.get(label, '')}".rstrip())
    for name in list(problems)[: limit_files or None]:
        say("")
        for line in _file(name, problems[name], found.captions.get(name, ""), colour):
            say(line)
    if 0 < limit_files < len(problems):
        left = len(problems) - limit_files
        say(f"\n… and {left} more files: --limit_files 0 tells them all, --format json too")
    for whole in sets:
        for line in _set(whole, several=len(sets) > 1):
            say(line)
    files = len(problems.keys() - {WHOLE})
    nothing = "the dataset has a problem" if problems else "no problems found"
    some_files = "1 file has problems" if files == 1 else f"{files} files have problems"
    say(some_files if files else nothing)


def _file(name: str, problems: Collection[Problem], caption: str, colour: bool) -> Iterator[str]:
    title = name if name.isprintable() else repr(name)
    title = "the dataset" if name == WHOLE else title
    words = marked(caption, (problem.where for problem in problems), colour)
    yield f"{title}: {words}" if caption else title
    for problem in islice(problems, _PROBLEMS):
        yield f"  {problem.label}: {line_of(problem.message)}"
    if len(problems) > _PROBLEMS:
        yield f"  … and {len(problems) - _PROBLEMS} more, told by --format json"


def _set(whole: Whole, several: bool) -> Iterator[str]:
    corpus, findings = whole.corpus, whole.findings
    if (corpus is None or corpus.captions < 2) and not findings:
        return
    yield ""
    where = f"{whole.name or 'the other folders'}: " if several and corpus else ""
    yield f"{where}the set of {number(corpus.captions, 'caption')}" if corpus else "the dataset"
    lengths = corpus.lengths if corpus else None
    if lengths:
        far = some([f"{name} {words}" for name, words in lengths.outliers])
        words = (
            f"{lengths.fewest} to {number(lengths.most, 'word')}, {lengths.median} in the middle"
        )
        yield f"  lengths: {words}{f'; far from it: {far}' if far else ''}"
    told: Counter[str] = Counter()
    for finding in findings:
        told[finding.label] += 1
        if told[finding.label] <= _FINDINGS:
            names = f" ({some(finding.names)})" if finding.names else ""
            yield f"  {finding.label}: {line_of(finding.message)}{names}"
    for label, count in told.items():
        if count > _FINDINGS:
            yield f"  {label}: {count - _FINDINGS} more, told by --format json"
    if corpus and corpus.promptable:
        asked = [f"{share.phrase} {100 * share.count // share.of} %" for share in corpus.promptable]
        yield f"  prompts will be able to ask for: {some(asked, _PROMPTABLE)}"
    yield ""


def some(names: Sequence[str], most: int = 4) -> str:
    """The first of several names."""
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")
