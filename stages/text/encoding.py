"""The bytes of a caption file as text."""

from __future__ import annotations

import codecs
import re

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Signs that stand beside letters in Western texts. Of what else is no ASCII, three in a row never
# stand there ("Àííèêà", "¾È³ç"), nor a word of such letters alone ("ÔÚ"), nor a sign before one
# ("³ó").
_SIGNS = "«»“”„‘’‚‹›…–—·¿¡°ªº™€\u00a0"
_HIGH = rf"[^\x00-\x7f{_SIGNS}]"
_LETTER = "[À-ÖØ-öø-ÿŠŒŽšœžŸƒ]"
_MOJIBAKE = re.compile(
    rf"{_HIGH}{{3}}|(?<!\w){_LETTER}{{2,}}(?!\w)|(?!{_LETTER})(?!º|ª){_HIGH}{_LETTER}"
)
NAME_IT = "enhance fix-encoding --encoding NAME makes it UTF-8"


class Unreadable(ValueError):
    """Bytes of which a character would be lost or guessed; the message is the reason."""


def decode(data: bytes) -> tuple[str, str]:
    """(text, encoding): UTF-8 with or without BOM, UTF-16 by its BOM, else Windows-1252.

    A UTF-8 BOM is dropped. Windows-1252 before any guess: byte 0x92, its apostrophe, is what
    stops trainers most often. For what is written by it, ask `doubt` first.
    """
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        pass
    if data.startswith(_UTF16):
        return data.decode("utf-16", errors="replace"), "utf-16"
    return data.decode("cp1252", errors="replace"), "cp1252"


def doubt(data: bytes) -> str:
    """Why what `decode` makes of a text is hardly what was written, or ""."""
    text, encoding = decode(data)
    if "\0" in text:
        return "holds NUL characters, as UTF-16 without a byte order mark does"
    found = _MOJIBAKE.search(text) if encoding == "cp1252" else None
    if not found:
        return ""
    around = text[max(found.start() - 8, 0) : found.end() + 8].strip()
    return f'as Windows-1252 it reads "{around}" and may be in another encoding'


def readable(data: bytes, encoding: str = "") -> tuple[str, str]:
    """(text, encoding), for what is to be written anew: like `decode`, but strict.

    `encoding` is what a person says of texts that are no UTF-8. Raises Unreadable.
    """
    if encoding and not data.startswith((*_UTF16, codecs.BOM_UTF8)) and not _is_utf8(data):
        return _named(data, encoding)
    name = "UTF-8"
    try:
        if data.startswith(_UTF16):
            name = "UTF-16"
            text = data.decode("utf-16")
        else:
            text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if name == "UTF-16" or data.startswith(codecs.BOM_UTF8):
            at = error.start + 1
            raise Unreadable(f"begins as {name}, and is not from byte {at} on") from None
        text, name = _windows(data), "cp1252"
    reason = doubt(data)
    if reason:
        raise Unreadable(reason)
    if text.startswith("\ufeff"):
        name = f"{name} with BOM"
    # All of them: the second run is to find nothing.
    return text.lstrip("\ufeff"), name


def unreadable(data: bytes) -> bool:
    """True for what `readable` refuses."""
    try:
        readable(data)
    except Unreadable:
        return True
    return False


def _is_utf8(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _named(data: bytes, encoding: str) -> tuple[str, str]:
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        at = getattr(error, "start", 0) + 1
        raise Unreadable(f"is not {encoding} from byte {at} on") from None
    if "\0" in text:
        raise Unreadable(f"holds NUL characters if read as {encoding}")
    return text.lstrip("\ufeff"), encoding


def _windows(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError as error:
        byte, at = data[error.start], error.start + 1
        reason = f"byte {at} (0x{byte:02x}) is neither UTF-8 nor Windows-1252"
        raise Unreadable(reason) from None
