"""The service's OpenAPI description, as /openapi.json tells it."""

from __future__ import annotations

from typing import Any

from enhance import __version__
from enhance.service.settings import SETTINGS

_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_ASKED: dict[str, Any] = {
    "prompt": _TEXT,
    "style": {**_TEXT, "default": "descriptive"},
    "caption_type": _TEXT,
    "caption_length": {"type": ["string", "integer", "null"], "default": "long"},
    "extra_options": {"type": ["array", "null"], "items": {"type": "string"}},
    "name_input": _TEXT,
    "max_new_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 4096, "default": 256},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2, "default": 0.6},
    "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1, "default": 0.9},
    "top_k": {"type": ["integer", "null"], "minimum": 0, "maximum": 100000},
    "do_sample": {"type": ["boolean", "null"], "default": True},
}
_LOADING = {
    "type": "object",
    "required": ["status", "message", "progress"],
    "properties": {
        "status": {"enum": ["idle", "downloading", "loading", "ready", "error"]},
        "message": {"type": "string"},
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "current_file": {"type": "string"},
        "files_downloaded": {"type": "integer"},
        "total_files": {"type": "integer"},
    },
}
_PART: dict[str, Any] = {
    "oneOf": [
        {
            "type": "object",
            "required": ["type", "text"],
            "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
        },
        {
            "type": "object",
            "required": ["type", "image_url"],
            "properties": {
                "type": {"const": "image_url"},
                "image_url": {
                    "type": "object",
                    "required": ["url"],
                    "properties": {"url": {"type": "string"}, "detail": {"type": "string"}},
                },
            },
        },
    ]
}
_CHAT: dict[str, Any] = {
    "type": "object",
    "required": ["messages"],
    "properties": {
        "model": _TEXT,
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["role", "content"],
                "properties": {
                    "role": {"enum": ["system", "developer", "user", "assistant"]},
                    "content": {"oneOf": [{"type": "string"}, {"type": "array", "items": _PART}]},
                },
            },
        },
        "max_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 4096},
        "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 4096},
        "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
        "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "top_k": {"type": ["integer", "null"], "minimum": 0, "maximum": 100000},
        "stream": {"type": ["boolean", "null"]},
    },
}


_COUNTS = {"type": "object", "additionalProperties": {"type": "integer"}}
_ROW = {"type": "object", "required": ["file"], "properties": {"file": {"type": "string"}}}
_ROWS = {"type": "array", "items": _ROW}
_JOB: dict[str, Any] = {
    "type": "object",
    "required": ["id", "status", "path", "progress", "files", "stages", "error", "report"],
    "properties": {
        "id": {"type": "string"},
        "status": {"enum": ["queued", "running", "cancelling", "done", "failed", "cancelled"]},
        "path": {"type": "string"},
        "created": {"type": "string"},
        "started": _TEXT,
        "ended": _TEXT,
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "files": _COUNTS,
        "stages": {"type": "object", "additionalProperties": _COUNTS},
        "error": _TEXT,
        "report": {
            "type": ["object", "null"],
            "required": ["complete", "seconds", "failed", "later", "needs_a_person", "notes"],
            "properties": {
                "complete": {"type": "boolean"},
                "seconds": {"type": "number"},
                **dict.fromkeys(("failed", "later", "needs_a_person", "notes"), _ROWS),
            },
        },
    },
}
_RESULTS: dict[str, Any] = {
    "type": "object",
    "required": ["total", "ended", "offset", "results"],
    "properties": {
        **{name: {"type": "integer"} for name in ("total", "ended", "offset")},
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["file", "status", "caption", "reason"],
                "properties": {
                    "file": {"type": "string"},
                    "status": {"enum": ["captioned", "failed", "later", "needs_a_person"]},
                    "caption": _TEXT,
                    "reason": _TEXT,
                },
            },
        },
    },
}
_ENHANCE: dict[str, Any] = {
    "type": "object",
    "required": ["path"],
    "properties": {"path": {"type": "string", "minLength": 1}, **SETTINGS},
    "additionalProperties": False,
}


