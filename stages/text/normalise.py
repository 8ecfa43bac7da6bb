"""Characters: one line, single spaces, no mojibake, nothing invisible. Words stay as they are."""

from __future__ import annotations

import re

import ftfy

# Typographic quotes, ligatures and wide letters are what the writer chose.
_FTFY = ftfy.TextFixerConfig(
    uncurl_quotes=False, fix_latin_ligatures=False, fix_character_width=False, explain=False
)
# Zero-width space, word joiner, BOM, soft hyphen, Mongolian separator, interlinear marks. Never
# the (non-)joiners U+200C and U+200D: emoji, Persian and Indic scripts need them.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\u180e\ufff9-\ufffb]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s+")


def normalise(text: str) -> tuple[str, tuple[str, ...]]:
    """(text, edits). Cleaning what is clean changes no byte; doing it twice equals once."""
    fixed = _once(text)
    for _ in range(3):  # one repair may uncover another: "&amp;nbsp;"
        again = _once(fixed)
        if again == fixed:
            break
        fixed = again
    return fixed, (("normalised characters",) if fixed != text else ())


def _once(text: str) -> str:
    text = _SURROGATE.sub("", text)
    text = ftfy.fix_text(text, _FTFY)
    text = _CONTROL.sub("", _INVISIBLE.sub("", text))
    return _SPACE.sub(" ", text).strip()
