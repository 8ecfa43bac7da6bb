"""What is wrong with a caption's file: its bytes and lines, and what trainers would read into them.

Pure functions of the bytes. What trainers do was read in their sources; docs/check.md names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stages.sample import Problem
from stages.text.anchor import PLACEHOLDER
from stages.text.encoding import NAME_IT, Unreadable, readable
from stages.text.length import over_budget

_BOM = b"\xef\xbb\xbf"
_LINE = re.compile(r"\r\n|\r|\n")
# As sd-scripts reads them: alternatives, parts kept in place, further tags. Doubled braces are its
# way to write one.
_DOUBLED = re.compile(r"\{\{|\}\}")
_WILDCARD = re.compile(r"\{[^{}]*\}|[{}]|\|\|\||;;;")


def check_file(data: bytes, token_limit: str | int = "t5") -> list[Problem]:
    """The problems of a caption's file, by its bytes.

    `token_limit` is a name of TOKEN_LIMITS or a number of tokens.
    """
    return list(_found(data, token_limit))


def _found(data: bytes, token_limit: str | int) -> Iterator[Problem]:
    try:
        text, encoding = readable(data)
    except Unreadable as reason:
        message = f"{reason}: save it as UTF-8, or {NAME_IT}"
        yield Problem("not_utf8", True, message=message)
        return
    if not encoding.startswith("UTF-8"):
        message = f"is {encoding}, trainers stop at it: enhance fix-encoding mends it"
        yield Problem("not_utf8", True, message=message)
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
    yield from over_budget(caption, token_limit)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
