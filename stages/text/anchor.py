"""The anchor, exact: the same letters, case and spacing every time it stands in a caption."""

from __future__ import annotations

import re
from functools import lru_cache

# Scripts without spaces between words: there the anchor may touch its neighbours.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
)
_WORD = rf"[^\W{_UNSPACED}]"
_PLACEHOLDER = re.compile(
    r"\[(?:trigger|name|anchor)\]|\{(?:character_name|style_name|motion_name|object_name|trigger"
    r"|anchor|name)\}|<(?:trigger|anchor)>",
    re.IGNORECASE,
)
_ROLES = r"(?:character|person|woman|man|girl|boy|figure|subject)"


def holds_anchor(text: str, anchor: str) -> bool:
    """True if the anchor stands in the text exactly and whole: "annika's", not "planning"."""
    return _exact(anchor).search(text) is not None


def mask_anchor(text: str, anchor: str) -> str:
    """The text without the anchor, for lists of words that the anchor itself may contain."""
    return _exact(anchor).sub(" ", text) if anchor else text


def make_exact(text: str, anchor: str, lora_type: str) -> tuple[str, tuple[str, ...]]:
    """(text, edits): variants spelled as the anchor, placeholders filled, doubles joined."""
    edits = []
    for name, pattern, replacement in _repairs(anchor, lora_type):
        changed = pattern.sub(replacement, text)
        if changed != text:
            edits.append(name)
            text = changed
    return text, tuple(edits)


@lru_cache(maxsize=64)
def _exact(anchor: str) -> re.Pattern[str]:
    return re.compile(_whole(re.escape(anchor)))


def _whole(pattern: str) -> str:
    return rf"(?<!{_WORD})(?:{pattern})(?!{_WORD})"


@lru_cache(maxsize=64)
def _repairs(anchor: str, lora_type: str) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    words = r"[\s_-]*".join(re.escape(word) for word in re.split(r"[\s_-]+", anchor) if word)
    literal = anchor.replace("\\", r"\\")
    one = re.escape(anchor)
    repairs = [
        ("filled a placeholder", _PLACEHOLDER, literal),
        ("spelled the anchor exactly", re.compile(_whole(words), re.IGNORECASE), literal),
        (
            "joined a doubled anchor",
            re.compile(rf"(?<!{_WORD}){one}(?:,?\s+{one})+(?!{_WORD})"),
            literal,
        ),
    ]
    if lora_type == "character":
        repairs.append(
            (
                "removed what named the anchor twice",
                re.compile(
                    rf"\b(?:the|a|an)\s+{_ROLES}\s+(?:named\s+|called\s+)?{_whole(one)}",
                    re.IGNORECASE,
                ),
                literal,
            )
        )
        if not re.match(r"(?:the|a|an)\b", anchor, re.IGNORECASE):
            # "a annika style" keeps its article: there the anchor only describes the next noun.
            after = r"\s*(?:[,.;:!?]|['’]s\b|\Z|(?:is|and|with|in|on|at|from|\w+ing)\b)"
            article = rf"\b(?:the|a|an)\s+{_whole(one)}(?={after})"
            repairs.append(("removed an article", re.compile(article, re.IGNORECASE), literal))
    return tuple(repairs)
