"""Which words of a manual caption a merged one may leave out: what the policy omits, what the
anchor stands for, what says nothing of the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from stages.policy import Policy
from stages.text.said import Said
from stages.text.stems import Kind, meaning, synonyms
from stages.text.traits import described
from stages.text.words import Phrases, words
from stages.wordlists import read_words

_BACK = 3  # words between "in a" and the place, at most
_INTO = frozenset(
    {"in", "at", "on", "down", "along", "through", "across", "near", "inside", "outside", "by"}
)
_INDEFINITE = frozenset({"a", "an", "another", "one", "some", "other", "second", "two", "three"})
_DEFINITE = frozenset({"the", "this"})
_WHOSE = frozenset({"her", "his", "its", "their", "my", "our"})
_ANYONE = frozenset({"person", "model"})  # keys of words that may stand for anybody
_DETERMINERS = _INDEFINITE | _DEFINITE | _WHOSE
_APPOSED = frozenset({",", ":", "-", "–", "—", "("})
_CLAUSE = re.compile(r"[^,.;:!?\n]+")
_SENTENCE = re.compile(r"[^.!?\n]+")
_SURROUNDED = re.compile(r"\b(?:surrounded|flanked) by\b", re.IGNORECASE)
_BEHIND = re.compile(r"\bin the (?:back ?ground|backdrop|(?:far )?distance)\b", re.IGNORECASE)
_OF_THE_BACKGROUND = re.compile(
    r"\s*(?:in )?the (?:back ?ground|backdrop|setting|(?:far )?distance)\b", re.IGNORECASE
)
_WITH = re.compile(r"\b(?:with|and|against)\b", re.IGNORECASE)
_LONGEST_TAG = 4  # words


def excused(manual: Said, missing: Sequence[int], anchor: str, policy: Policy) -> set[int]:
    """Those places of `missing` that are rightly left out of a caption with this anchor."""
    free = {place for place in missing if manual.meanings[place].kind < Kind.AIMED}
    free |= _asked(manual, missing, policy)
    free |= _in_spans(manual, missing, _omitted(manual, missing, anchor, policy))
    if anchor:
        free |= _of_the_anchor(manual, missing, anchor, policy)
    if policy.omits:
        free |= _tags(manual, missing, policy)
    if "background" in policy.omits:
        free |= _places(manual, missing, policy)
    return free


def _asked(manual: Said, missing: Sequence[int], policy: Policy) -> set[int]:
    """Words that the type says in its own way, and who moves, where that is left out."""
    asked = synonyms().asked.get(policy.insert, ())
    anybody = policy.insert == "never" and "body" in policy.omits
    return {
        place
        for place in missing
        if manual.meanings[place].key in asked
        or (anybody and "person" in manual.meanings[place].says)
    }


def _omitted(
    manual: Said, missing: Sequence[int], anchor: str, policy: Policy
) -> Iterator[tuple[int, int]]:
    """Spans of what the policy leaves out."""
    if any(manual.meanings[place].key in _trait_words(policy.omits) for place in missing):
        for one in described(manual.text, anchor, policy.omits):
            yield one.start, one.end
    if policy.forbidden:
        found = words(manual.text)
        for place, count in _forbidden(policy.forbidden).find(found):
            yield found[place].start, found[place + count - 1].end
    if "background" in policy.omits:
        yield from _backgrounds(manual)


@lru_cache(maxsize=16)
def _forbidden(entries: tuple[str, ...]) -> Phrases:
    return Phrases(entries)


def _backgrounds(manual: Said) -> Iterator[tuple[int, int]]:
    """What is told of a background: "with mountains in the background", "surrounded by people"."""
    text = manual.text
    if not (_SURROUNDED.search(text) or _BEHIND.search(text) or _OF_THE_BACKGROUND.search(text)):
        return
    for sentence in _SENTENCE.finditer(text):
        if _OF_THE_BACKGROUND.match(sentence[0]):
            yield sentence.span()
    for clause in _CLAUSE.finditer(text):
        start = clause.start()
        around = _SURROUNDED.search(clause[0])
        if around:
            yield start + around.start(), clause.end()
        behind = _BEHIND.search(clause[0])
        if behind and behind.start():
            joints = [found.start() for found in _WITH.finditer(clause[0], 0, behind.start())]
            first = start + (joints[-1] if joints else 0)
            here = (first, start + behind.end())
            if not any(_overlap(manual, place, here) for place in manual.anchors):
                yield here


def _overlap(manual: Said, place: int, span: tuple[int, int]) -> bool:
    return span[0] <= manual.spans[place][0] < span[1]


def _in_spans(manual: Said, missing: Sequence[int], spans: Iterator[tuple[int, int]]) -> set[int]:
    """In one pass over both: `missing` is in order."""
    result = set()
    ordered = sorted(spans)
    reach = step = 0
    for place in missing:
        start = manual.spans[place][0]
        while step < len(ordered) and ordered[step][0] <= start:
            reach = max(reach, ordered[step][1])
            step += 1
        if start < reach:
            result.add(place)
    return result


def _of_the_anchor(manual: Said, missing: Sequence[int], anchor: str, policy: Policy) -> set[int]:
    """Words that the anchor stands for: its own, broader ones, "the woman", looks before it."""
    own, broader = _own_words(anchor, policy.insert)
    free = {place for place in missing if manual.meanings[place].key in broader}
    if policy.insert == "subject":
        free |= set(_persons(manual, missing))
    traits = read_words().traits
    if any(traits[name].of_anchor for name in policy.omits):
        looks = _look_words(policy)
        for place, known in enumerate(manual.meanings):
            if place in manual.anchors or known.key in own:
                step = place - 1
                while step >= 0 and manual.meanings[step].word in looks:
                    free.add(step)
                    step -= 1
    return free.intersection(missing)


def _persons(manual: Said, missing: Sequence[int]) -> Iterator[int]:
    """Persons that may be the character: "the woman", a tag, "a woman" if no other name stands."""
    lost = None
    for place in missing:
        known = manual.meanings[place]
        if "person" not in known.says:
            continue
        article = _determiner(manual, place)
        word = manual.meanings[article].word if article is not None else ""
        if word in _WHOSE or known.word in read_words().many_people:
            continue
        if (
            known.key in _ANYONE
            or word in _DEFINITE
            or article is None
            or _apposed(manual, article)
        ):
            yield place
        elif not manual.anchors and lost in (None, known.key):
            lost = known.key  # one of several is the character, and one may go
            yield place


def _determiner(manual: Said, place: int) -> int | None:
    """Where the article or number stands that a noun has before it, or None."""
    right = manual.spans[place][0]
    for step in range(place - 1, max(place - 1 - _BACK, -1), -1):
        left, end = manual.spans[step]
        if manual.text[end:right].strip(" -"):
            return None
        right = left
        if manual.meanings[step].word in _DETERMINERS:
            return step
    return None


def _apposed(manual: Said, place: int) -> bool:
    """ "annika, a woman …", "annika is a tall girl": `place` is that of the article."""
    before = place - 1
    if before > 0 and manual.meanings[before].word in ("is", "as"):
        return before - 1 in manual.anchors
    if before not in manual.anchors:
        return False
    return _between(manual, before, place).strip() in _APPOSED


def _between(manual: Said, left: int, right: int) -> str:
    """What stands between two neighbouring words."""
    return manual.text[manual.spans[left][1] : manual.spans[right][0]]


@lru_cache(maxsize=64)
def _own_words(anchor: str, insert: str) -> tuple[frozenset[str], frozenset[str]]:
    """(keys of words that stand for the anchor alone, those and broader ones)."""
    found = Said(anchor).meanings
    whole = insert in ("subject", "in")
    looks = read_words().looks
    said = [
        known
        for known in (found if whole else found[-1:])
        if known.kind == Kind.CONTENT and known.word not in looks
    ]
    own = frozenset(one.key for one in said)
    return own, own.union(*(one.says for one in said))


def own_words(anchor: str, policy: Policy) -> frozenset[str]:
    """Keys of the words that stand for the anchor where they stand alone: "the sword's blade"."""
    return _own_words(anchor, policy.insert)[0] if anchor else frozenset()


def _look_words(policy: Policy) -> frozenset[str]:
    traits = read_words().traits
    of_anchor = (traits[name].looks for name in policy.omits if traits[name].of_anchor)
    return read_words().looks.union(read_words().degrees, *of_anchor)


def _tags(manual: Said, missing: Sequence[int], policy: Policy) -> set[int]:
    """Tags that name nothing but what is left out: "hat", "blue eyes", "forest"."""
    known = _trait_words(policy.omits)
    result: set[int] = set()
    count = len(manual.meanings)
    first = 0
    for place in range(1, count + 1):
        ends = place == count or "," in _between(manual, place - 1, place)
        if not ends:
            continue
        tag = range(first, place)
        first = place
        if len(tag) <= _LONGEST_TAG and all(
            manual.meanings[step].key in known for step in tag if manual.content(step)
        ):
            result.update(tag)
    return result.intersection(missing)


@lru_cache(maxsize=64)
def _trait_words(omits: tuple[str, ...]) -> frozenset[str]:
    vocabulary = read_words()
    said: list[str] = list(vocabulary.looks)
    for name in omits:
        trait = vocabulary.traits[name]
        said += (*trait.nouns, *trait.worn, *trait.looks, *trait.alone)
    keys = {known.key for word in said for known in Said(word).meanings}
    return frozenset(keys).union(synonyms().places if "background" in omits else ())


def _places(manual: Said, missing: Sequence[int], policy: Policy) -> set[int]:
    """ "in a park", "down the street": a few words on where it happens, and none are owed."""
    nouns = _place_words()
    result: set[int] = set()
    for place in missing:
        if manual.meanings[place].key not in nouns:
            continue
        for step in range(place - 1, max(place - 2 - _BACK, -1), -1):
            if manual.meanings[step].word in _INTO:
                result.update(range(step, place + 1))
                break
    return result.intersection(missing)


@lru_cache(maxsize=1)
def _place_words() -> frozenset[str]:
    nouns = read_words().traits["background"].nouns
    keys = (meaning(noun).key for noun in nouns if noun != "wall")  # one leans against it
    return frozenset(keys).union(synonyms().places)
