"""Takes off what a model wrapped around its caption: thoughts, tokens, fences, labels, quotes.

The layers nest (a thought, a preamble, a bold label, quotes), so the rules run until none applies.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable

_THOUGHT = r"think|thinking|thought|thoughts|reasoning|reflection|scratchpad"
_THOUGHT_TAG = re.compile(rf"<(/?)(?:{_THOUGHT})>", re.IGNORECASE)
_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final\s*<\|message\|>", re.IGNORECASE)
_ANSWER = re.compile(r"<(answer|caption|output|final)>(.*?)(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_TOKEN = re.compile(
    r"</?s>|<pad>|<unk>|<bos>|<eos>|<loc_\d+>|<unused\d+>|<(?:start|end)_of_turn>|<\|[^|<>]{1,60}\|>"
)
_FENCE = re.compile(r"\A```[\w-]*[ \t]*\n?(.*?)\n?```\Z", re.DOTALL)
_KEYS = ("caption", "final_caption", "description", "text", "answer", "output", "result")

_NOUN = r"(?:caption|description|answer|output|result|response)"
_LABEL = re.compile(
    rf"\A[*_#\s]*(?:the )?(?:final |combined |merged |enhanced |fused |rewritten |new )*{_NOUN}"
    r"[*_ ]*:[*_ ]*\s*",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"\A(?:sure|certainly|of course|absolutely|okay|ok|great|alright)?[,!. ]*"
    rf"(?:here(?:'s|’s| is| are)|this is) [^\n:.]{{0,60}}\b{_NOUN}[^\n:.]{{0,60}}:\s*",
    re.IGNORECASE,
)
_EXCLAMATION = re.compile(
    r"\A(?:sure|certainly|of course|absolutely|okay|ok)[!.,:]\s*\n+", re.IGNORECASE
)
_CHATTER = re.compile(
    r"\n+\s*(?:\(?note\b|let me know\b|i hope\b|feel free\b|would you like\b|this caption\b"
    r"|\*\*note\b|explanation\s*:)[^\0]*\Z",
    re.IGNORECASE,
)
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_QUOTES = {
    '"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "„": "“", "«": "»", "»": "«", "「": "」",
    "『": "』", "”": "”",
}  # fmt: skip
# Only before an article or a number, where what remains is a phrase of its own.
_OPENER = re.compile(
    r"\A(?:in )?(?:the|this) (?:image|picture|photo|photograph|scene|artwork|illustration|video)"
    r"(?: (?:shows|depicts|features|displays|captures|portrays|presents|is of)"
    r"| is (?:a|an) (?:image|picture|photo|photograph) of),?\s+"
    r"(?=(?:an?|the|one|two|three|four|five|six|seven|eight|nine|ten|several|many|some)\b)",
    re.IGNORECASE,
)
_IS_A_PICTURE = re.compile(
    r"\A(?:this|it) is (?:a|an) (?:image|picture|photo|photograph) of\s+"
    r"(?=(?:an?|the|one|two|three|four|five|several|many|some)\b)",
    re.IGNORECASE,
)


def peel(raw: str) -> tuple[str, tuple[str, ...]]:
    """(what is left, what was taken off). Nothing is taken from a caption that has no wrapping."""
    text, edits = raw, []
    for _ in range(20):  # as deep as anything nests; keeps hostile input linear
        before = text
        for name, rule in _RULES:
            changed = rule(text)
            if changed != text:
                edits.append(name)
                text = changed.strip()
        if text == before:
            break
    return text, tuple(dict.fromkeys(edits))


def _thoughts(text: str) -> str:
    final = list(_FINAL_CHANNEL.finditer(text))
    if final:
        text = text[final[-1].end() :]
    kept: list[str] = []
    position, thinking = 0, False
    for tag in _THOUGHT_TAG.finditer(text):
        if not tag[1]:
            if not thinking:
                kept.append(text[position : tag.start()])
            thinking = True
        else:
            if not thinking:  # the template ate the opener: all before the closer was thinking
                kept.clear()
            position, thinking = tag.end(), False
    if not thinking:  # left open, the rest is thinking
        kept.append(text[position:])
    return "".join(kept)


def _answer(text: str) -> str:
    found = _ANSWER.search(text) if "<" in text else None
    return found[2] if found else text


def _tokens(text: str) -> str:
    return _TOKEN.sub("", text) if "<" in text else text


def _fence(text: str) -> str:
    found = _FENCE.match(text)
    return found[1] if found else text


def _json(text: str) -> str:
    """The one string in a JSON object, array or Python dict; anything else stays."""
    if not (text.startswith(("{", "[")) and text.endswith(("}", "]"))) or len(text) > 20_000:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return text
    except RecursionError:
        return text
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        folded = {str(key).lower(): item for key, item in value.items()}
        named = [folded[key] for key in _KEYS if isinstance(folded.get(key), str)]
        only = list(value.values())
        value = named[0] if named else only[0] if len(only) == 1 else None
    return value if isinstance(value, str) else text


def _label(text: str) -> str:
    return _LABEL.sub("", text, count=1)


def _preamble(text: str) -> str:
    return _PREAMBLE.sub("", _EXCLAMATION.sub("", text, count=1), count=1)


def _chatter(text: str) -> str:
    return _CHATTER.sub("", text) if "\n" in text else text


def _quotes(text: str) -> str:
    """Quotes around the whole; a caption that merely begins and ends with quotations keeps them."""
    if len(text) < 2:
        return text
    closing = _QUOTES.get(text[0])
    inside = text[1:-1]
    if closing is None or text[-1] != closing or text[0] in inside or closing in inside:
        return text
    return inside


def _emphasis(text: str) -> str:
    return _BOLD.sub(r"\2", text)


def _opener(text: str) -> str:
    return _IS_A_PICTURE.sub("", _OPENER.sub("", text, count=1), count=1)


_RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("removed reasoning", _thoughts),
    ("unwrapped the answer", _answer),
    ("removed special tokens", _tokens),
    ("removed a code fence", _fence),
    ("unwrapped JSON", _json),
    ("removed a preamble", _preamble),
    ("removed a label", _label),
    ("removed closing remarks", _chatter),
    ("removed emphasis", _emphasis),
    ("removed quotes", _quotes),
    ("removed an opener", _opener),
)
