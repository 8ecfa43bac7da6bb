"""Lists: one caption out of several that a model offered, or one made of its bulleted parts."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from stages.text.words import words
from stages.wordlists import read_words

_BULLET = re.compile(r"[-*•–▪◦]\s+")
_NUMBER = re.compile(
    r"[*_(]*(?:(?:option|version|alternative|caption|variant|suggestion|choice)\s*)?"
    r"(?:\d{1,2}|[a-e])\s*[*_]*[.):：][*_]*\s+|[*_]*(?:option|version|alternative|caption|variant)\s+"
    r"(?:\d{1,2}|[a-e]|one|two|three)\s*(?:[*_]*[.):：\-–—][*_]*\s+|[*_]+\s+|\Z)",
    re.IGNORECASE,
)
_OTHERWISE = re.compile(
    r"[*_(]*(?:or|alternatively|alternative(?: (?:caption|version))?"
    r"|another (?:option|version|caption)|or,? if you prefer)\s*[*_]*(?:[:：,)]|\Z)",
    re.IGNORECASE,
)
_INLINE = re.compile(
    r"[*_(]*\b(?:option|version|caption)\s+(?:2|b|two)\s*[*_]*[:：)][*_]*\s*", re.IGNORECASE
)
_TIME = r"\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?"
_SPAN = rf"{_TIME}(?:\s*(?:[-–—]|to)\s*{_TIME})?"
_TIMESTAMP = re.compile(
    rf"[\[(]{_SPAN}[\])]\s*[:\-–—]?\s*|^[ \t]*{_TIME}\s*[-–—]\s*{_TIME}\s*[:：]?\s*"
    rf"|^[ \t]*{_SPAN}[:：]\s+",
    re.MULTILINE,
)
_FEWEST_TAGS = 3  # lines
_FEWEST_WORDS = 4  # in a caption that stands by itself; shorter items are parts of one


def without_timestamps(text: str) -> str:
    """The text without the times that models put before what happens in a video."""
    return _TIMESTAMP.sub("", text) if ":" in text else text


def one_of_several(text: str, choose: Callable[[list[str]], str], anchor: str = "") -> str:
    """One caption of a list: numbered ones and bullets that are captions by themselves are
    alternatives, of which `choose` takes one; other bullets are parts, and are joined."""
    if "\n" not in text:
        return _inline(text, anchor)
    given = [line.strip() for line in text.split("\n") if line.strip()]
    # Some models say everything twice.
    lines = list({line.casefold(): line for line in reversed(given)}.values())[::-1]
    if len(lines) == 1:
        return _inline(lines[0], anchor)
    for place, line in enumerate(lines):
        if place and _OTHERWISE.match(line):
            return "\n".join(lines[:place])
    items: list[str] = []
    numbered = 0
    for line in lines:
        bullet = _BULLET.match(line)
        item = line[bullet.end() :] if bullet else line
        number = _NUMBER.match(item)
        if not bullet and not number:
            if not items and _tags(lines):
                return _joined(lines)
            if not items:
                return text if len(lines) == len(given) else "\n".join(lines)
            return _chosen(items, numbered, choose)  # remarks after the list
        numbered += number is not None
        items.append(item[number.end() if number else 0 :].strip())
    return _chosen(items, numbered, choose)


def first_with(anchor_in: Callable[[str], bool]) -> Callable[[list[str]], str]:
    """Takes the first caption that holds the anchor, else the first."""
    return lambda captions: next((one for one in captions if anchor_in(one)), captions[0])


def _chosen(items: list[str], numbered: int, choose: Callable[[list[str]], str]) -> str:
    items = [item for item in items if item]
    if len(items) < 2:
        return items[0] if items else ""
    whole = [item for item in items if len(words(item)) >= _FEWEST_WORDS]
    if len(whole) == len(items) and (numbered or _alike(items)):
        return choose(items)
    return _joined(items)


def _alike(items: list[str]) -> bool:
    """True if bullets tell the same thing in other words: half of the words of each are shared."""
    sets = [{word.text for word in words(item)} for item in items]
    shared = set.intersection(*sets)
    return all(2 * len(shared) >= len(one) for one in sets)


def _tags(lines: list[str]) -> bool:
    """True for a tag on each line, rather than prose that was broken into lines."""
    return len(lines) >= _FEWEST_TAGS and all(
        len(words(line)) < _FEWEST_WORDS and line[-1] not in ".!?:;" for line in lines
    )


def _joined(items: list[str]) -> str:
    text = items[0]
    for item in items[1:]:
        ended = text.endswith((".", "!", "?", ",", ";"))
        text = f"{text} {item}" if ended else f"{text}, {item}"
    return text


def _inline(text: str, anchor: str) -> str:
    first = _NUMBER.match(text)
    if first:
        second = _INLINE.search(text, first.end())
        if second:
            return text[first.end() : second.start()].strip()
        if _begins_a_list(text, first, anchor):
            return text[first.end() :]
    found = _BULLET.match(text)
    return text[found.end() :] if found else text


def _begins_a_list(text: str, marker: re.Match[str], anchor: str) -> bool:
    """True for "Option 1: …" and for "1. a …" alone; not for "1. FC Köln" or "E. coli"."""
    bare = marker[0].strip("*_( \t")
    if bare[:1].isalpha() and len(bare) > 2:
        return True
    if not bare.startswith("1") or bare[1:2].isdigit():
        return not bare[:1].isdigit() and not bare.endswith(".")
    word = next(iter(words(text[marker.end() :])), None)
    if word is None:
        return False
    begins = text[marker.end() + word.start]
    vocabulary = read_words()
    plain = word.text in vocabulary.function or word.text in _framing_begins()
    named = anchor[:1].casefold() == begins.casefold() and anchor.casefold().startswith(word.text)
    return not begins.isupper() or plain or named


@lru_cache(maxsize=1)
def _framing_begins() -> frozenset[str]:
    return frozenset(phrase.split()[0] for phrase in read_words().framing)
