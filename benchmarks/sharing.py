"""Sharing: how long several processes take together, and how long they would if shared ideally.

    python benchmarks/sharing.py

Real processes under `accelerate launch`, whose captioner sleeps for as long as each picture says
(`tests/paces`), so that a few cores are enough. Each case prints the seconds from the first batch
of any process to the last, and those over the ideal: all seconds of work spread over the processes
by their speeds, each from when it is ready, or those of the longest file if they are more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import paces  # noqa: E402
from paces.captioners.paced import HEAVY  # noqa: E402

Kinds = dict[str, str]


@dataclass(frozen=True)
class Case:
    """A dataset and the processes that do it."""

    name: str
    count: int
    ranks: int = 4
    speeds: tuple[float, ...] = (1.0,)
    heavy: str = ""  # the folder of videos: "a" comes first in the list, "z" last
    cached: float = 0.0  # the share of files that were drafted before, from the first on
    late: tuple[float, ...] = (0.0,)  # seconds that each process takes to load
    seconds: float = 0.1  # a file

    def kinds(self) -> Kinds:
        videos = self.count // 20 if self.heavy else 0
        plain = {f"m/{number:04}.png": "plain" for number in range(self.count - videos)}
        slow = {f"{self.heavy}/{number:04}.png": "heavy" for number in range(videos)}
        return dict(sorted({**plain, **slow}.items()))

    def speed(self, rank: int) -> float:
        return self.speeds[rank % len(self.speeds)]

    def ideal(self, todo: Kinds, late: list[float]) -> float:
        """Seconds, where each process is ready so much later than the first."""
        work = [self.seconds * (HEAVY if kind == "heavy" else 1.0) for kind in todo.values()]
        speeds = [self.speed(rank) for rank in range(self.ranks)]
        low, high = 0.0, sum(work) / min(speeds) + max(late)
        for _ in range(60):
            end = (low + high) / 2
            done = sum(s * max(0.0, end - t) for s, t in zip(speeds, late, strict=True))
            low, high = (low, end) if done >= sum(work) else (end, high)
        return max(high, max(work) / max(speeds))


CASES = (
    Case("all alike", 400),
    Case("one rank at 0.6 of the speed", 400, speeds=(1.0, 1.0, 1.0, 0.6)),
    Case("the first half cached", 400, cached=0.5),
    Case("videos in the first folder", 1000, heavy="a", seconds=0.04),
    Case("videos in the last folder", 1000, heavy="z", seconds=0.04),
    Case("two ranks, one at 0.6", 400, ranks=2, speeds=(1.0, 0.6)),
    Case("40 files", 40, seconds=0.5),
    Case("20 files", 20, seconds=0.5),
    Case("40 files, one rank loads 3 s longer", 40, late=(0.0, 0.0, 0.0, 3.0), seconds=0.5),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch_size", type=int, nargs="+", default=[16])
    parser.add_argument("--only", default="", help="cases whose name holds this")
    wanted = parser.parse_args()
    rows = []
    for size in wanted.batch_size:
        for case in CASES:
            if wanted.only in case.name:
                row = timed(case, size)
                rows.append(row)
                print(
                    f"batches of {size:2}  {case.name:36} {case.ranks} ranks  "
                    f"{row['seconds']:6.1f} s  {row['seconds'] / row['ideal']:.2f} times the ideal",
                    flush=True,
                )
    told = [
        {
            "what": f"sharing, {row['ranks']} ranks, {row['case']}: time over the ideal",
            "measured": row["seconds"] / row["ideal"],
            "wanted": "<= 1.1",
        }
        for row in rows
    ]
    print(json.dumps({"settings": vars(wanted), "rows": told, "cases": rows}))


def timed(case: Case, batch_size: int) -> dict[str, Any]:
    """One launch of a case."""
    with tempfile.TemporaryDirectory(prefix="enhance-sharing-") as place:
        folder = Path(place) / "pictures"
        kinds = case.kinds()
        paces.draw(folder, kinds)
        before = int(len(kinds) * case.cached)
        if before:
            checked(lambda: paces.run(folder, "--limit", before))
        log = Path(place) / "batches"
        log.mkdir()
        of_ranks = {"PACED_SPEED": case.speeds, "PACED_LOAD": case.late}
        environment = {
            "PACED_SECONDS": str(case.seconds),
            "PACED_LOG": str(log),
            **{name: ",".join(map(str, values)) for name, values in of_ranks.items()},
        }
        launcher = paces.ranks(case.ranks)
        flags = ("--batch_size", batch_size)
        checked(lambda: paces.run(folder, *flags, launcher=launcher, env=environment))
        times = {int(path.name): [*map(json.loads, path.open())] for path in log.iterdir()}
    first = min(batches[0]["ready"] for batches in times.values())
    last = max(batch["ended"] for batches in times.values() for batch in batches)
    # One that got nothing to do could have been ready at once.
    late = [times[rank][0]["ready"] - first if rank in times else 0.0 for rank in range(case.ranks)]
    ideal = case.ideal(dict(list(kinds.items())[before:]), late)
    return {
        "case": case.name,
        "batch_size": batch_size,
        "ranks": case.ranks,
        "seconds": round(last - first, 3),
        "ideal": round(ideal, 3),
        "files": [sum(b["count"] for b in times.get(rank, ())) for rank in range(case.ranks)],
    }


def checked(run: Callable[[], Any]) -> None:
    done = run()
    if done.returncode:
        raise SystemExit(done.stderr)


if __name__ == "__main__":
    main()
