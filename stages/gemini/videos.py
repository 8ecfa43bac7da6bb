"""Which videos Gemini takes, by the types that Google documents."""

from __future__ import annotations

from stages.picture import Film

_LARGEST = 2_000_000_000  # bytes of an upload
_KINDS = {
    f"video/{name}": f"video/{name}"
    for name in ("mp4", "mpeg", "mov", "avi", "x-flv", "mpg", "webm", "wmv", "3gpp")
} | {
    # As most of the world calls three of them.
    "video/quicktime": "video/mov",
    "video/x-msvideo": "video/avi",
    "video/x-ms-wmv": "video/wmv",
}


def taken(kind: str, size: int) -> bool:
    """True for a video of that type and of so many bytes."""
    return kind in _KINDS and size <= _LARGEST


def kind_of(film: Film) -> str:
    """Its type by the name that Google has for it."""
    return _KINDS.get(film.kind, film.kind)
