"""Descriptions that bind nothing to the anchor: told of, they would be false alarms.

The looks of somebody else, pictures and painters that are depicted, a face that is red with anger,
a lamp that glows, words that the anchor itself is made of.
"""

from __future__ import annotations

import re
from functools import lru_cache

from stages.policy import Policy
from stages.text.anchor import MASK, mask_anchor
from stages.text.traits import Described
from stages.text.vocabulary import read_vocabulary
from stages.text.words import words
from stages.wordlists import read_words

_NEAR = 160  # characters: the clause before
_OF_A_PERSON = frozenset({"hair", "eyes", "face", "body", "clothing"})
_SENTENCE = re.compile(r"[.!?]\s")
_DETERMINER = r"(?:an?|the|his|her|its|their|another|one|two|three|some|this|that)"
_BESIDE = re.compile(rf"(\w+) {_DETERMINER} \Z", re.IGNORECASE)
# Then it is the anchor that is said to be one.
_SAYS = frozenset({"is", "was", "are", "as", "like", "being", "becomes", "looks", "of", "named"})
_FLUSHED = re.compile(
    r"\b(?:faces?|cheeks?|nose)\b.*\b(?:red|pink|purple|green|blue|white)\b"
    r"|\b(?:red|pink|purple|green|blue|white)\b.*\b(?:face|cheeks?|nose)\b",
    re.IGNORECASE,
)
_GLOWS = re.compile(rf"{MASK}\s+(?:(?:is|are|was|were) )?\Z")
_SHINING = frozenset({"glowing", "sparkling", "gleaming", "glittering"})
_A_PICTURE = re.compile(
    rf"(?:\b(?!of\b|is\b|as\b|in\b|like\b)(\w+)|\bfront of) {_DETERMINER} (?:[\w-]+ ){{0,2}}\Z",
    re.IGNORECASE,
)
_HANDLED = re.compile(
    r"\s+(?:pinned|hung|hanging|hangs|taped|held|leaning"
    r"|on (?:an?|the) (?:wall|easel|fridge|desk|table)"
    r"|in (?:an?|the|his|her|their) (?:hands?|frame))\b",
    re.IGNORECASE,
)


def innocent(one: Described, text: str, anchor: str, policy: Policy) -> bool:
    """True for a description that need not be told."""
    if one.trait == "medium":
        return _depicted(one, text)
    if one.trait == "object":
        before = mask_anchor(text, anchor)[: one.start]
        return one.text.lower() in _SHINING and _GLOWS.search(before) is not None
    if policy.insert in ("never", "head") and _in_its_name(one, anchor):
        return True
    if one.trait == "face" and _FLUSHED.search(one.text):
        return True
    return (
        policy.insert == "subject"
        and one.trait in _OF_A_PERSON
        and _of_another(one, mask_anchor(text, anchor))
    )


def _in_its_name(one: Described, anchor: str) -> bool:
    """True for "with his hat" where the anchor is "hat tip"."""
    content = {word.text for word in words(one.text)} - read_words().function
    return content <= {word.text for word in words(anchor)}


def _of_another(one: Described, bare: str) -> bool:
    """True for "annika beside an old man", "annika hugs a woman with red hair": of a sentence that
    holds the anchor first and then, not as what the anchor is, somebody."""
    before = _SENTENCE.split(bare[max(one.start - 4 * _NEAR, 0) : one.start])[-1]
    if MASK not in before:
        return False
    before = before.rpartition(MASK)[2][-_NEAR:]
    vocabulary = read_words()
    people = vocabulary.people | vocabulary.many_people
    if one.trait == "body" and words(one.text)[-1].text in people:
        beside = _BESIDE.search(before)
        return beside is not None and beside[1].lower() not in _SAYS
    somebody = _somebody().search(before)
    return somebody is not None and somebody[1].lower() not in _SAYS


@lru_cache(maxsize=1)
def _somebody() -> re.Pattern[str]:
    """Somebody, and the few words of whom a look stands: "hugs a young woman with"."""
    vocabulary = read_words()
    people = "|".join(sorted(vocabulary.people | vocabulary.many_people))
    goes_on = r"(?: (?!and\b|while\b|as\b)[\w'’-]+){0,4} ?"
    return re.compile(
        rf"(\w+) {_DETERMINER} (?:[\w-]+ ){{0,3}}?(?:{people}){goes_on}\Z", re.IGNORECASE
    )


def _depicted(one: Described, text: str) -> bool:
    """True for a picture in the picture, and for who paints or draws one: "a child drawing with
    chalk", "a painted mural", "beside a painting"."""
    said = one.text.lower()
    before, after = text[max(one.start - _NEAR, 0) : one.start], text[one.end : one.end + _NEAR]
    left = words(before)[-1].text if before[-1:].isspace() and words(before) else ""
    follows = words(after)[0].text if after[:1].isspace() and words(after) else ""
    vocabulary, lists = read_words(), read_vocabulary()
    if follows in lists.drawing_things:
        return True
    if said in ("painting", "drawing"):
        people = vocabulary.people | vocabulary.many_people | lists.painting_people
        if left in people and follows != "of":
            return True
    if said in ("painted", "drawn", "illustrated"):
        return any(word.text.removesuffix("s") in lists.painted_things for word in words(after)[:2])
    return _HANDLED.match(text, one.end) is not None or _A_PICTURE.search(before) is not None
