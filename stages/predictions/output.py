"""The text in what a model put out: each has a shape of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_ADDRESS = re.compile(r"(?:https?://|data:)\S+\Z")
_TEXTS = (
    *("text", "caption", "output", "answer", "response", "content", "description", "result"),
    *("generated_text", "message"),
)
_SHOWN = 80  # letters of what came instead


def text_of(output: object) -> str:
    """Raises ValueError, with what came, where there is no text in it."""
    text = _text(output)
    if text is None or _ADDRESS.match(text.strip()):
        shown = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        raise ValueError(f"its output is no text: {shown[:_SHOWN]}")
    return text


def _text(output: object) -> str | None:
    if isinstance(output, str):
        return output
    if isinstance(output, list):  # pieces, in the order in which they were generated
        pieces = [_text(piece) for piece in output]
        return None if not pieces or None in pieces else "".join(map(str, pieces))
    if isinstance(output, Mapping):
        found = (_text(output[name]) for name in _TEXTS if name in output)
        return next((text for text in found if text is not None), None)
    return None


def tokens_of(metrics: object) -> tuple[int, int]:
    """(tokens read, tokens written), 0 where a model does not count them."""
    counted: Mapping[str, Any] = metrics if isinstance(metrics, Mapping) else {}
    read, written = (counted.get(name) for name in ("input_token_count", "output_token_count"))
    return _whole(read), _whole(written)


def seconds_of(metrics: object) -> float:
    """That the model computed: what most models are paid by."""
    seconds = metrics.get("predict_time") if isinstance(metrics, Mapping) else None
    return float(seconds) if isinstance(seconds, (int, float)) else 0.0


def _whole(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) else 0
