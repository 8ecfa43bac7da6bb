"""The plan of a run: what each stage would do and why. Reads texts, writes and loads nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from enhance.cache import LEFT_ALONE, SWITCHED_OFF, UP_TO_DATE, Cache, Decision, with_caption
from enhance.console import say
from enhance.estimate import Estimate
from enhance.report import LABELS
from enhance.rooms import part_of
from enhance.settled import Settled, unsettled
from stages.dataset import Layout
from stages.generate import Generate
from stages.load import load, uncaptioned
from stages.merge import Merge
from stages.sample import Sample, Stage


def plan(
    stages: Sequence[Stage],
    media: Iterable[str],
    settled: Settled,
    cache: Cache,
    layout: Layout,
    explain: bool,
    before: Mapping[str, Any] | None,
    skip_captioned: bool = False,
) -> None:
    """Prints per stage how many files would run and for which reason, and what that would ask of
    servers and the language model; `explain`: per file. `before` is the report of an earlier run,
    if any."""
    estimate = Estimate(before)
    reasons = {stage.output: Counter[tuple[str, str]]() for stage in stages}

    def decided(output: str, decision: Decision) -> str:
        reasons[output][decision.act, decision.reason] += 1
        return f"  {LABELS[output]}: {_word(decision.act)}: {decision.reason}"

    def kept(media: str, outputs: Collection[str], _: object) -> None:
        lines = [decided(one, UP_TO_DATE if one in outputs else SWITCHED_OFF) for one in reasons]
        if explain:
            say("\n".join([layout.name(media), *lines]))

    def left(media: Path) -> None:
        lines = [decided(one, LEFT_ALONE) for one in reasons]
        if explain:
            say("\n".join([layout.name(media), *lines]))

    samples = load(unsettled(media, settled, kept), layout, cache.owners)
    for sample in uncaptioned(samples, left) if skip_captioned else samples:
        lines = []
        drafting = False
        for stage, decision, seen in decisions(stages, sample, cache):
            output = stage.output
            if decision.act == "run":
                estimate.add(output)
                drafting = drafting or output == "generated"
                part = part_of(stage, seen)
                if isinstance(part, Merge):
                    estimate.ask(part, seen, drafting)
                elif isinstance(part, Generate) and part.server:
                    estimate.draft(part, part.server, seen)
            lines.append(decided(output, decision))
        if explain:
            say("\n".join([layout.name(sample.media), *lines]))
    for output, counts in reasons.items():
        runs = sum(count for (act, _), count in counts.items() if act == "run")
        say(f"{LABELS[output]}: {runs} of {sum(counts.values())} files would run")
        for (act, reason), count in counts.most_common():
            say(f"  {count} {_word(act)}: {reason}")
        for line in estimate.lines(output):
            say(f"  {line}")
    say("Nothing was written.")


def decisions(
    stages: Sequence[Stage], sample: Sample, cache: Cache
) -> Iterable[tuple[Stage, Decision, Sample]]:
    """What each stage would do for one sample, and the sample as it is known before. Behind a stage
    that runs, the next ones run too, unless a person's text stands there."""
    moved = ""
    for stage in stages:
        if sample.failure:
            yield stage, Decision("failed", sample.failure.message), sample
            continue
        decision = cache.decide(stage, sample)
        stale = decision.act == "run" and decision.reason.endswith("changed")
        if moved and (stale or decision.act in ("fresh", "refused", "failed")):
            decision = Decision("run", f"the {moved} before it is made anew")
        yield stage, decision, sample
        if decision.act == "run":
            moved = LABELS[stage.output]
        elif decision.caption is not None:
            sample = with_caption(sample, stage.output, decision.caption)
            moved = ""
        if decision.failure is not None:
            return


def _word(act: str) -> str:
    words = {"run": "would run", "failed": "failed before", "skipped": "left out"}
    return {**words, "refused": "listed"}.get(act, "kept")
