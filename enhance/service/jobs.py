"""Runs of the whole pipeline within the service, one after the other."""

from __future__ import annotations

import itertools
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from enhance.around import Around
from enhance.config import Config
from enhance.ranks import Ranks
from enhance.report import LABELS, Report
from enhance.run import caption
from enhance.service.gathering import Full, Stopping
from enhance.service.told import without_paths
from enhance.stop import Stop
from stages.dataset import Layout
from stages.drafter import Options
from stages.drafting import Drafter
from stages.load import read
from stages.sample import Fatal
from stages.text.encoding import decode

log = logging.getLogger(__name__)

Lend = Callable[[Options, Stop], Drafter | None]

MOST_QUEUED = 64
_KEPT = 100  # jobs that have ended
_FILES_KEPT = 1_000_000  # of theirs, together
_ROWS = 1000  # of a report that are told at once
_ENDED = ("done", "failed", "cancelled")


class Job(Around):
    """One run: what it was asked, how far it is, what became of it."""

    def __init__(self, config: Config, path: str, lend: Lend) -> None:
        """`path` as the client wrote it."""
        super().__init__()
        self.id = uuid.uuid4().hex
        self.config, self.path = config, path
        self.status, self.error = "queued", ""
        self._lend = lend
        self._times = {"created": time.time()}
        self._layout: Layout | None = None
        self._report: Report | None = None
        self._told: Mapping[str, Any] = {}
        self._total = 0
        self.files: list[str] = []  # that have ended, in the order in which they did

    def lend(self, options: Options) -> Drafter | None:
        return self._lend(options, self.stop)

    def watch(self, layout: Layout, media: Sequence[str], report: Report) -> None:
        self._layout, self._report, self._total = layout, report, len(media)

    def ended(self, media: str) -> None:
        self.files.append(media)

    def tell(self, report: Mapping[str, Any]) -> None:
        self._told = report

    @property
    def over(self) -> bool:
        return self.status in _ENDED

    def run(self) -> None:
        """Captions; whatever happens is told by the job."""
        self.status, self._times["started"] = "running", time.time()
        log.info("job %s: captions %s", self.id, self.path)
        try:
            status = 130 if self.stop.asked else caption(self.config, Ranks(), self)
            became = {130: "cancelled", 4: "failed"}.get(status, "done")
            self.error = self._nothing_done() if became == "done" else ""
            became = "failed" if self.error else became
        except Fatal as error:
            # One that is cancelled while it waits for a model or a server hears of it at last.
            became = "cancelled" if self.stop.asked else "failed"
            self.error = "" if self.stop.asked else str(error)
        except KeyboardInterrupt:
            became = "cancelled"
        except Exception:
            log.exception("job %s", self.id)
            became, self.error = "failed", "an unexpected error; the service's log tells more"
        self._over(became)
        log.info("job %s: %s%s", self.id, became, f": {self.error}" if self.error else "")

    def _nothing_done(self) -> str:
        """Why every file failed, if every file did."""
        failed = self._told["failed"] if self._told else ()
        if not failed or len(failed) < self._total:
            return ""
        return f"every file failed, the first with: {failed[0]['reason']}"

    def cancel(self) -> None:
        """What is done stays; one that has ended is left as it is."""
        if self.over:
            return
        self.stop.ask()
        if self.status == "queued":
            self._over("cancelled")

    def _over(self, became: str) -> None:
        self._times["ended"] = time.time()
        self.status = became  # last: who sees it has ended finds all of it

    def as_json(self) -> dict[str, Any]:
        """What `GET /jobs/{id}` tells."""
        counted = self._report.counted() if self._report else {"files": {}, "stages": {}}
        through = sum(sum(counts.values()) for counts in counted["stages"].values())
        stages = max(1, len(counted["stages"]))
        progress = through / stages / self._total if self._total else 0.0
        status = "cancelling" if self.stop.asked and not self.over else self.status
        times = {name: _time(self._times.get(name)) for name in ("created", "started", "ended")}
        return {
            "id": self.id,
            "status": status,
            "path": self.path,
            **times,
            "progress": 1.0 if status == "done" else round(min(progress, 1.0), 4),
            **counted,
            "error": self._plain(self.error) or None,
            "report": self._summary() if self.over else None,
        }

    def _summary(self) -> dict[str, Any] | None:
        if not self._told:
            return None
        lists = ("failed", "later", "needs_a_person", "notes")
        rows = {
            name: [
                {
                    key: LABELS.get(one, one) if key == "stage" else self._plain(one)
                    for key, one in row.items()
                }
                for row in self._told[name][:_ROWS]
            ]
            for name in lists
        }
        return {"complete": self._told["complete"], "seconds": self._told["seconds"], **rows}

    def _plain(self, value: Any) -> Any:
        """A text without the folders of this machine; the job's own as the client calls it."""
        if not isinstance(value, str):
            return value
        load = self.config.load
        name = Path(load.dataset_dir).name if load.files else self.path
        return without_paths(value, {load.dataset_dir: name})

    def results(self, offset: int, limit: int) -> dict[str, Any]:
        """What `GET /jobs/{id}/results` tells: the captions as they stand on disk now. Reads them:
        not for the event loop."""
        ended = self.files[offset : offset + limit]
        without = self._report.uncaptioned() if self._report else {}
        rows = [self._result(Path(media), without) for media in ended]
        return {"total": self._total, "ended": len(self.files), "offset": offset, "results": rows}

    def _result(self, media: Path, without: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
        assert self._layout is not None
        name = self._layout.name(media)
        status, reason = without.get(name, ("captioned", ""))
        told = {
            "file": name,
            "status": status,
            "caption": None,
            "reason": self._plain(reason) or None,
        }
        if status == "captioned":
            try:
                data = read(self._layout.path(media, self.config.run.until))
            except OSError as error:
                data, told["reason"] = None, f"cannot be read: {error.strerror}"
            told["caption"] = None if data is None else decode(data)[0].strip()
        return told


class Jobs:
    """All of the service's. One runs at a time: they share a model, and a folder bears one."""

    def __init__(self, lend: Lend) -> None:
        self._lend = lend
        self._by_id: dict[str, Job] = {}
        self._worker = ThreadPoolExecutor(1, "job")
        self._stopping = False

    def begin(self, config: Config, path: str) -> Job:
        """Raises Full if too many wait already, Stopping."""
        if self._stopping:
            raise Stopping
        if sum(job.status == "queued" for job in self.all) >= MOST_QUEUED:
            raise Full
        self._forget()
        job = Job(config, path, self._lend)
        self._by_id[job.id] = job
        self._worker.submit(_unless_over, job)
        return job

    def get(self, name: str) -> Job | None:
        return self._by_id.get(name)

    @property
    def all(self) -> list[Job]:
        """The oldest first."""
        return list(self._by_id.values())

    def stop(self) -> None:
        """Asks all to end; signals may call it."""
        self._stopping = True
        for job in self.all:
            job.stop.ask()

    def close(self) -> None:
        """Waits until they have."""
        self.stop()
        self._worker.shutdown(cancel_futures=True)

    def _forget(self) -> None:
        """The oldest that have ended, so that a service that runs for a year does not grow."""
        ended = [job for job in self.all if job.over]
        files = list(itertools.accumulate(len(job.files) for job in reversed(ended)))
        keep = sum(count <= _FILES_KEPT for count in files[: _KEPT - 1])
        for job in ended[: len(ended) - keep]:
            del self._by_id[job.id]


def _unless_over(job: Job) -> None:
    if not job.over:  # cancelled while it waited
        job.run()


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
