"""The routes, what fails in them, and what every answer carries."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from enhance.service.chat import Chat, refused
from enhance.service.described import description
from enhance.service.engine import Engine
from enhance.service.enhancing import Enhancing, NoSuchJob
from enhance.service.gathering import Full, Stopping
from enhance.service.guard import LOOPBACK, App, Guard
from enhance.service.jobs import Jobs
from enhance.service.joycaption import JoyCaption, Wrong
from enhance.service.leaving import Gone
from enhance.service.roots import Roots
from enhance.service.told import Json, failed, refusal, without_paths
from stages.sample import Fatal, Unavailable

LARGEST = 32_000_000  # bytes of a body: a large photo as base64
_GONE = 499  # for a client that is not there to read it
_SHUTDOWN = 1.0  # seconds after the answer

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is allowed besides captioning."""

    hosts: Sequence[str] = ()  # names under which it may be asked, besides loopback
    token: str = ""
    allow_remote: bool = False
    allow_shutdown: bool = False
    largest: int = LARGEST
    by_number: bool = False  # it may be asked by any address of the machine
    flags: Sequence[str] = ()  # of every job


def service(engine: Engine, jobs: Jobs, roots: Roots, rules: Rules, gpus: int = 0) -> App:
    """The service as an ASGI application."""
    enhancing = Enhancing(jobs, roots, rules.flags)
    joy = JoyCaption(engine, roots, gpus)
    chat = Chat(engine, rules.allow_remote, rules.largest)

    async def shutdown(_: Request) -> Response:
        if not rules.allow_shutdown:
            return failed(403, "this service is not stopped by requests: --allow_shutdown")
        loop = asyncio.get_running_loop()
        loop.call_later(_SHUTDOWN, os.kill, os.getpid(), signal.SIGTERM)
        return Json({"status": "shutting_down", "message": "the service stops"})

    async def job(request: Request) -> Response:
        asks = enhancing.cancel if request.method == "DELETE" else enhancing.one
        return await asks(request)

    async def described(_: Request) -> Response:
        return Json(description(rules.allow_shutdown, bool(rules.token)))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        engine.loop = asyncio.get_running_loop()
        yield
        await asyncio.to_thread(jobs.close)
        await engine.gathering.drain()

    app = Starlette(
        routes=[
            Route("/health", _told(joy.health), methods=["GET"]),
            Route("/progress", _told(joy.progress), methods=["GET"]),
            Route("/prompts", _told(joy.prompts), methods=["GET"]),
            Route("/caption", _told(joy.caption), methods=["POST"]),
            Route("/batch_caption", _told(joy.batch), methods=["POST"]),
            Route("/shutdown", _told(shutdown), methods=["POST"]),
            Route("/v1/models", _told(chat.models, refused), methods=["GET"]),
            Route("/v1/models/{id:path}", _told(chat.model, refused), methods=["GET"]),
            Route("/v1/chat/completions", _told(chat.completions, refused), methods=["POST"]),
            Route("/enhance", _told(enhancing.begin), methods=["POST"]),
            Route("/jobs", _told(enhancing.all), methods=["GET"]),
            Route("/jobs/{id}", _told(job), methods=["GET", "DELETE"]),
            Route("/jobs/{id}/results", _told(enhancing.results), methods=["GET"]),
            Route("/openapi.json", _told(described), methods=["GET"]),
        ],
        exception_handlers={HTTPException: _http, Exception: _unexpected},
        lifespan=lifespan,
    )
    # It would name the address to go to by what the request says of itself.
    app.router.redirect_slashes = False
    return Guard(app, (*LOOPBACK, *rules.hosts), rules.token, rules.largest, rules.by_number)


def _told(endpoint: Endpoint, say: Callable[..., Response] = failed) -> Endpoint:
    """With an answer to all that may go wrong, and the time that it took."""

    async def route(request: Request) -> Response:
        began = time.perf_counter()
        response = await _answered(endpoint, request, say)
        took = (time.perf_counter() - began) * 1000
        response.headers["Server-Timing"] = f"total;dur={took:.1f}"
        return response

    return route


async def _answered(endpoint: Endpoint, request: Request, say: Callable[..., Response]) -> Response:
    try:
        return await endpoint(request)
    except Wrong as error:
        return say(400, str(error))
    except NoSuchJob:
        return say(404, "no such job")
    except (Gone, ClientDisconnect):  # having asked, or amid its body
        return Response(status_code=_GONE)
    except (Full, Stopping) as error:
        full = isinstance(error, Full)
        response = say(503, "too many requests wait: try again" if full else "the service stops")
        response.headers["Retry-After"] = "1"
        return response
    except Unavailable as error:
        return say(503, without_paths(str(error)))
    except Fatal as error:  # the model cannot be loaded
        return say(503, without_paths(str(error)))


async def _http(request: Request, error: Any) -> Response:
    """No such path, or not in this way."""
    told = refusal(request.url.path, str(error.detail), error.status_code)
    return Json(told, error.status_code, headers=error.headers)


async def _unexpected(request: Request, _: Exception) -> Response:
    """What it was stands in the log: nothing of it is anybody's business."""
    said = "an unexpected error; the service's log tells more"
    return Json(refusal(request.url.path, said, 500), 500)
