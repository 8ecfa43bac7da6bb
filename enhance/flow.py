"""How samples pass through a stage: in batches, overlapped, each failure alone. For every stage.

The only place with threads. It pulls: a stage asks the one before for more only when it has room,
so the language model merges earlier files while the captioner drafts the next ones.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from enhance.cache import Cache, Decision, with_caption
from enhance.report import LABELS, Report
from enhance.rooms import computes, part_of
from enhance.shares import Share
from enhance.sizes import Sizes
from enhance.stop import Stop
from stages.sample import Caption, Failure, Fatal, NotYet, Sample, Stage, Unavailable, Unusable

log = logging.getLogger(__name__)

_OF_THE_FILE = (Unusable, Unavailable)  # no model has seen it
_HOPELESS = 10  # files in a row that fail, where none was ever done
_HEED = 1.0  # seconds between looks whether the run is to end


@dataclass(frozen=True, slots=True)
class Job:
    """One sample that a stage has to work on, and the key its answer will be saved under."""

    sample: Sample
    key: str


class Broken(Fatal):
    """This process can compute no more, as after an error of its GPU; another one can. `batch` is
    what it met that at."""

    def __init__(self, message: str, batch: Sequence[Job]) -> None:
        super().__init__(message)
        self.batch = frozenset(job.sample.media for job in batch)


def through(
    stage: Stage,
    samples: Iterable[Sample],
    cache: Cache,
    report: Report,
    prepare: Callable[[Sample], None],
    share: Share[Any],
    stop: Stop,
) -> Iterator[Sample]:
    """Each sample with the stage's caption, or with a failure; in the order in which they end.

    `prepare` is called with each sample that is not cached, before it. `share` is what the samples
    come from at last, and says how many to take at once. Raises Fatal at once, KeyboardInterrupt
    soon after `stop` was asked for.
    """
    room = _Room(stage, cache, report, share)
    source = iter(samples)
    exhausted = False
    doubtful: list[Job] = []  # they may take the process with them: alone, when all else is done
    try:
        while True:
            while not exhausted and not room.full:
                stop.heed()
                sample = next(source, None)
                if sample is None:
                    exhausted = True
                    room.send()
                    break
                decision = _decide(stage, sample, cache)
                if decision is None:
                    yield sample
                elif decision.act != "run":
                    report.advance(stage.output, decision.act)
                    yield _settled(sample, stage, decision)
                elif decision.suspect:
                    doubtful.append(Job(sample, decision.key))
                else:
                    prepare(sample)
                    room.add(Job(sample, decision.key))
                room.send_enough()
            if exhausted and doubtful and not room.busy:
                prepare(doubtful[0].sample)
                room.add(doubtful.pop(0))
                room.send(alone=True)
            if not room.busy:
                return
            yield from room.results(stop)
    finally:
        room.leave(interrupted=not exhausted or room.busy or bool(doubtful))
        if isinstance(source, Generator):
            source.close()  # the rooms before this one end now, even if an error holds their frames


def _decide(stage: Stage, sample: Sample, cache: Cache) -> Decision | None:
    """What to do, or None for a sample that failed earlier and drifts on."""
    if sample.failure:
        return None
    return cache.decide(stage, sample)


def _settled(sample: Sample, stage: Stage, decision: Decision) -> Sample:
    if decision.caption is not None:
        return with_caption(sample, stage.output, decision.caption)
    return replace(sample, failure=decision.failure)


class _Room:
    """A stage at work: a bounded number of batches in it, and one that gathers before the door."""

    def __init__(self, stage: Stage, cache: Cache, report: Report, share: Share[Any]) -> None:
        self._stage = stage
        self._cache = cache
        self._report = report
        self._share = share
        self._computes = computes(stage)
        self._gathering: list[Job] = []
        self._pending: set[Future[list[Sample]]] = set()
        self._pool: ThreadPoolExecutor | None = None
        self._sizes = Sizes(1)
        self._leaving = False
        self._unsure: list[Sample] = []  # they failed, or the process did that has done nothing yet
        self._within: dict[int, list[Job]] = {}  # by the thread that works on it
        self._done: dict[int, Sample] = {}  # one that each model did: it can do that one again
        self._lost = 0  # files that failed before

    @property
    def full(self) -> bool:
        if not self._computes or not self._pending:
            return len(self._pending) >= self._stage.workers
        # Near the end nothing is kept ready that another process could do now.
        rounds = self._share.rounds(self._sizes.now)
        return len(self._pending) >= max(1, min(self._stage.workers, rounds))

    @property
    def busy(self) -> bool:
        return bool(self._pending)

    def add(self, job: Job) -> None:
        if self._pool is None:  # after prepare(): only now the stage knows its sizes
            self._sizes = Sizes(max(1, self._stage.batch_size))
            self._report.sizes[self._stage.output] = self._sizes
            self._pool = ThreadPoolExecutor(self._stage.workers, self._stage.output)
            self._share.serve(lambda: self._wanted - len(self._gathering), self._computes)
        self._gathering.append(job)

    def send_enough(self) -> None:
        """Sends what has gathered, if it is a batch, or all that this process may fairly take."""
        fewer = self._wanted < self._sizes.now and self._share.used_up
        if fewer or len(self._gathering) >= self._wanted:
            self.send()

    def send(self, alone: bool = False) -> None:
        """`alone`: one file that may kill this process, with no other in the room."""
        if self._gathering and self._pool is not None:
            self._pending.add(self._pool.submit(self._enter, self._gathering, alone))
            self._gathering = []

    def results(self, stop: Stop) -> Iterator[Sample]:
        """What is done by now; waits for at least one batch."""
        done: set[Future[list[Sample]]] = set()
        while not done:
            stop.heed()
            done, self._pending = wait(self._pending, _HEED, FIRST_COMPLETED)
        for batch in done:
            yield from batch.result()

    def leave(self, interrupted: bool) -> None:
        if self._pool is None:
            return
        if interrupted:
            self._leaving = True
            self._cache.stopped()  # at once: whoever drains too long is killed
            self._stage.close()  # so that requests under way end now
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._outlive()

    @property
    def _wanted(self) -> int:
        """How many files make a batch now."""
        return self._share.batch(self._sizes.now) if self._computes else self._sizes.now

    def _enter(self, jobs: list[Job], alone: bool) -> list[Sample]:
        if self._computes:
            with self._disk(jobs[0].sample):
                self._cache.trying(self._stage, [job.sample for job in jobs], alone)
        self._within[threading.get_ident()] = jobs
        try:
            return self._work(jobs)
        finally:
            del self._within[threading.get_ident()]

    def _work(self, jobs: list[Job]) -> list[Sample]:
        """A batch that fails is halved until the culprit stands alone: too large a batch and a
        damaged image are one rule. If the halves succeed, the size was the trouble."""
        size = self._sizes.now
        if len(jobs) > size:  # gathered before the size was found too large
            return self._pieces(jobs, size)
        with self._report.timed(self._stage.output):
            captions, error = self._call(jobs)
        if captions is not None:
            self._sizes.fitted(len(jobs))
            self._done[id(part_of(self._stage, jobs[0].sample))] = jobs[0].sample
            self._outlive()
            return [self._save(job, caption) for job, caption in zip(jobs, captions, strict=True)]
        if self._leaving:
            return []  # stopped, not failed
        if len(jobs) == 1:
            self._still_works(jobs[0].sample, error)
            return [] if self._leaving else [self._failed(jobs[0], error)]
        samples = self._pieces(jobs, (len(jobs) + 1) // 2)
        culprit = self._leaving or any(sample.failure for sample in samples)
        if not culprit and self._sizes.failed(len(jobs)):
            log.warning("%s; going on with batches of %d", _reason(error), self._sizes.now)
        return samples

    def _outlive(self) -> None:
        """This process works, or ends in order: what failed in it before did not break it."""
        while self._unsure:
            sample = self._unsure.pop()
            with self._disk(sample):
                self._cache.tried(self._stage, sample)

    def _pieces(self, jobs: list[Job], size: int) -> list[Sample]:
        starts = range(0, len(jobs), size)
        return [sample for start in starts for sample in self._work(jobs[start : start + size])]

    def _still_works(self, sample: Sample, error: Exception | None) -> None:
        """Raises Broken if it is not this file that the model cannot do: after some errors of a GPU
        every later call fails, and each would cost a file."""
        if not self._computes or isinstance(error, _OF_THE_FILE):
            return
        known = self._done.get(id(part_of(self._stage, sample)))
        if known is None:
            self._lost += 1
            if self._lost < _HOPELESS:
                return
        else:
            captions, again = self._call([Job(known, "")])
            if captions is not None or isinstance(again, _OF_THE_FILE) or self._leaving:
                return
        label = LABELS.get(self._stage.output, self._stage.output)
        # The batch that met it may be why; the others that are decoded or wait are not.
        others = [jobs for thread, jobs in self._within.items() if thread != threading.get_ident()]
        with self._disk(sample):
            for job in itertools.chain.from_iterable(others):
                self._cache.tried(self._stage, job.sample)
            self._cache.broke(_reason(error))
        self._unsure = []
        mine = self._within[threading.get_ident()]
        raise Broken(f"no {label} can be made in this process any more: {_reason(error)}", mine)

    def _call(self, jobs: list[Job]) -> tuple[list[Caption] | None, Exception | None]:
        try:
            captions = list(self._stage([job.sample for job in jobs]))
            if len(captions) != len(jobs):
                raise RuntimeError(f"{len(captions)} captions for {len(jobs)} files")
            return captions, None
        except Fatal:
            raise
        except Exception as error:  # whatever a model or server does costs its files, not the run
            log.debug("%s: a batch of %d failed", self._stage.output, len(jobs), exc_info=True)
            # Without its traceback, whose frames would keep a batch of tensors alive.
            return None, error.with_traceback(None)

    def _save(self, job: Job, caption: Caption) -> Sample:
        with self._disk(job.sample):
            self._cache.save(self._stage, job.sample, caption, job.key)
        log.debug("%s: %s", self._stage.output, job.sample.media)
        self._report.advance(self._stage.output, "refused" if caption.blocked else "done")
        return with_caption(job.sample, self._stage.output, caption)

    @contextmanager
    def _disk(self, sample: Sample) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # A full or read-only disk: the next file would fare no better.
            where = error.filename2 or error.filename or sample.media
            raise Fatal(f"cannot write {where}: {error.strerror}") from None

    def _failed(self, job: Job, error: Exception | None) -> Sample:
        lasting = isinstance(error, Unusable)
        later = isinstance(error, NotYet)
        failure = Failure(self._stage.output, _reason(error), lasting, later)
        with self._disk(job.sample):
            if lasting:
                self._cache.fail(self._stage, job.sample, failure.message, job.key)
            elif self._computes and not self._done:
                self._unsure.append(job.sample)
            elif self._computes:
                self._cache.tried(self._stage, job.sample)
        self._report.advance(self._stage.output, "later" if later else "failed")
        return replace(job.sample, failure=failure)


def _reason(error: Exception | None) -> str:
    text = str(error).strip()
    if isinstance(error, (Unusable, MemoryError, RuntimeError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
