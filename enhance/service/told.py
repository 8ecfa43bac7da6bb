"""Answers as JSON, whatever stands in them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse


class Json(JSONResponse):
    """In ASCII: a name from a disk may hold what no UTF-8 does, and is given back as it came."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def refusal(path: str, message: str, status: int) -> dict[str, Any]:
    """The body of an error, in the dialect that is spoken at that path."""
    return openai_error(message, status) if path.startswith("/v1/") else {"error": message}


def openai_error(
    message: str, status: int, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def failed(status: int, message: str, detail: str = "") -> Json:
    """An error as the JoyCaption contract tells it."""
    return Json({"error": message, **({"detail": detail} if detail else {})}, status)


_QUOTED = re.compile(r"(['\"])((?:/|[a-zA-Z]:\\|\\\\)[^'\"]*)\1")
# Not the rest of an address such as https://…, of a model's id, or of what is said otherwise.
_BARE = re.compile(r"(?<![\w:/.~\0-])~?(?:/|[a-zA-Z]:\\|\\\\)[^\s'\"<>|:;,()\[\]{}\0]+")


def without_paths(text: str, said: Mapping[str, str] | None = None) -> str:
    """An error's text with the last name alone of each absolute path in it: the folders of this
    machine are nobody's business. `said` are paths with what clients call them."""
    names = list((said or {}).items())
    for number, (path, _) in enumerate(names):
        text = text.replace(path, f"\0{number}\0")
    text = _QUOTED.sub(lambda found: found[1] + _last(found[2]) + found[1], text)
    text = _BARE.sub(lambda found: _last(found[0]), text)
    for number, (_, name) in enumerate(names):
        text = text.replace(f"\0{number}\0", name)
    return text


def _last(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\.…"))[-1] or "/"
