"""The service's OpenAPI description, as /openapi.json tells it."""

from __future__ import annotations

from typing import Any

from enhance import __version__

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
            "/openapi.json": {"get": _route("This description", object_)},
        },
    }


_FAILS = dict.fromkeys(("400", "401", "404", "413", "421", "500", "503"), _ERROR)
_REFUSES: dict[str, dict[str, Any]] = {
    status: {"type": "object", "required": ["error"]}
    for status in ("400", "401", "404", "413", "421", "503")
}


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
            "description": "the answer" if status == "200" else "why there is none",
            "content": {"application/json": {"schema": schema}},
        }
        for status, schema in by_status.items()
    }
    return {"summary": summary, "security": [{}, {"token": []}], "responses": responses}
