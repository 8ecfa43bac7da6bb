"""The run: builds the stages, chains them, counts what comes out."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from enhance import nested
from enhance.around import Around
from enhance.begun import Begun
from enhance.build import build
from enhance.cache import FOLDER, Cache
from enhance.concepts import Concept, Concepts, check
from enhance.config import Config
from enhance.console import start_logging
from enhance.disk import Lock, Writer
from enhance.ending import Ending
from enhance.flow import Broken, through
from enhance.journal import Journal
from enhance.plan import plan
from enhance.ranks import Ranks
from enhance.report import Report, parsed
from enhance.rooms import part_of, parts_of
from enhance.servers import in_turns
from enhance.settled import Settled, unsettled
from enhance.shares import Share, videos_first
from enhance.stop import Stop
from stages.dataset import Layout, find
from stages.generate import Generate
from stages.load import load, read, uncaptioned
from stages.policy import policy_of
from stages.sample import Fatal, Sample, Stage

log = logging.getLogger(__name__)


def run(config: Config, ranks: Ranks) -> int:
    """Captions the dataset in a process of its own; the exit status. Raises Fatal if the run cannot
    go on."""
    start_logging(config.report, ranks)
    around = Around()
    around.stop.on_sigterm()
    _end_with_launcher(ranks)
    return caption(config, ranks, around)


def caption(config: Config, ranks: Ranks, around: Around) -> int:
    """Captions the dataset; the exit status. Raises Fatal if the run cannot go on."""
    for notice in config.notices:
        log.info(notice)
    check(config.policy)
    layout = Layout.of(config.load)
    media, notices = find(config.load, layout)
    log.debug("%s: %d files", layout.root, len(media))
    for notice in notices:
        log.info(notice)
    for notice in nested.notices(layout.root, media):
        log.warning(notice)
    of_run = Concept("", config.policy, config.generate, config.merge)
    concepts = Concepts(layout, media, of_run)
    for concept in concepts.told:
        log.info("%s", concept)
    folder = layout.root / FOLDER
    if config.run.dry_run or config.run.explain:
        if ranks.main:
            journal = Journal(folder, ranks.rank, True)
            cache, stages = build(config, ranks, layout, concepts, journal, around.lend)
            settled = Settled(layout, journal, stages, concepts, config.cache.overwrite)
            before = parsed(read(folder / "report.json"))
            skips, explain = config.load.skip_captioned, config.run.explain
            plan(stages, media, settled, cache, layout, explain, before, skips)
            for stage in stages:  # a tokenizer's server may have been asked
                stage.close()
        return 0
    with Lock(folder, ranks.launch, ranks.rank) as lock:
        journal = Journal(folder, ranks.rank, run=ranks.launch)
        writer = Writer(ranks.launch, ranks.rank)
        if lock.found_dead:
            writer.sweep(list({layout.root, layout.sidecars, layout.finals, folder}))
        anew = bool({"generated", "all"} & {*config.cache.overwrite})
        begun = Begun(folder, ranks.rank, ranks.launch, alone=ranks.world == 1, again=anew)
        cache, stages = build(config, ranks, layout, concepts, journal, around.lend, writer, begun)
        _notices(config, concepts, stages)
        outputs = [stage.output for stage in stages]
        report = Report(layout, ranks, len(media), outputs, lambda path: concepts.of(path).policy)
        around.watch(layout, media, report)
        media, videos = videos_first(media, ranks.world)
        share = Share(media, ranks, before=journal.refresh, costly=videos)
        end = Ending(report, ranks, writer, folder / "report.json", _settings(config), around.tell)
        cache.begin = end.open
        settled = Settled(layout, journal, stages, concepts, config.cache.overwrite)

        def again(media: str, outputs: Collection[str], told: Mapping[str, Any]) -> None:
            report.count_again(media, outputs, told)
            share.ended(media)
            around.ended(media)

        def left(media: Path) -> None:
            report.leave(media)
            share.ended(os.fspath(media))
            around.ended(os.fspath(media))

        stopped: Fatal | KeyboardInterrupt | None = None
        overlap = not in_turns(config, concepts.all)
        try:
            samples = load(unsettled(share, settled, again), layout, cache.owners)
            if config.load.skip_captioned:
                samples = uncaptioned(samples, left)
            for sample in chain(stages, samples, cache, report, overlap, share, around.stop):
                told = report.count(sample)
                if told is not None:
                    settled.note(sample, told)
                if not sample.failure or sample.failure.lasting:
                    share.ended(os.fspath(sample.media))
                around.ended(os.fspath(sample.media))
        except (Fatal, KeyboardInterrupt) as reason:
            stopped = reason
        finally:
            cache.stopped()
            report.close()
            for stage in stages:
                stage.close()
            begun.close()
            journal.close()
        if isinstance(stopped, Broken):
            share.give_back(but=frozenset(map(os.fspath, stopped.batch)))
            report.forget()
        spent = {stage.output: stage.spent for stage in stages}
        more = {"concepts": concepts.as_json()} if concepts.told else {}
        return end.close(stopped, spent, more, config.run.strict)


def chain(
    stages: list[Stage],
    samples: Iterable[Sample],
    cache: Cache,
    report: Report,
    overlap: bool,
    share: Share[str],
    stop: Stop,
) -> Iterable[Sample]:
    """The samples of a share through all stages: together, or one stage after the other."""
    prepared: set[int] = set()
    loaded: set[int] = set()

    def prepare(first: Stage) -> Callable[[Sample], None]:
        ahead = stages[stages.index(first) :]

        def once(sample: Sample) -> None:
            # What is missing downstream should show before hours of drafting. Last room first:
            # a server answers sooner than a captioner is found.
            for stage in reversed(ahead):
                part = part_of(stage, sample)
                if part is not None and id(part) not in prepared:
                    prepared.add(id(part))
                    part.prepare()
            mine = part_of(first, sample)
            if mine is not None and id(mine) not in loaded:
                # Before files are claimed for it: those that are ready sooner can have them.
                loaded.add(id(mine))
                mine.load()

        return once

    for stage in stages:
        samples = through(stage, samples, cache, report, prepare(stage), share, stop)
        if not overlap:
            samples = list(samples)
            stage.close()
            share = Share((), Ranks())  # what this process has by now is its own
    return samples


def _notices(config: Config, concepts: Concepts, stages: list[Stage]) -> None:
    for stage in stages:
        for part in parts_of(stage):
            if isinstance(part, Generate) and part.notice:
                log.info(part.notice)
    if config.run.until == "generated":
        return
    for concept in concepts.all:
        where, anchor = concept.files and f"{concept.name}: ", concept.policy.anchor
        if not anchor:
            log.info("%sno --anchor: captions are merged and cleaned without one", where or "")
        if anchor.lower() in policy_of(concept.policy).generic:
            said = "%s--anchor %s is a common word: the model knows it as everything"
            log.warning(said, where or "", anchor)


def _settings(config: Config) -> dict[str, dict[str, object]]:
    return {
        name: {"value": value, "from": config.origins[name]}
        for name, value in config.values().items()
    }


def _end_with_launcher(ranks: Ranks) -> None:
    """Asks Linux to end this rank with its launcher: orphans would go on beside the next run."""
    if ranks.world > 1 and sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() == 1:
            raise KeyboardInterrupt
