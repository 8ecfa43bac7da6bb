"""`POST /enhance` and `/jobs`: the whole pipeline for a file or a folder, as a job.

A client says what the captions are to be, as `enhance`'s own flags do. What a run may reach, which
servers, keys, files and models, whoever started the service has said.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request

from enhance import config
from enhance.concepts import check
from enhance.servers import serves
from enhance.service.gathering import Full
from enhance.service.jobs import MOST_QUEUED, Job, Jobs
from enhance.service.joycaption import Wrong, read_object
from enhance.service.roots import Roots
from enhance.service.settings import SETTINGS, spelled
from enhance.service.told import Json, failed, without_paths
from stages.joy import builder
from stages.sample import Fatal

MOST_RESULTS = 1000
_FLAG = re.compile(r"(?:argument )?--(?=[a-z])")  # clients have names, no flags
_TEMPLATE = re.compile(r"\{[{%#]")
_NAME = re.compile(r"[\w-]{1,64}")


class Enhancing:
    """The endpoints of jobs."""

    def __init__(self, jobs: Jobs, roots: Roots, own: Sequence[str]) -> None:
        """`own` are the flags that hold for every job."""
        self._jobs, self._roots, self._own = jobs, roots, own

    async def begin(self, request: Request) -> Json:
        body = await read_object(request)
        name = body.get("path")
        if not isinstance(name, str) or not name:
            raise Wrong("path is required: a folder, or an image or video")
        flags = flags_of(body)
        found = await asyncio.to_thread(self._found, name)
        if found is None:
            return failed(404, f"File or folder not found: {name}")
        settings = self._settings(found, flags)
        try:
            job = self._jobs.begin(settings, name)
        except Full:
            said = f"{MOST_QUEUED} jobs wait already: come again when one has ended"
            return Json({"error": said}, 503, headers={"Retry-After": "60"})
        return Json(job.as_json(), 202, headers={"Location": f"/jobs/{job.id}"})

    async def all(self, _: Request) -> Json:
        return Json({"jobs": [job.as_json() | {"report": None} for job in self._jobs.all]})

    async def one(self, request: Request) -> Json:
        return Json(self._job(request).as_json())

    async def results(self, request: Request) -> Json:
        job = self._job(request)
        offset = _number(request, "offset", 0, 0, 10**9)
        limit = _number(request, "limit", 100, 1, MOST_RESULTS)
        return Json(await asyncio.to_thread(job.results, offset, limit))

    async def cancel(self, request: Request) -> Json:
        job = self._job(request)
        job.cancel()
        return Json(job.as_json())

    def _job(self, request: Request) -> Job:
        """Raises NoSuchJob."""
        job = self._jobs.get(request.path_params["id"])
        if job is None:
            raise NoSuchJob
        return job

    def _found(self, name: str) -> tuple[Path, Path | None] | None:
        """The dataset of a path, and the part of it. Raises Wrong if links there lead elsewhere, or
        datasets lie in it."""
        found = self._roots.dataset(name)
        if found is None:
            return None
        dataset, part = found
        escape = self._roots.escape(dataset)
        if escape is not None:
            inside = escape.relative_to(dataset) if escape.is_relative_to(dataset) else escape.name
            raise Wrong(f"{inside}: this link leads out of the folders that are served")
        inner = self._roots.captioned_below(part or dataset)
        if inner:
            names = ", ".join(inner[:3]) + (" …" if len(inner) > 3 else "")
            raise Wrong(f"captioned by themselves before, so begin a job for each: {names}")
        return found

    def _settings(self, found: tuple[Path, Path | None], flags: Sequence[str]) -> config.Config:
        dataset, part = found
        argv = [*self._own, f"--dataset_dir={dataset}", *flags]
        if part is not None:
            argv += ["--files", str(part)]
        try:
            settings = config.read(argv)
            check(settings.policy)
            builder().prompt(settings.generate.wish, "Descriptive", "long", ())
        except Fatal as error:
            raise Wrong(_FLAG.sub("", without_paths(str(error)))) from None
        merges = settings.merge.merge and settings.run.until != "generated"
        if not merges and not settings.generate.generate:
            raise Wrong("generate and merge, or until, leave nothing to do")
        if merges and not serves(settings, settings.merge) and not settings.merge.model:
            raise Wrong(
                "there is no language model to merge: the service was started without --base_url; "
                'ask for "merge": false or "until": "generated"'
            )
        return settings


class NoSuchJob(Exception):
    """None of that id; it may have been forgotten."""


def flags_of(body: Mapping[str, Any]) -> list[str]:
    """The settings of a request as flags. Raises Wrong for what a client may not set, or not so."""
    flags: list[str] = []
    for name, value in body.items():
        if name == "path" or value is None:
            continue
        if name not in SETTINGS:
            raise Wrong(f"{name[:100]} is no setting of a job; those are: {', '.join(SETTINGS)}")
        if name == "lora_type" and isinstance(value, str) and not _NAME.fullmatch(value):
            raise Wrong("lora_type must be the name of one")
        if name == "prompt" and isinstance(value, str):
            if _TEMPLATE.search(value):
                raise Wrong("prompt: templates are not taken from clients")
            value = f"{value}\n"  # never the name of a file; the end is stripped
        try:
            flags += spelled(name, value)
        except ValueError as error:
            raise Wrong(str(error)) from None
    return flags


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) <= most:
        raise Wrong(f"{name} must be a whole number from {least} to {most}")
    return int(text)
