"""HEIC and JPEG XL: read by packages that come as extras, loaded when the first such file does."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from pathlib import Path

from stages.sample import Unavailable, Unusable

# By the name that Pillow gives the format: its name for people, its extra, its package.
_EXTRAS = {
    "HEIF": ("HEIC", "heic", "pillow_heif"),
    "JXL": ("JPEG XL", "jxl", "pillow_jxl"),
}
_EXTENSIONS = {".heic": "HEIF", ".heif": "HEIF", ".jxl": "JXL"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}


def format_of(head: bytes) -> str:
    """ "HEIF" or "JXL" if this is how such a file begins, else ""."""
    if head.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")):
        return "JXL"
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4]), len(head))
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, end, 4))}
        return "HEIF" if brands & _HEIC and not brands & _AVIF else ""
    return ""


def people_say(format_name: str) -> str:
    """The format's name for people; "" for ""."""
    return _EXTRAS[format_name][0] if format_name else ""


def missing(path: Path) -> str:
    """The extra that a file of this name needs and that is not installed; "" if none is."""
    found = _EXTENSIONS.get(os.path.splitext(path)[1].lower(), "")
    return _EXTRAS[found][1] if found and not _installed(found) else ""


def load(format_name: str, path: Path) -> None:
    """Teaches Pillow the format. Raises Unusable or Unavailable if that cannot be."""
    people, extra, package = _EXTRAS[format_name]
    if not _installed(format_name):
        line = f'{people} images need an extra: pip install "enhance-captions[{extra}]"'
        # What the name tells stands in the draft's key, and the failure may be remembered by it.
        raise Unusable(line) if missing(path) == extra else Unavailable(line)
    try:
        _register(package)
    except ImportError as error:
        raise Unavailable(f"{people} images: {package} cannot be loaded: {error}") from None


@functools.cache
def _installed(format_name: str) -> bool:
    return importlib.util.find_spec(_EXTRAS[format_name][2]) is not None


@functools.cache
def _register(package: str) -> None:
    module = importlib.import_module(package)  # pillow_jxl registers itself
    if package == "pillow_heif":
        module.register_heif_opener(depth_images=False, aux_images=False)


_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def jxl_size(head: bytes) -> tuple[int, int] | None:
    """(width, height) that a JPEG XL file claims, by its first bytes (ISO/IEC 18181-1, 9.1); None
    if they do not say. Its plugin decodes a file before anyone can ask how large it is."""
    start = head.find(b"\xff\x0a")
    if start < 0:
        return None
    bits = int.from_bytes(head[start + 2 : start + 14], "little")

    def read(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    def length(small: bool) -> int:
        return 8 * (1 + read(5)) if small else 1 + read((9, 13, 18, 30)[read(2)])

    small = bool(read(1))
    height = length(small)
    ratio = _RATIOS[read(3)]
    width = height * ratio[0] // ratio[1] if ratio else length(small)
    return width, height
