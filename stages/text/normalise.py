"""Characters: one line, single spaces, no mojibake, nothing invisible. Words stay as they are."""

from __future__ import annotations

import html
import html.entities
import re

import ftfy

# Typographic quotes, ligatures and wide letters are what the writer chose. ftfy would leave
# entities alone as soon as a "<" stands anywhere.
_FTFY = ftfy.TextFixerConfig(
    uncurl_quotes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    unescape_html=False,
    explain=False,
)
_ENTITY = re.compile(r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
# Zero-width space, word joiner, BOM, soft hyphen, Mongolian separator, interlinear marks, marks and
# embeddings of direction.
_INVISIBLE = re.compile(
    "[\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\u00ad\u180e\ufff9-\ufffb]"
)
# The joiner and the non-joiner make emoji, Persian and Indic words: only where neither is, they go.
_JOINER = re.compile("(?<![^\x00-\u02ff])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\u02ff])")
# Tag letters, unless they make a flag.
_TAG = re.compile("(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]+")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s+")
_PLAIN = re.compile(r"[!-%'-~]+(?: [!-%'-~]+)*")  # printable ASCII without "&", single spaces


def normalise(text: str) -> tuple[str, tuple[str, ...]]:
    """(text, edits). Cleaning what is clean changes no byte; doing it twice equals once."""
    if _PLAIN.fullmatch(text):
        return text, ()
    fixed = _once(text)
    for _ in range(3):  # one repair may uncover another: "&amp;nbsp;"
        again = _once(fixed)
        if again == fixed:
            break
        fixed = again
    return fixed, (("normalised characters",) if fixed != text else ())


def _once(text: str) -> str:
    text = _SURROGATE.sub("", text)
    text = _ENTITY.sub(_unescaped, text) if "&" in text else text
    text = ftfy.fix_text(text, _FTFY)
    for invisible in (_CONTROL, _INVISIBLE, _JOINER, _TAG):
        text = invisible.sub("", text)
    return _SPACE.sub(" ", text).strip()


def _unescaped(found: re.Match[str]) -> str:
    known = found[1].startswith("#") or f"{found[1]};" in html.entities.html5
    return html.unescape(found[0]) if known else found[0]
