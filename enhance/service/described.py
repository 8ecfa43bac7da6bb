"""The service's OpenAPI description, as /openapi.json tells it; tests hold the service to it."""

from __future__ import annotations

from typing import Any

from enhance import __version__
from enhance.service import shapes
from enhance.service.shapes import ERROR, OPENAI_ERROR, Shape

# What the guard in front of every route answers, and all routes that read a body.
_GUARDED = {"401": ERROR, "403": ERROR, "421": ERROR}
_READ = {**_GUARDED, "400": ERROR, "413": ERROR}
_FAILS = {**_READ, "404": ERROR, "500": shapes.NO_CAPTION, "503": ERROR}
_OPENAIS = dict.fromkeys(_GUARDED, OPENAI_ERROR)
_UNKNOWN = {"404": ERROR}
_REFUSES = dict.fromkeys((*_READ, "404", "500", "503"), OPENAI_ERROR)


def description(allow_shutdown: bool, token: bool = False) -> dict[str, Any]:
    """OpenAPI 3.1. `token`: one is needed."""
    stopped = {"200": shapes.STOPPED} if allow_shutdown else {}
    paths = {
        "/health": {"get": _open(_get("Whether it runs, and how far the model is", shapes.HEALTH))},
        "/progress": {"get": _get("How far the model is; begins to load it", shapes.LOADING)},
        "/prompts": {"get": _get("Styles with their prompts, and caption types", shapes.PROMPTS)},
        "/caption": {
            "post": _post("The caption of one file", shapes.CAPTION, shapes.CAPTIONED, _FAILS)
        },
        "/batch_caption": {
            "post": _post("Captions of files", shapes.BATCH, shapes.BATCHED, _FAILS)
        },
        "/shutdown": {"post": _answers("Stops the service", {**_GUARDED, **stopped})},
        "/v1/models": {"get": _get("The model", shapes.MODELS, _OPENAIS)},
        "/v1/models/{id}": {
            "parameters": [_ID],
            "get": _get("The model", shapes.MODEL, {**_OPENAIS, "404": OPENAI_ERROR}),
        },
        "/v1/chat/completions": {"post": _chat()},
        "/enhance": {"post": _begun()},
        "/jobs": {"get": _get("All jobs, the oldest first", shapes.JOBS)},
        "/jobs/{id}": {
            "parameters": [_ID],
            "get": _get("How far a job is, and what became of it", shapes.JOB, _UNKNOWN),
            "delete": _get("Ends a job; what is done stays", shapes.JOB, _UNKNOWN),
        },
        "/jobs/{id}/results": {
            "parameters": [_ID, _query("offset", 0, 10**9), _query("limit", 1, 1000)],
            "get": _get("Captions, as files are done", shapes.RESULTS, {**_UNKNOWN, "400": ERROR}),
        },
        "/openapi.json": {"get": _get("This description", _DESCRIPTION)},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "enhance: captions of pictures", "version": __version__},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}] if token else [],
        "paths": paths,
    }


_DESCRIPTION = shapes.shape(
    openapi={"const": "3.1.0"}, info={"type": "object"}, paths={"type": "object"}
)


_ID = {"name": "id", "in": "path", "required": True, "schema": shapes.TEXT}


def _query(name: str, least: int, most: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return {"name": name, "in": "query", "schema": schema}


def _get(summary: str, good: Shape, fails: dict[str, Shape] | None = None) -> dict[str, Any]:
    return _answers(summary, {"200": good, **_GUARDED, **(fails or {})})


def _post(summary: str, body: Shape, good: Shape, fails: dict[str, Shape]) -> dict[str, Any]:
    content = {"application/json": {"schema": body}}
    return {
        **_answers(summary, {"200": good, **fails}),
        "requestBody": {"required": True, "content": content},
    }


def _chat() -> dict[str, Any]:
    summary = "What the model says of a picture"
    route = _post(summary, shapes.CHAT, shapes.COMPLETION, _REFUSES)
    # With "stream": true. The schema is that of each event.
    route["responses"]["200"]["content"]["text/event-stream"] = {"schema": shapes.EVENT}
    return route


def _begun() -> dict[str, Any]:
    fails = {**_READ, "404": ERROR, "503": ERROR}
    route = _post("Captions a file or a folder as a job", shapes.ENHANCE, shapes.JOB, fails)
    route["responses"]["202"] = route["responses"].pop("200")
    return route


def _open(route: dict[str, Any]) -> dict[str, Any]:
    """It needs no token."""
    route["responses"].pop("401")
    return {**route, "security": []}


def _answers(summary: str, by_status: dict[str, Shape]) -> dict[str, Any]:
    responses = {
        status: {
            "description": "the answer" if status.startswith("2") else "why there is none",
            "content": {"application/json": {"schema": schema}},
        }
        for status, schema in by_status.items()
    }
    return {"summary": summary, "responses": responses}
