"""What changed in a caption, word by word, for people."""

from __future__ import annotations

import difflib
import re

_WORDS = re.compile(r"\w+(?:[-'’]\w+)*|\s|[^\w\s]")
_LONG = 2000  # words: beyond, an exact comparison takes too long


def words(before: str, after: str, colour: bool) -> str:
    """One line, what was removed and added marked as git does: `[-old-]{+new+}`, or in colour."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > _LONG)
    line = ""
    for act, start, end, new_start, new_end in matcher.get_opcodes():
        removed, added = "".join(old[start:end]), "".join(new[new_start:new_end])
        if act == "equal":
            line += _visible(removed)
            continue
        for piece, marks, paint in ((removed, ("[-", "-]"), 31), (added, ("{+", "+}"), 32)):
            if piece and colour:
                line += f"\x1b[{paint}m{_visible(piece).replace(' ', '·')}\x1b[m"
            elif piece:
                line += _visible(piece).join(marks)
    return line


def _visible(text: str) -> str:
    """Line breaks, controls and invisible characters as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
