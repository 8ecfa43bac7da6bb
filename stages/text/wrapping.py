"""What stands around a caption as a whole: fences, JSON, quotes, emphasis, markup."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable

_FENCE = re.compile(r"(`{3,}|~{3,})(?:[\w-]*[ \t]*\n)?")
_KEYS = (
    "caption", "final_caption", "combined_caption", "merged_caption", "description", "text",
    "answer", "output", "result", "response", "prompt", "content",
)  # fmt: skip
_ERRORS = frozenset({"error", "errors", "detail"})
# JSON that lost its end or has a stray comma: the one value of a known key, if that is whole.
_ONE_VALUE = re.compile(
    rf"""\A\{{\s*["'](?:{"|".join(_KEYS)})["']\s*:\s*"((?:[^"\\]|\\.)*)"\s*,?\s*\}}?\Z""",
    re.DOTALL | re.IGNORECASE,
)
_HTML = re.compile(r"</?(?:b|i|u|em|strong|p|br|span|div|caption|li|ul|ol)\s*/?>", re.IGNORECASE)
_HEADING = re.compile(r"^(?:#{1,6}[ \t]+|>(?:[ \t]+|$))+", re.MULTILINE)
_BOLD = re.compile(r"(\*{2,3}|__)(?=[^\s*_])([^\n]{0,400}?[^\s*_])\1")
_ITALIC = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![\w*])")
_UNDERSCORED = re.compile(
    r"(?<![\w_])_(?=[^\s_])((?:[^_\n]|(?<=[^\W_])_(?=[^\W_]))*[^\s_])_(?![\w_])"
)
_CODE = re.compile(r"(?<!`)`(?=[^\s`])([^`\n]*[^\s`])`(?!`)")
_CLOSING = {
    '"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "„": "“”", "‚": "‘’", "«": "»", "»": "«",
    "‹": "›", "›": "‹", "「": "」", "『": "』", "”": "”", "’": "’", "＂": "＂", "《": "》",
    "〈": "〉", "〝": "〞〟", "″": "″",
}  # fmt: skip
_BRACKETS = {"(": ")", "[": "]"}
_FEWEST_IN_BRACKETS = 4  # words; fewer may be a place for the anchor, or an aside
_APOSTROPHES = "'’"
# Words that begin with an apostrophe of their own.
_ELIDED = re.compile(r"['’](?:tis|twas|til|em|cause|round|bout|n)\b", re.IGNORECASE)
_MOST_JSON = 20_000  # characters; a caption's wrapping is shorter


def without_fence(text: str) -> str:
    """What stands in a code fence at the beginning, and after it."""
    found = _FENCE.match(text)
    if not found:
        ends = text.endswith(("```", "~~~"))  # its beginning was lost, or stands further up
        return text.rstrip("`~") if ends else text
    inside, _, after = text[found.end() :].partition(found[1])
    return f"{inside.strip()}\n{after.strip()}".strip()


def without_json(text: str, choose: Callable[[list[str]], str]) -> str:
    """The one string in a JSON object, array or Python dict; anything else stays. `choose` picks
    one of several captions."""
    if not text.startswith(("{", "[")) or len(text) > _MOST_JSON:
        return text
    found = _ONE_VALUE.match(text)
    if not text.endswith(("}", "]")):
        return _unescaped(found[1]) if found else text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return _unescaped(found[1]) if found else text
    captions = list(_strings(value))
    return choose(captions) if captions else text


def _strings(value: object, depth: int = 0) -> Iterable[str]:
    """The captions in a parsed value: of a known key first, else the only string there is."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < 4:
        for item in value:
            yield from _strings(item, depth + 1)
    elif isinstance(value, dict) and depth < 4:
        folded = {str(key).lower(): item for key, item in value.items()}
        if not _ERRORS.isdisjoint(folded):
            return
        named = [folded[key] for key in _KEYS if isinstance(folded.get(key), str)]
        if named:
            yield named[0]
        elif len(folded) == 1:
            yield from _strings(next(iter(folded.values())), depth + 1)


def _unescaped(text: str) -> str:
    return text.replace('\\"', '"').replace("\\n", " ").replace("\\\\", "\\")


def without_markup(text: str, anchor: str = "") -> str:
    """Headings, HTML tags of emphasis, markdown emphasis; underscores within a name stay, and what
    marks the anchor itself has."""

    def bare(found: re.Match[str]) -> str:
        inside = found[found.lastindex or 0]
        return found[0] if anchor and anchor in found[0] and anchor not in inside else inside

    text = _HEADING.sub("", text) if "#" in text or ">" in text else text
    text = _HTML.sub(_gap, text) if "<" in text else text
    if "*" in text or "__" in text:
        text = _BOLD.sub(bare, text)
        text = _ITALIC.sub(bare, text)
    text = _UNDERSCORED.sub(bare, text) if "_" in text else text
    return _CODE.sub(bare, text) if "`" in text else text


def _gap(tag: re.Match[str]) -> str:
    """A space, but none at the ends or next to emphasis: "**<p>…</p>**"."""
    around = (tag.string[tag.start() - 1 : tag.start()], tag.string[tag.end() : tag.end() + 1])
    return "" if any(mark in "*_`" for mark in around) else " "


def without_quotes(text: str) -> str:
    """Quotes around the whole; a caption that merely begins and ends with quotations keeps them."""
    if len(text) < 2:
        return text
    closing = _CLOSING.get(text[0], "")
    inside = text[1:-1]
    if closing and text[-1] in closing:
        if text[0] in _APOSTROPHES and _ELIDED.match(text):
            return text
        doubled = len(inside) > 2 and inside[0] == text[0] != "`" and inside[-1] == text[-1]
        if not doubled and not _encloses(inside, text[0], text[-1], closing):
            return text
        return inside
    if closing and text[-1] in ".!?" and inside and inside[-1] in closing:  # "…".
        whole = without_quotes(text[:-1])
        return text if len(whole) != len(text) - 3 else whole + text[-1]
    if text[0] in _BRACKETS and text[-1] == _BRACKETS[text[0]]:
        parts = text[0] in inside or text[-1] in inside or len(inside.split()) < _FEWEST_IN_BRACKETS
        return text if parts else inside
    if text[0] in '"“' and not any(mark in inside + text[-1] for mark in '"“”'):
        return text[1:]  # the closing one was cut off
    if text[-1] in '"”' and not any(mark in text[0] + inside for mark in '"“”'):
        inches = text[-1] == '"' and inside[-1:].isdigit()
        return text if inches else text[:-1]
    return text


def _encloses(inside: str, opens: str, closes: str, closing: str) -> bool:
    """True if the quotes around `inside` belong together, and not to a quotation at each end."""
    if opens != closes and closes not in _APOSTROPHES:
        depth = 1
        for mark in inside:
            depth += (mark == opens) - (mark in closing)
            if depth == 0:
                return False
        return depth == 1
    marks = [
        place
        for place, letter in enumerate(inside)
        if letter in (opens, closes) and not _within_word(inside, place, letter)
    ]
    if not marks:  # a number before the last one: inches, or the end of a quotation
        return opens != '"' or opens not in inside or not inside[-1:].isdigit()
    first, last = marks[0], marks[-1]
    quotes = inside[first - 1 : first].isspace() and inside[first + 1 : first + 2].strip() != ""
    return len(marks) % 2 == 0 and quotes and not inside[last - 1].isspace()


def _within_word(text: str, place: int, mark: str) -> bool:
    """True if the mark is an apostrophe within a word or the sign of inches after a number."""
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if mark == '"':
        return before.isdigit()
    return mark in _APOSTROPHES and before.isalnum() and after.isalnum()
