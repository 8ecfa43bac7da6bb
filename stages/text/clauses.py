"""Where the first clause of a caption ends: the only place for "in ANCHOR".

A comma ends one only where it stands before a space, outside of quotes, brackets, numbers and
names, and not after words that merely lead in ("from above, …"). Where a colon or an open quotation
makes the matter unsure there is no such place.
"""

from __future__ import annotations

import re
from functools import lru_cache

from stages.text.vocabulary import read_vocabulary
from stages.text.words import Phrases, Word, sentences, words
from stages.wordlists import read_words

_OPENING = {"“": "”", "«": "»", "„": "“”", "「": "」", "『": "』", "(": ")", "[": "]"}
_BREAK = re.compile(r"[,;](?=\s)|(?<=\s)[–—](?=\s)")
_FRAMED = re.compile(
    r",? (?:in|from|as) (?:an? |the )?(?:[\w-]+ ){0,3}?(?:shot|close[- ]?up|view|angle|above|below"
    r"|behind|side|portrait)\Z",
    re.IGNORECASE,
)
_LONGEST = 2000  # characters of a sentence: nobody's is longer, and a bound keeps this quick
_THING = r"(?:an?|the|one|two|three|some) (?:[\w-]+ ){0,2}[\w-]+"
# After "a man": ", a woman and a dog" is one list.
_LISTED = re.compile(rf"\s*(?:{_THING},\s+){{0,6}}{_THING},? (?:and|or) \w", re.IGNORECASE)
_ABBREVIATED = re.compile(r"(?:\b[A-Za-z]|\b[A-Z][a-z]{0,2}|\bapprox|\bca|\bvs|\betc)\Z")


def first_clause_end(text: str) -> int | None:
    """The place after the last word of the first clause that says something, before its camera
    framing; None where that is unsure."""
    said = sentences(text)
    first = said[0] if said else ""
    if not first or len(first) > _LONGEST or not text.startswith(first):
        return None
    covered = _covered(first)
    if covered is None:
        return None
    end = len(first.rstrip(".!?…"))
    if len(said) > 1 and first.endswith(".") and _ABBREVIATED.search(first[:end]):
        return None
    places = [
        found.start() for found in _BREAK.finditer(first, 0, end) if not covered[found.start()]
    ]
    begin = 0
    for place in [*places, end]:
        clause, rest = first[begin:place], first[place + 1 :]
        if place < end and not _ends_here(first[:place], clause, rest):
            begin = place + 1 if _leads_in(clause) else begin
            continue
        if ": " in "".join(" " if hid else sign for sign, hid in zip(first, covered, strict=True)):
            return None
        framed = _FRAMED.search(clause)
        stop = begin + framed.start() if framed else place
        stop = len(first[:stop].rstrip())
        return stop if len(words(first[begin:stop])) > 1 else None
    return None


def _covered(text: str) -> list[bool] | None:
    """For each character, whether it stands in quotes or brackets; None if one stays open."""
    covered = [False] * len(text)
    closing = ""
    for place, sign in enumerate(text):
        covered[place] = bool(closing)
        if closing:
            if sign in closing and not (sign in "'’" and text[place + 1 : place + 2].isalnum()):
                closing = ""
        elif sign in _OPENING:
            closing, covered[place] = _OPENING[sign], True
        elif sign == '"' and not text[place - 1 : place].isdigit():
            closing, covered[place] = '"', True
        elif sign in "'‘" and not text[place - 1 : place].isalnum():
            close = "’" if sign == "‘" else "'"
            if re.search(rf"{close}(?!\w)", text[place + 2 :]):
                closing, covered[place] = close, True
    return None if closing else covered


def _ends_here(before: str, clause: str, rest: str) -> bool:
    """True if the comma after `before` ends a clause that says something."""
    if _leads_in(clause) or not rest.strip():
        return False
    found, after = words(clause), words(rest.strip())
    if len(found) < 2 or not after or _LISTED.match(rest):
        return False
    last, follows = before[-1:], rest.strip()[:1]
    if last.isdigit() and follows.isdigit():  # "May 5, 1901"
        return False
    name = re.search(r"\b[A-Z]\w*\Z", before)
    if name and follows.isupper():  # "Paris, France"
        return False
    framed = next(_framing().find(words(rest.partition(",")[0])), None) is not None
    adjective = found[-1].text in read_words().looks or found[-2].text in {"a", "an", "the"}
    goes_on = after[0].text in read_vocabulary().beginning or after[0].text.endswith("ing")
    return framed or goes_on or not adjective


def _leads_in(clause: str) -> bool:
    """True for camera framing alone and for what merely says when, where or from where."""
    found = words(clause)
    if not found or found[0].text in read_vocabulary().leading:
        return True
    empty = read_words().function
    framed = {place + step for place, count in _framing().find(found) for step in range(count)}
    return bool(framed) and all(_framing_word(found, i, framed, empty) for i in range(len(found)))


def _framing_word(
    found: tuple[Word, ...], place: int, framed: set[int], empty: frozenset[str]
) -> bool:
    return place in framed or found[place].text in empty


@lru_cache(maxsize=1)
def _framing() -> Phrases:
    return Phrases(read_words().framing)
