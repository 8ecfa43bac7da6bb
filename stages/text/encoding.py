"""The bytes of a caption file as text."""

from __future__ import annotations

import codecs


def decode(data: bytes) -> tuple[str, str]:
    """(text, encoding): UTF-8 with or without BOM, UTF-16 by its BOM, else Windows-1252.

    A UTF-8 BOM is dropped. Windows-1252 before any guess: byte 0x92, its apostrophe, is what
    stops trainers most often.
    """
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        pass
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace"), "utf-16"
    return data.decode("cp1252", errors="replace"), "cp1252"


def readable(data: bytes) -> tuple[str, str]:
    """(text, encoding), for what is to be written anew: like `decode`, but strict.

    Raises ValueError, with the reason, where a character would be lost or guessed.
    """
    encoding = "UTF-8"
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "UTF-16"
            text = data.decode("utf-16")
        else:
            text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if encoding == "UTF-16" or data.startswith(codecs.BOM_UTF8):
            at = error.start + 1
            raise ValueError(f"begins as {encoding}, and is not from byte {at} on") from None
        text, encoding = _windows(data), "cp1252"
    if text.startswith("\ufeff"):
        encoding = f"{encoding} with BOM"
    if "\0" in text:
        raise ValueError("holds NUL characters, as UTF-16 without a byte order mark does")
    # All of them: the second run is to find nothing.
    return text.lstrip("\ufeff"), encoding


def _windows(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError as error:
        byte, at = data[error.start], error.start + 1
        reason = f"byte {at} (0x{byte:02x}) is neither UTF-8 nor Windows-1252"
        raise ValueError(reason) from None
