"""What became of a run: counts, the summary, the list for a person, `.enhance/report.json`."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from enhance import __version__, ledgers
from enhance.console import Bar
from enhance.ranks import Ranks
from enhance.sizes import Sizes
from stages.clean import made_of
from stages.dataset import Layout
from stages.sample import Fatal, Sample

LABELS = {"generated": "draft", "combined": "merge", "final": "clean"}


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
        self._later: list[dict[str, str]] = []  # whose captions come in another run
        self._passing: list[dict[str, str]] = []  # failures that need not come again
        self._people: list[dict[str, Any]] = []
        self._notes: list[dict[str, str]] = []
        self._ledgers = ledgers.Ledgers(rules)
        self.sizes: dict[str, Sizes] = {}  # of the stages that were at work
        self._bars = {
            output: Bar(LABELS[output], total, ranks, position)
            for position, output in enumerate(outputs)
        }

    def advance(self, output: str, act: str) -> None:
        """One file has passed a stage: "done", "fresh", "edited", "refused", "later" or
        "failed"."""
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

    def count(self, sample: Sample) -> dict[str, Any] | None:
        """A sample at the end of its way; what was told of it, if it has all its captions."""
        name = self._layout.name(sample.media)
        captions = (sample.manual, sample.generated, sample.combined, sample.final)
        if sample.failure:
            later = sample.failure.later
            self._files["later" if later else "failed"] += 1
            stage, reason = sample.failure.stage, sample.failure.message
            rows = self._later if later else self._failed
            rows.append({"file": name, "stage": stage, "reason": reason})
            if not sample.failure.lasting and not later:
                self._passing.append(rows[-1])
            # It never reached the later stages: their bars count it here.
            with self._turn:
                for output, bar in self._bars.items():
                    if list(self._bars).index(output) > self._index(stage):
                        bar.advance("failed")
            return None
        last = next((caption for caption in reversed(captions) if caption is not None), None)
        made = made_of(sample)
        if made is not None and made.blocked:
            last = made  # where it was lost; nothing of it was left to clean
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
        merges = "final" in self.stages or "combined" in self.stages
        told = {
            "notes": [
                [problem.label, problem.message]
                for caption in captions
                for problem in (caption.problems if caption else ())
                if not problem.blocking
            ],
            "ledger": self._ledgers.of(sample) if merges else None,
        }
        self._tell(name, told)
        return None if blocked else told

    def count_again(self, media: str, outputs: Collection[str], told: Mapping[str, Any]) -> None:
        """A file of which nothing is left to do, as an earlier run told of it."""
        for output in self.stages:
            self.advance(output, "fresh" if output in outputs else "skipped")
        self._files["captioned"] += 1
        self._tell(self._layout.name(media), told)

    def leave(self, media: Path) -> None:
        """A file that is left alone, since it has a caption of somebody's own."""
        for output in self.stages:
            self.advance(output, "skipped")
        self._files["left_alone"] += 1

    def counted(self) -> dict[str, Any]:
        """How far it is: files by what became of them, and by stage what each did."""
        stages = {LABELS[output]: dict(counts) for output, counts in self.stages.items()}
        return {"files": {"all": self._total, **self._files}, "stages": stages}

    def uncaptioned(self) -> dict[str, tuple[str, str]]:
        """The files that came to their end without a caption, by name: what they are, and why."""
        kinds = (("failed", self._failed), ("later", self._later), ("needs_a_person", self._people))
        return {row["file"]: (kind, row["reason"]) for kind, rows in kinds for row in [*rows]}

    def _tell(self, name: str, told: Mapping[str, Any]) -> None:
        for label, message in told["notes"]:
            self._notes.append({"file": name, "problem": label, "message": message})
        if told["ledger"]:
            self._ledgers.add(name, told["ledger"])

    def _index(self, output: str) -> int:
        outputs = list(self._bars)
        return outputs.index(output) if output in outputs else -1

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()

    def forget(self) -> None:
        """Failures that may be this process's own: another one shall try these files."""
        for row in self._passing:
            self._failed.remove(row)
        self._files["failed"] = len(self._failed)
        for output, counts in self.stages.items():
            counts["failed"] = sum(row["stage"] == output for row in self._failed)

    def unfinished(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What stands in the place of an earlier report while this run is at work."""
        return self._whole([], settings)

    def finish(
        self, spent: Mapping[str, Counter[str]], settings: Mapping[str, Any], ended: str = ""
    ) -> dict[str, Any]:
        """Ends the bars; what is known of the whole run. `ended` says why this rank ended before
        all was done. Only the last rank has `heard` all of them."""
        self.close()
        mine = self._part(spent) | {"ended": ended}
        try:
            parts = self._ranks.tell(json.dumps(mine))
        except Fatal:  # the launcher has ended: a rank knows only its own share
            return self._whole([mine], settings)
        return self._whole([json.loads(text) for text in parts], settings)

    def again(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The same once more, with what other ranks have handed in since."""
        try:
            told = self._ranks.told()
        except Fatal:
            told = []
        return self._whole([json.loads(text) for text in told], settings)

    def _part(self, spent: Mapping[str, Counter[str]]) -> dict[str, Any]:
        return {
            "files": self._files,
            "stages": {
                output: {
                    **counts,
                    "seconds": _rounded_up(self._seconds[output]),
                    **spent.get(output, {}),
                }
                for output, counts in self.stages.items()
            },
            "sizes": {
                output: [sizes.wanted, sizes.advice]
                for output, sizes in self.sizes.items()
                if sizes.advice
            },
            "failed": self._failed,
            "later": self._later,
            "needs_a_person": self._people,
            "notes": self._notes,
            "ledger": self._ledgers.as_json(),
        }

    def _whole(self, parts: list[dict[str, Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
        told = len(parts) == self._ranks.world
        ended = sorted({part["ended"] for part in parts if part.get("ended")})
        files: Counter[str] = Counter()
        stages = {output: Counter[str]() for output in self.stages}
        for part in parts:
            files.update(part["files"])
            for output, counts in part["stages"].items():
                stages[output].update(counts)
        if (ended or not told) and "final" in stages:  # before they were counted one by one
            through = sum(stages["final"][act] for act in ("done", "fresh", "edited"))
            files["captioned"] = max(files["captioned"], through)
        sizes: dict[str, list[list[int]]] = defaultdict(list)
        for part in parts:
            for output, size in part["sizes"].items():
                sizes[output].append(size)
        return {
            "enhance": __version__,
            # Every rank has spoken, and every file has come to an end.
            "complete": told and sum(files.values()) == self._total,
            "heard": len(parts),  # of so many ranks
            "ended": ended,
            "dataset": str(self._layout.root),
            "ranks": self._ranks.world,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self._began)),
            "seconds": round(time.time() - self._began, 3),
            "files": {"all": self._total, **files},
            "stages": stages,
            "did_not_fit": {
                output: [max(one for one, _ in both), min(one for _, one in both)]
                for output, both in sizes.items()
            },
            **{
                name: sorted((row for part in parts for row in part[name]), key=_by_file)
                for name in ("failed", "later", "needs_a_person", "notes")
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
    return any(
        report[name] != old.get(name) for name in ("complete", "failed", "later", "needs_a_person")
    )


def parsed(report: bytes | None) -> dict[str, Any] | None:
    """A report as it stands in its file; None if there is none, or somebody broke it."""
    try:
        found = json.loads(report or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _rounded_up(seconds: float) -> float:
    """To milliseconds; only a stage that had nothing to do has 0."""
    return math.ceil(seconds * 1000) / 1000


def _by_file(row: Mapping[str, str]) -> str:
    return row["file"]
