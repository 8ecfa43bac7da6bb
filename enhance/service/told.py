"""Answers as JSON, whatever stands in them."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse


class Json(JSONResponse):
    """In ASCII: a name from a disk may hold what no UTF-8 does, and is given back as it came."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def failed(status: int, message: str, detail: str = "") -> Json:
    """An error as the JoyCaption contract tells it."""
    return Json({"error": message, **({"detail": detail} if detail else {})}, status)
