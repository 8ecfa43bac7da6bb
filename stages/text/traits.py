"""Which traits a caption describes: "red hair", "in a leather jacket", "a shiny blade".

The words come from prompts/words.toml; the rules here read them in their order. What moves is
motion and describes nothing; a bare noun ("a hand in her hair", "down a street") describes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from stages.text.anchor import MASK, mask_anchor
from stages.text.words import Phrases, Word, words
from stages.wordlists import Trait, read_words

_BACK = 6  # words between "wearing" and what is worn, at most
_COPULAS = frozenset({"is", "are", "was", "were", "looks", "appears", "seems"})
_DETERMINERS = frozenset(
    {"a", "an", "the", "his", "her", "its", "their", "some", "two", "both", "of"}
)
_JOINERS = frozenset({"and", "or"})
# "playing with a hat" is an action.
_HANDLING = frozenset({"playing", "fiddling", "fidgeting", "dancing", "struggling", "helping"})


class Described(NamedTuple):
    """One place where a caption describes a trait."""

    trait: str
    label: str
    text: str  # as it stands in the caption
    start: int
    end: int


def described(text: str, anchor: str, names: Iterable[str] | None = None) -> list[Described]:
    """The traits that a text describes outside its anchor, in their order, without overlaps.

    `names` are traits of prompts/words.toml, all of them if None. Time is linear in the text.
    """
    bare = mask_anchor(text, anchor)
    found = words(bare)
    result: list[Described] = []
    said = {word.text for word in found}
    for rules in _rules(None if names is None else tuple(names)):
        if rules.silent_of(said) and not (rules.trait.of_anchor and MASK in bare):
            continue
        for first, last in rules.find(bare, found):
            start, end = found[first].start, found[last].end
            result.append(
                Described(rules.trait.name, rules.trait.label, text[start:end], start, end)
            )
    result.sort(key=lambda one: (one.start, -one.end))
    return _apart(result)


class _Rules:
    """One trait's words, ready to be looked up."""

    def __init__(self, trait: Trait) -> None:
        vocabulary = read_words()
        self.trait = trait
        self._alone = Phrases(trait.alone)
        self._nouns = Phrases(trait.nouns, plurals=True)
        self._worn = Phrases(trait.worn, plurals=True)
        self._firsts = self._alone.firsts | self._nouns.firsts | self._worn.firsts
        self._after = frozenset(trait.after)
        self._looks = vocabulary.looks | frozenset(trait.looks)
        self._between = vocabulary.degrees
        self._moving = vocabulary.moving
        self._function = vocabulary.function

    def silent_of(self, said: set[str]) -> bool:
        """True if none of these words begins a description: the quick answer for most captions."""
        return self._firsts.isdisjoint(said)

    def find(self, text: str, found: Sequence[Word]) -> Iterator[tuple[int, int]]:
        """(first word, last word) of each description."""
        for place, word in enumerate(found):
            if word.text not in self._firsts:
                continue
            count = self._alone.at(found, place)
            if count:
                yield place, place + count - 1
                continue
            bare = self._nouns.at(found, place)
            count = bare or self._worn.at(found, place)
            if not count:
                continue
            last = place + count - 1
            first = self._looked(text, found, place)
            said = self._said(text, found, last)
            if first < place or said > last:
                yield first, said
            elif not bare and not self._moves(found, last):
                context = self._carried(text, found, place)
                if context is not None:
                    yield context, last
        if self.trait.of_anchor:
            yield from self._of_anchor(text, found)

    def _looked(self, text: str, found: Sequence[Word], place: int) -> int:
        """The first of the looks that stand before the noun: "long, curly red" hair."""
        first = step = place
        while step > 0 and not _parted(text, found[step - 1], found[step]):
            step -= 1
            word = found[step].text
            if word in self._looks or word in self._between:
                first = step
            elif word not in _JOINERS:
                break
        while first < place and found[first].text in self._between - self._looks:
            first += 1
        return first

    def _said(self, text: str, found: Sequence[Word], last: int) -> int:
        """The last word of what is said of the noun: hair "is very red"; else `last`."""
        step = last + 1
        if step < len(found) and found[step].text in _COPULAS:
            step += 1
            while step < len(found) and found[step].text in self._between:
                step += 1
            if step < len(found) and found[step].text in self._looks:
                steps = range(last, step)
                return last if any(_parted(text, found[i], found[i + 1]) for i in steps) else step
        return last

    def _moves(self, found: Sequence[Word], last: int) -> bool:
        return any(word.text in self._moving for word in found[last + 1 : last + 3])

    def _carried(self, text: str, found: Sequence[Word], place: int) -> int | None:
        """The first word of "in jeans", "with freckles" after the word that says so, or None."""
        unknown = 0
        for step in range(place - 1, max(place - _BACK, 0) - 1, -1):
            word = found[step].text
            if _parting(text[found[step].end : found[step + 1].start]):
                return None
            if word in self._after:
                handled = step > 0 and found[step - 1].text in _HANDLING
                first = step + 1
                while first < place and found[first].text in _DETERMINERS:
                    first += 1
                return None if handled else first
            if word in self._looks or word in _DETERMINERS or word in _JOINERS:
                continue
            if self._worn.at(found, step) or self._nouns.at(found, step):
                continue
            unknown += 1
            if unknown > 2 or word in self._function or word.endswith(("ing", "ed")):
                return None
        return None

    def _of_anchor(self, text: str, found: Sequence[Word]) -> Iterator[tuple[int, int]]:
        """Looks right before the masked anchor, or said of it."""
        for place in range(len(found) + 1):
            left = found[place - 1].end if place else 0
            right = found[place].start if place < len(found) else len(text)
            gap = text[left:right]
            if MASK not in gap:
                continue
            before, after = gap.split(MASK, 1)[0], gap.rsplit(MASK, 1)[1]
            if place and found[place - 1].text in self._looks and not _parting(before):
                yield self._looked(text, found, place - 1), place - 1
            if _parting(after):
                continue
            step = place
            if step < len(found) and found[step].text in _COPULAS:
                step += 1
            if step < len(found) and found[step].text in self._looks:
                yield step, step


@lru_cache(maxsize=64)
def _rules(names: tuple[str, ...] | None) -> tuple[_Rules, ...]:
    traits = read_words().traits
    return tuple(_Rules(traits[name]) for name in (traits if names is None else names))


def _parted(text: str, left: Word, right: Word) -> bool:
    """True if more than a space or comma stands between two words: a sentence or the anchor."""
    return _parting(text[left.end : right.start])


def _parting(between: str) -> bool:
    return bool(between.strip(" ,"))


def _apart(found: Sequence[Described]) -> list[Described]:
    result: list[Described] = []
    for one in found:
        if not result or one.start >= result[-1].end:
            result.append(one)
    return result
