"""Removes what a policy leaves out, by whole sentences only, and only where nobody could object.

Within a clause, grammar would break: that is left to a repair turn. What may change from picture to
picture (clothing, a black eye, a dark room) is something to prompt for, and so is the only word on
where it happens: such a sentence is told, never removed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache

from stages.policy import Policy
from stages.text.anchor import holds_anchor
from stages.text.traits import described
from stages.text.vocabulary import read_vocabulary
from stages.text.words import Phrases, Word, sentences, words
from stages.wordlists import read_words

_BACKGROUND = re.compile(
    r"(?:in the (?:back ?ground|distance)\b|the (?:background|backdrop)\b"
    r"|behind (?:her|him|them|it),)",
    re.IGNORECASE,
)
# Looks for good; clothing, objects and places may be others in the next picture.
_LASTING = frozenset({"hair", "eyes", "face", "body", "style"})
_FRAGMENTS = frozenset({"hair", "eyes", "face", "style"})
# … and of these, what a day may bring.
_PASSING = re.compile(
    r"\b(?:black eye|(?:pony|pig)tails?|braid(?:s|ed)?|buns?|updos?|make-?up|lipstick|eye ?shadow"
    r"|eye ?liner|face paint|messy|stubble|now|then|not|no|than|yet|if)\b"
    r"|\beyes? (?:\w+ ){0,2}?red\b|\bred eyes?\b"
    r"|\b(?:red|pink|pale|white|green|blue|purple|black|dark|bright|golden|silver)\b.*"
    r"\b(?:face|cheeks?|nose|lips|chin)\b"
    r"|\b(?:face|cheeks?|nose|lips|chin)\b.*"
    r"\b(?:red|pink|pale|white|green|blue|purple|black|dark|bright|golden|silver)\b",
    re.IGNORECASE,
)
_OF_THE_ONE = re.compile(
    r"(?:she|he|they|it|her|his|their|its|the (?:woman|man|girl|boy|person|figure|subject"
    r"|character)(?:['’]s)?)\b",
    re.IGNORECASE,
)


def without_omitted(text: str, anchor: str, policy: Policy) -> str:
    """The text without the sentences that describe nothing but what the policy leaves out; one with
    the anchor stays, and so does the last one."""
    if not policy.omits:
        return text
    found = sentences(text)
    if len(found) < 2:
        return text
    who = _Persons(found, anchor)
    kept = [one for one in found if not _only_omitted(one, who, anchor, policy)]
    return text if len(kept) in (0, len(found)) else " ".join(kept)


def _only_omitted(sentence: str, who: _Persons, anchor: str, policy: Policy) -> bool:
    if anchor and holds_anchor(sentence, anchor):
        return False
    found = words(sentence)
    if "background" in policy.omits and _BACKGROUND.match(sentence):
        return _only_scenery(found)
    told = described(sentence, anchor, policy.omits)
    if not told or any(one.trait not in _LASTING for one in told) or _PASSING.search(sentence):
        return False
    vocabulary = read_words()
    empty = vocabulary.function | vocabulary.carriers
    if not all(
        word.text in empty or any(one.start <= word.start < one.end for one in told)
        for word in found
    ):
        return False
    fragment = told[0].start == found[0].start and all(one.trait in _FRAGMENTS for one in told)
    whose = _OF_THE_ONE.match(sentence) and not who.several_beside(sentence)
    return fragment or bool(whose) or all(one.trait == "style" for one in told)


class _Persons:
    """Who is named in the sentences of a caption; counted once, and only where that is asked."""

    def __init__(self, found: Sequence[str], anchor: str) -> None:
        self._found = found
        self._anchor = anchor

    def several_beside(self, sentence: str) -> bool:
        """True if "she" or "the man" of a sentence may be somebody else than whom the others are
        about."""
        people = self._named - self._of(sentence)
        vocabulary = read_words()
        if any(word in vocabulary.many_people for word in people):
            return True
        return len(people) + self._held > 1

    @cached_property
    def _named(self) -> Counter[str]:
        return sum((self._of(sentence) for sentence in self._found), Counter[str]())

    @cached_property
    def _held(self) -> bool:
        return bool(self._anchor) and any(holds_anchor(one, self._anchor) for one in self._found)

    def _of(self, sentence: str) -> Counter[str]:
        vocabulary = read_words()
        bare = (word.text.removesuffix("'s") for word in words(sentence))
        return Counter(
            word for word in bare if word in vocabulary.people or word in vocabulary.many_people
        )


def _only_scenery(found: Sequence[Word]) -> bool:
    """True if a sentence on the background names no one and nothing that acts."""
    vocabulary = read_words()
    trait = vocabulary.traits["background"]
    empty = vocabulary.function | vocabulary.looks | vocabulary.degrees
    empty |= read_vocabulary().said_of_scenery | frozenset(trait.looks) | {"appears", "distance"}
    place = named = 0
    while place < len(found):
        count = _scenery().at(found, place)
        if not count and found[place].text not in empty:
            return False
        named += count
        place += count or 1
    return named > 0


@lru_cache(maxsize=1)
def _scenery() -> Phrases:
    trait = read_words().traits["background"]
    return Phrases((*trait.nouns, *trait.worn, *read_vocabulary().scenery), plurals=True)