def description(allow_shutdown: bool) -> dict[str, Any]:
    """OpenAPI 3.1."""
    object_: dict[str, Any] = {"type": "object"}
    caption = {**object_, "required": ["image_path"]}
    caption["properties"] = {"image_path": {"type": "string"}, **_ASKED}
    batch = {**object_, "required": ["image_paths"]}
    batch["properties"] = {
        "image_paths": {"type": "array", "items": {"type": "string"}, "maxItems": 10000},
        **_ASKED,
    }
    stopped = {"200": object_} if allow_shutdown else {"403": _ERROR}
    return {
        "openapi": "3.1.0",
        "info": {"title": "enhance: captions of pictures", "version": __version__},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/health": {"get": _route("Whether it runs, and how far the model is", object_)},
            "/progress": {"get": _route("How far the model is; begins to load it", _LOADING)},
            "/prompts": {"get": _route("Styles with their prompts, and caption types", object_)},
            "/caption": {"post": _route("The caption of one file", object_, caption, _FAILS)},
            "/batch_caption": {"post": _route("Captions of files", object_, batch, _FAILS)},
            "/shutdown": {"post": _answers("Stops the service", stopped)},
            "/v1/models": {"get": _route("The model", object_)},
            "/v1/chat/completions": {
                "post": _route("What the model says of a picture", object_, _CHAT, _REFUSES)
            },
            "/enhance": {"post": _accepted(_ENHANCE)},
            "/jobs": {
                "get": _route(
                    "All jobs, the oldest first",
                    {**object_, "properties": {"jobs": {"type": "array", "items": _JOB}}},
                )
            },
            "/jobs/{id}": {
                "parameters": [_ID],
                "get": _route("How far a job is, and what became of it", _JOB, fails=_UNKNOWN),
                "delete": _route("Ends a job; what is done stays", _JOB, fails=_UNKNOWN),
            },
            "/jobs/{id}/results": {
                "parameters": [_ID, _query("offset", 0, 10**9), _query("limit", 1, 1000)],
                "get": _route("Captions, as files are done", _RESULTS, fails=_UNKNOWN | _WRONG),
            },
            "/openapi.json": {"get": _route("This description", object_)},
        },
    }


_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_WRONG = {"400": _ERROR}
_UNKNOWN = dict.fromkeys(("401", "404", "421"), _ERROR)
_FAILS = dict.fromkeys(("400", "401", "404", "413", "421", "500", "503"), _ERROR)
_REFUSES: dict[str, dict[str, Any]] = {
    status: {"type": "object", "required": ["error"]}
    for status in ("400", "401", "404", "413", "421", "503")
}


def _query(name: str, least: int, most: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return {"name": name, "in": "query", "schema": schema}


def _accepted(body: dict[str, Any]) -> dict[str, Any]:
    fails = dict.fromkeys(("400", "401", "404", "413", "421", "503"), _ERROR)
    route = _answers("Captions a file or a folder as a job", {"202": _JOB, **fails})
    route["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return route


def _route(
    summary: str,
    good: dict[str, Any],
    body: dict[str, Any] | None = None,
    fails: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    route = _answers(summary, {"200": good, **(fails or {"401": _ERROR, "421": _ERROR})})
    if body is not None:
        content = {"application/json": {"schema": body}}
        route["requestBody"] = {"required": True, "content": content}
    return route


def _answers(summary: str, by_status: dict[str, dict[str, Any]]) -> dict[str, Any]:
    responses = {
        status: {
            "description": "the answer" if status.startswith("2") else "why there is none",
            "content": {"application/json": {"schema": schema}},
        }
        for status, schema in by_status.items()
    }
    return {"summary": summary, "security": [{}, {"token": []}], "responses": responses}
