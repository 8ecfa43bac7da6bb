"""How samples pass through a stage: in batches, overlapped, each failure alone. For every stage.

The only place with threads. It pulls: a stage asks the one before for more only when it has room,
so the language model merges earlier files while the captioner drafts the next ones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from enhance.cache import Cache, Decision, with_caption
from enhance.report import Report
from stages.sample import Caption, Failure, Fatal, Sample, Stage, Unusable

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One sample that a stage has to work on, and the key its answer will be saved under."""

    sample: Sample
    key: str


def through(
    stage: Stage,
    samples: Iterable[Sample],
    cache: Cache,
    report: Report,
    prepare: Callable[[Sample], None],
) -> Iterator[Sample]:
    """Each sample with the stage's caption, or with a failure; in the order in which they end.

    `prepare` is called with each sample that is not cached, before it. Raises Fatal at once.
    """
    room = _Room(stage, cache, report)
    source = iter(samples)
    exhausted = False
    try:
        while True:
            while not exhausted and not room.full:
                sample = next(source, None)
                if sample is None:
                    exhausted = True
                    room.send()
                    break
                decision = _decide(stage, sample, cache)
                if decision is None:
                    yield sample
                elif decision.act == "run":
                    prepare(sample)
                    room.add(Job(sample, decision.key))
                else:
                    report.advance(stage.output, decision.act)
                    yield _settled(sample, stage, decision)
            if not room.busy:
                return
            yield from room.results()
    finally:
        room.leave(interrupted=not exhausted or room.busy)
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

    def __init__(self, stage: Stage, cache: Cache, report: Report) -> None:
        self._stage = stage
        self._cache = cache
        self._report = report
        self._gathering: list[Job] = []
        self._pending: set[Future[list[Sample]]] = set()
        self._pool: ThreadPoolExecutor | None = None
        self._size = 1
        self._leaving = False

    @property
    def full(self) -> bool:
        return self._pool is not None and len(self._pending) >= self._stage.workers

    @property
    def busy(self) -> bool:
        return bool(self._pending)

    def add(self, job: Job) -> None:
        if self._pool is None:  # after prepare(): only now the stage knows its sizes
            self._size = max(1, self._stage.batch_size)
            self._pool = ThreadPoolExecutor(self._stage.workers, self._stage.output)
        self._gathering.append(job)
        if len(self._gathering) >= self._size:
            self.send()

    def send(self) -> None:
        if self._gathering and self._pool is not None:
            self._pending.add(self._pool.submit(self._work, self._gathering))
            self._gathering = []

    def results(self) -> Iterator[Sample]:
        """What is done by now; waits for at least one batch."""
        done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
        for batch in done:
            yield from batch.result()

    def leave(self, interrupted: bool) -> None:
        if self._pool is None:
            return
        if interrupted:
            self._leaving = True
            self._stage.close()  # so that requests under way end now
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _work(self, jobs: list[Job]) -> list[Sample]:
        """A batch that fails is halved until the culprit stands alone: too large a batch and a
        damaged image are one rule. If the halves succeed, the size was the trouble."""
        with self._report.timed(self._stage.output):
            captions, error = self._call(jobs)
        if captions is not None:
            return [self._save(job, caption) for job, caption in zip(jobs, captions, strict=True)]
        if self._leaving:
            return []  # stopped, not failed
        if len(jobs) == 1:
            return [self._failed(jobs[0], error)]
        half = (len(jobs) + 1) // 2
        samples = self._work(jobs[:half]) + self._work(jobs[half:])
        if not any(sample.failure for sample in samples) and half < self._size:
            self._size = half
            log.warning("%s; going on with batches of %d", _reason(error), half)
        return samples

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
        try:
            self._cache.save(self._stage, job.sample, caption, job.key)
        except OSError as error:
            # A full or read-only disk: the next file would fare no better.
            where = error.filename2 or error.filename or job.sample.media
            raise Fatal(f"cannot write {where}: {error.strerror}") from None
        log.debug("%s: %s", self._stage.output, job.sample.media)
        self._report.advance(self._stage.output, "refused" if caption.blocked else "done")
        return with_caption(job.sample, self._stage.output, caption)

    def _failed(self, job: Job, error: Exception | None) -> Sample:
        lasting = isinstance(error, Unusable)
        failure = Failure(self._stage.output, _reason(error), lasting)
        if lasting:
            self._cache.fail(self._stage, job.sample, failure.message, job.key)
        self._report.advance(self._stage.output, "failed")
        return replace(job.sample, failure=failure)


def _reason(error: Exception | None) -> str:
    text = str(error).strip()
    if isinstance(error, (Unusable, MemoryError, RuntimeError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
