"""What is wrong with a caption's file: its bytes and lines, and what trainers would read into them.

Pure functions of the bytes. What trainers do was read in their sources; docs/check.md names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stages.sample import Problem
from stages.text.anchor import PLACEHOLDER
from stages.text.encoding import decode

# Tokens that text encoders read; what is beyond is dropped without a word. CLIP takes 77 with its
# start and end.
TOKEN_LIMITS = {
    "clip": 75,
    "ltx": 128,  # the early releases
    "cogvideox": 226,
    "sd3": 256,
    "hunyuan": 256,
    "t5": 512,
    "wan": 512,
    "qwen-image": 1024,
}
LONGEST = 0.9  # of the limit: tokens are estimated, and some models fade before their end

_BOM = b"\xef\xbb\xbf"
_LINE = re.compile(r"\r\n|\r|\n")
# As sd-scripts reads them: alternatives, parts kept in place, further tags. Doubled braces are its
# way to write one.
_DOUBLED = re.compile(r"\{\{|\}\}")
_WILDCARD = re.compile(r"\{[^{}]*\}|[{}]|\|\|\||;;;")
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
)
_PIECE = re.compile(rf"[{_UNSPACED}]|\d|[^\W\d_{_UNSPACED}]+|[^\s\w]|_")


def check_file(data: bytes, token_limit: str | int = "t5") -> list[Problem]:
    """The problems of a caption's file, by its bytes.

    `token_limit` is a name of TOKEN_LIMITS or a number of tokens.
    """
    return list(_found(data, token_limit))


def about_tokens(text: str) -> int:
    """About how many tokens an encoder makes of a text: tokenizers differ, rare words cost more.

    A word is one token and one more for every six letters past six; a digit or a sign is one.
    Words with accents, in other alphabets and in scripts without spaces cost more. By CLIP's own
    vocabulary 24 captions of the policies and examples have 282 tokens, by this estimate 279; a
    sentence of long words 39 and 33, one in Russian 38 and 24.
    """
    return sum(map(_tokens, _PIECE.findall(text)))


def _tokens(piece: str) -> int:
    if piece.isascii():
        return 1 + max(0, len(piece) - 6) // 6
    if len(piece) == 1:
        return 2 if piece.isalpha() else 1
    latin = any(letter.isascii() for letter in piece)
    return 1 + len(piece) // (3 if latin else 2)


def _found(data: bytes, token_limit: str | int) -> Iterator[Problem]:
    text, encoding = decode(data)
    if encoding != "utf-8":
        yield Problem("not_utf8", True, message=f"is {encoding}: trainers stop at it")
    if data.startswith(_BOM):
        message = "begins with a byte order mark, which becomes part of the caption"
        yield Problem("bom", True, message=message)
    caption = text.strip()
    if not caption:
        yield Problem("empty", True, message="there is nothing in it")
        return
    if text.endswith(("\n", "\r")):
        yield Problem("trailing_newline", False, message="ends with a line break")
    lines = sum(bool(line.strip()) for line in _LINE.split(caption))
    if lines > 1:
        message = f"{lines} lines: trainers read one of them, or each as a caption of its own"
        yield Problem("multiline", True, message=message)
    for found in PLACEHOLDER.finditer(caption):
        yield Problem("placeholder", True, found[0], f"{found[0]} was never filled in")
    bare = _DOUBLED.sub("  ", PLACEHOLDER.sub(" ", caption))
    for found in _WILDCARD.finditer(bare):
        message = f"{_short(found[0])} can be read as a choice or a separator of tags"
        yield Problem("wildcard_syntax", False, found[0], message)
    yield from _budget(caption, token_limit)


def _budget(caption: str, token_limit: str | int) -> Iterator[Problem]:
    limit = TOKEN_LIMITS[token_limit] if isinstance(token_limit, str) else token_limit
    most = limit if token_limit == "clip" else int(limit * LONGEST)
    # No token is estimated below a byte: most captions are too short to be counted.
    if len(caption.encode("utf-8", "replace")) <= most:
        return
    count = about_tokens(caption)
    if count > most:
        reads = f"{token_limit} reads {limit}" if isinstance(token_limit, str) else f"of {limit}"
        message = f"about {count} tokens, {reads}; what is beyond is dropped"
        yield Problem("token_budget", False, message=message)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
