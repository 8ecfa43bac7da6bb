"""Words and sentences of a caption, in any script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import sentencex

_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
_ENDING = re.compile(r"[.!?…。！？।؟]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_RECENT = 1024  # texts: many threads judge one each, and read it several times
_FOLD = str.maketrans({"’": "'", "‘": "'", "ʼ": "'"})


class Word(NamedTuple):
    """A word of a text: lower-case with straight apostrophes, and where it stands."""

    text: str
    start: int
    end: int


@lru_cache(maxsize=_RECENT)
def words(text: str) -> tuple[Word, ...]:
    """The words of a text in their order: "t-shirt" and "annika's" are one word each. Scripts
    without spaces yield runs."""
    folded = text.lower().translate(_FOLD)
    if len(folded) != len(text):  # a letter whose lower case is two: keep the places true
        folded = "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)
        folded = folded.translate(_FOLD)
    return tuple([Word(found[0], *found.span()) for found in _WORD.finditer(folded)])


@lru_cache(maxsize=_RECENT)
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text, without the space between them, by a library that knows
    abbreviations."""
    if not _ENDING.search(text[:-1]):  # one, and the library need not be asked
        return (text.strip(),) if text.strip() else ()
    # Half a surrogate pair is no letter, and the library takes none.
    found = (sentence.strip() for sentence in sentencex.segment("en", _SURROGATE.sub("", text)))
    return tuple(sentence for sentence in found if sentence)


class Phrases:
    """A set of words and phrases that is found in a text in one pass."""

    def __init__(self, phrases: Iterable[str], plurals: bool = False) -> None:
        """`plurals`: the last word of a phrase is found with an s or es too."""
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for phrase in phrases:
            *first, last = (word.text for word in words(phrase))
            for ending in ("", "s", "es") if plurals else ("",):
                parts = (*first, last + ending)
                self._by_first.setdefault(parts[0], []).append(parts)
        for several in self._by_first.values():
            several.sort(key=len, reverse=True)  # "art style" before "art"

    @property
    def firsts(self) -> frozenset[str]:
        """The words that a phrase may begin with."""
        return frozenset(self._by_first)

    def at(self, found: Sequence[Word], place: int) -> int:
        """How many words a phrase takes that begins at `place`; 0 if none does."""
        for phrase in self._by_first.get(found[place].text, ()):
            if tuple(word.text for word in found[place : place + len(phrase)]) == phrase:
                return len(phrase)
        return 0

    def find(self, found: Sequence[Word]) -> Iterator[tuple[int, int]]:
        """Where phrases stand, as (first word, words taken), without overlaps."""
        place = 0
        while place < len(found):
            count = self.at(found, place)
            if count:
                yield place, count
            place += count or 1
