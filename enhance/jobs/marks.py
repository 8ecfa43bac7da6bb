"""Words marked in a line of text: in colour on a terminal, between arrows elsewhere."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import Any

_COLOUR = ("\x1b[1;31m", "\x1b[0m")  # bold red, as grep does
_PLAIN = (">>", "<<")
_LONGEST = 1000  # characters of a line; a caption of a book helps nobody


def coloured(stream: Any = None) -> bool:
    """True if the stream is a terminal that shows colours and nobody asked for none."""
    stream = stream or sys.stdout
    # https://no-color.org: any value but the empty one says no.
    return bool(
        stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def line_of(text: str) -> str:
    """A text as one line that can be shown: no line breaks, nothing that a terminal obeys."""
    line = " ".join(text.split())
    line = line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"
    return "".join(letter if letter.isprintable() else "�" for letter in line)


def marked(text: str, words: Iterable[str], colour: bool) -> str:
    """The text as one line, each of `words` marked wherever it stands whole, in its own case."""
    line = line_of(text)
    known = {word for word in map(line_of, words) if word and word in line}
    wanted = sorted(known, key=len, reverse=True)
    if not wanted:
        return line
    before, after = _COLOUR if colour else _PLAIN
    pattern = "|".join(_whole(word, line) for word in wanted)
    return re.sub(pattern, lambda found: f"{before}{found[0]}{after}", line)


def _whole(word: str, line: str) -> str:
    """`word` where no letter goes on; anywhere, if it stands nowhere like that (as in Japanese)."""
    left = r"(?<!\w)" if word[0].isalnum() else ""
    right = r"(?!\w)" if word[-1].isalnum() else ""
    whole = f"{left}{re.escape(word)}{right}"
    return whole if re.search(whole, line) else re.escape(word)
