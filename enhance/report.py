"""What became of a run: counts, the summary, the list for a person, `.enhance/report.json`."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from enhance import __version__, ledgers
from enhance.console import Bar, say
from enhance.ranks import Ranks
from stages.dataset import Layout
from stages.sample import Sample

LABELS = {"generated": "draft", "combined": "merge", "final": "clean"}
_LISTED = 20  # files named in the summary; the report names all


class Report:
    """Counts of this rank, bars over all ranks, and at the end the whole story."""

    def __init__(
        self, layout: Layout, ranks: Ranks, total: int, outputs: list[str], rules: ledgers.Rules
    ) -> None:
        """`rules` are those of a media file, by which its ledger is made."""
        self._layout = layout
        self._ranks = ranks
        self._turn = threading.Lock()
        self._began = time.time()
        self._total = total
        self.stages = {output: Counter[str]() for output in outputs}
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._files: Counter[str] = Counter()
        self._failed: list[dict[str, str]] = []
        self._people: list[dict[str, Any]] = []
        self._notes: list[dict[str, str]] = []
        self._ledgers = ledgers.Ledgers(rules)
        self._bars = {
            output: Bar(LABELS[output], total, ranks, position)
            for position, output in enumerate(outputs)
        }

    def advance(self, output: str, act: str) -> None:
        """One file has passed a stage: "done", "fresh", "edited", "refused" or "failed"."""
        with self._turn:
            self.stages[output][act] += 1
            self._bars[output].advance(act)

    @contextlib.contextmanager
    def timed(self, output: str) -> Iterator[None]:
        """Adds to the seconds that threads spent in a stage, unless that ends the run."""
        began = time.perf_counter()
        yield
        with self._turn:
            self._seconds[output] += time.perf_counter() - began

    def count(self, sample: Sample) -> None:
        """A sample at the end of its way."""
        name = self._layout.name(sample.media)
        captions = (sample.manual, sample.generated, sample.combined, sample.final)
        if sample.failure:
            self._files["failed"] += 1
            stage, reason = sample.failure.stage, sample.failure.message
            self._failed.append({"file": name, "stage": stage, "reason": reason})
            # It never reached the later stages: their bars count it here.
            with self._turn:
                for output, bar in self._bars.items():
                    if list(self._bars).index(output) > self._index(stage):
                        bar.advance("failed")
            return
        last = next((caption for caption in reversed(captions) if caption is not None), None)
        if sample.combined is not None and sample.combined.blocked:
            last = sample.combined  # where it was lost; nothing of it was left to clean
        blocked = [problem for problem in last.problems if problem.blocking] if last else []
        if blocked:
            self._files["needs_a_person"] += 1
            self._people.append(
                {
                    "file": name,
                    "stage": next(
                        output
                        for output in ("final", "combined", "generated", "manual")
                        if getattr(sample, output) is last
                    ),
                    "reason": "; ".join(problem.message or problem.label for problem in blocked),
                    "problems": [problem.label for problem in blocked],
                    "text": last.text if last else "",
                }
            )
        else:
            self._files["captioned"] += 1
        self._note(name, captions)
        if "combined" in self.stages:
            self._ledgers.count(name, sample)

    def _index(self, output: str) -> int:
        outputs = list(self._bars)
        return outputs.index(output) if output in outputs else -1

    def _note(self, name: str, captions: tuple[Any, ...]) -> None:
        for caption in captions:
            for problem in caption.problems if caption else ():
                if not problem.blocking:
                    note = {"file": name, "problem": problem.label, "message": problem.message}
                    self._notes.append(note)

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()

    def finish(
        self, spent: Mapping[str, Counter[str]], settings: Mapping[str, Any], complete: bool
    ) -> dict[str, Any] | None:
        """Ends the bars. The last rank to call gets the report of all ranks, the others None."""
        self.close()
        mine = {
            "files": self._files,
            "stages": {
                output: {**counts, "seconds": _rounded_up(self._seconds[output]), **spent[output]}
                for output, counts in self.stages.items()
            },
            "failed": self._failed,
            "needs_a_person": self._people,
            "notes": self._notes,
            "ledger": self._ledgers.as_json(),
        }
        told = self._ranks.tell(json.dumps(mine)) if complete else [json.dumps(mine)]
        if told is None or (not complete and not self._ranks.main):
            return None
        return self._whole([json.loads(text) for text in told], settings, complete)

    def _whole(
        self, parts: list[dict[str, Any]], settings: Mapping[str, Any], complete: bool
    ) -> dict[str, Any]:
        files: Counter[str] = Counter()
        stages = {output: Counter[str]() for output in self.stages}
        for part in parts:
            files.update(part["files"])
            for output, counts in part["stages"].items():
                stages[output].update(counts)
        if not complete and "final" in stages:  # stopped before they were counted one by one
            ended = sum(stages["final"][act] for act in ("done", "fresh", "edited"))
            files["captioned"] = max(files["captioned"], ended)
        return {
            "enhance": __version__,
            # Without the launcher's store a rank knows only its own share.
            "complete": complete and sum(files.values()) == self._total,
            "dataset": str(self._layout.root),
            "ranks": self._ranks.world,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self._began)),
            "seconds": round(time.time() - self._began, 3),
            "files": {"all": self._total, **files},
            "stages": stages,
            **{
                name: sorted((row for part in parts for row in part[name]), key=_by_file)
                for name in ("failed", "needs_a_person", "notes")
            },
            "ledger": ledgers.together(part["ledger"] for part in parts),
            "settings": settings,
        }


def worked(report: Mapping[str, Any]) -> bool:
    """True if the run did anything: a run that found all up to date leaves no trace."""
    return any(counts["seconds"] for counts in report["stages"].values())


def news(report: Mapping[str, Any], before: bytes | None) -> bool:
    """True if the report says anything that the one before it, as it stands in its file, did not:
    a run that changes nothing touches no file."""
    old = parsed(before)
    if worked(report) or old is None:
        return True
    return any(report[name] != old.get(name) for name in ("failed", "needs_a_person"))


def parsed(report: bytes | None) -> dict[str, Any] | None:
    """A report as it stands in its file; None if there is none, or somebody broke it."""
    try:
        found = json.loads(report or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def summarise(report: Mapping[str, Any], where: Path) -> None:
    """The few lines at the end, and the list of what needs a person."""
    files = report["files"]
    say(f"{_number(files['all'], 'file')} in {report['seconds']:.1f} s: " + _counted(files))
    for output, counts in report["stages"].items():
        parts = [
            f"{counts[act]} {word}"
            for act, word in (
                ("done", "made"),
                ("fresh", "up to date"),
                ("edited", "written by hand, kept"),
                ("refused", "not usable"),
                ("failed", "failed"),
            )
            if counts.get(act)
        ]
        tokens = counts.get("prompt_tokens", 0) + counts.get("completion_tokens", 0)
        if tokens:
            parts.append(f"{tokens} tokens in {_number(counts['requests'], 'request')}")
        if counts.get("repairs"):
            parts.append(
                f"{counts['repairs']} asked again, {counts.get('repaired', 0)} better for it"
            )
        if "cost" in counts:
            parts.append(f"cost {counts['cost']:.4g}")
        say(f"  {LABELS[output]}: " + (", ".join(parts) or "nothing to do"))
    faithful = ledgers.told(report["ledger"])
    if faithful:
        say(f"  sources: {faithful}")
    _say_notes(report["notes"])
    rows = [*report["failed"], *report["needs_a_person"]]
    if rows:
        say(f"{_number(len(rows), 'file')} failed or need a person:")
        for row in rows[:_LISTED]:
            say(f"  {row['file']}: {row['reason']} [{LABELS.get(row['stage'], row['stage'])}]")
        if len(rows) > _LISTED:
            say(f"  and {len(rows) - _LISTED} more, all in {where}")
    if report["needs_a_person"]:
        say(
            "Answers that cannot be used are not asked for again: write {name}_combined.txt by "
            "hand, or merge anew with --overwrite combined (a larger --max_tokens if cut off)"
        )


def _say_notes(notes: list[Mapping[str, str]]) -> None:
    """Problems that kept nothing from being published: how often, and one of each."""
    if not notes:
        return
    counts = Counter(note["problem"] for note in notes)
    first = {note["problem"]: note for note in reversed(notes)}
    say("  noted (`enhance check` marks the words, `enhance show FILE` tells their sources):")
    for label, count in counts.most_common():
        say(f"  {count:6} {label}, as in {first[label]['file']}: {first[label]['message']}")


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _counted(files: Mapping[str, int]) -> str:
    names = (("captioned", "done"), ("needs_a_person", "need a person"), ("failed", "failed"))
    return (
        ", ".join(f"{files[name]} {word}" for name, word in names if files.get(name))
        or "none finished"
    )


def _rounded_up(seconds: float) -> float:
    """To milliseconds; only a stage that had nothing to do has 0."""
    return math.ceil(seconds * 1000) / 1000


def _by_file(row: Mapping[str, str]) -> str:
    return row["file"]
