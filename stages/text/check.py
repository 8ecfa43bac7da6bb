"""What is wrong with a text that is a caption: found here, decided by the rooms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from stages.policy import Policy
from stages.sample import Problem
from stages.text.anchor import PLACEHOLDER, holds_anchor, holds_plural, mask_anchor, misspelled
from stages.text.innocent import innocent
from stages.text.length import over_budget
from stages.text.traits import described
from stages.text.words import Phrases, sentences, words
from stages.wordlists import read_words

_LETTER = re.compile(r"[^\W_]")
_PRONOUN = re.compile(r"\W*(?:she|he|they|it|her|his|him)\b(?!['’]s own)", re.IGNORECASE)
_MEANS = {
    "describes_appearance": "looks bind to the anchor only if they are left unsaid",
    "describes_clothing": "clothing binds to the anchor only if it is left unsaid",
    "describes_background": "more than a few words on where it happens",
    "describes_style_words": "the style belongs to the anchor",
    "describes_object_appearance": "its looks bind to the anchor only if they are left unsaid",
}
# "on" and "in" may end a caption ("straight on"), and so may "her left"; these cannot.
_DANGLING = re.compile(
    r"(?:[,;:(\-–—]|\b(?:and|or|the|an|a|of|whose|which|their|its|my|because)|(?<=\w )(?-i:who)"
    r"|\b(?:while|where|when|because) (?:her|his|their|its)(?: (?:right|left|other|own))?)\Z",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“„«「『(（][^\"”“»」』)）]*[\"”“»」』)）]")
_FOREIGN = re.compile(
    "[\u0370-\u052f\u0590-\u06ff\u0900-\u0dff\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af]+"
)
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_DECLARED = re.compile(r"(?:the|an?)\s+", re.IGNORECASE)


def find_problems(text: str, *, policy: Policy, anchor: str) -> tuple[Problem, ...]:
    """The problems of a text that is a caption; an empty `anchor` means that none is wanted."""
    return (
        *_of_the_anchor(text, anchor, policy),
        *_of_traits(text, anchor, policy),
        *_of_length(text, anchor, policy),
        *_of_language(text, anchor),
    )


def generic_anchor(anchor: str, policy: Policy) -> Problem | None:
    """The anchor itself, if the model knows it as everything."""
    bare = _DECLARED.sub("", anchor.lower(), count=1).strip()
    if bare not in policy.generic:
        return None
    message = f"{anchor!r} is a common word: the model knows it as everything; choose a rarer one"
    return Problem("generic_anchor", False, anchor, message)


def _of_the_anchor(text: str, anchor: str, policy: Policy) -> Iterator[Problem]:
    held = bool(anchor) and holds_anchor(text, anchor)
    held = held or (bool(anchor) and policy.insert == "head" and holds_plural(text, anchor))
    if anchor and not held:
        near = misspelled(text, anchor)
        hint = f'; "{near}" stands there' if near else ""
        yield Problem("missing_anchor", True, near, f'the anchor "{anchor}" is missing{hint}')
    elif anchor and not _LETTER.search(mask_anchor(text, anchor)):
        yield Problem("anchor_only", True, anchor, "nothing but the anchor")
    pronoun = _PRONOUN.match(text) if anchor and policy.insert in ("subject", "head") else None
    if pronoun:
        message = f'"{pronoun[0].strip()}" stands where the anchor should'
        yield Problem("pronoun_instead_of_anchor", not held, pronoun[0].strip(), message)
    placeholder = PLACEHOLDER.search(text) if not anchor else None
    if placeholder:
        message = "a place for the anchor that nothing filled: give --anchor"
        yield Problem("placeholder", True, placeholder[0], message)


def _of_traits(text: str, anchor: str, policy: Policy) -> Iterator[Problem]:
    for one in described(text, anchor, policy.omits):
        if innocent(one, text, anchor, policy):
            continue
        yield Problem(one.label, False, one.text, f'"{one.text}": {_MEANS[one.label]}')
    if policy.forbidden:
        found = words(mask_anchor(text, anchor))
        for place, count in _forbidden(policy.forbidden).find(found):
            where = text[found[place].start : found[place + count - 1].end]
            message = f'"{where}" is among the words to leave out'
            yield Problem("forbidden_words", False, where, message)


def _of_length(text: str, anchor: str, policy: Policy) -> Iterator[Problem]:
    bare = mask_anchor(text, anchor)
    if policy.fewest_words and _LETTER.search(bare):
        count = _count(bare)
        if count < policy.fewest_words:
            counted = "1 word" if round(count) == 1 else f"{count:.0f} words"
            message = f"{counted} besides the anchor: too few to tell the pictures apart"
            yield Problem("too_short", False, message=message)
    count = len(sentences(text))
    if count > policy.sentences[1]:
        message = f"{count} sentences, {policy.sentences[1]} at most"
        yield Problem("too_long", False, message=message)
    if policy.encoder:
        yield from over_budget(text, policy.encoder)
    # The framing words are of Latin letters.
    framed = next(_framing().find(words(bare)), None) or not text.isascii()
    if policy.framing == "required" and _LETTER.search(bare) and not framed:
        message = "no camera framing (close up, medium shot, full body shot, from above …)"
        yield Problem("no_camera_framing", False, message=message)
    dangling = _DANGLING.search(text)
    if dangling:
        yield Problem("truncated", False, dangling[0], f'ends with "{dangling[0]}"')


def _of_language(text: str, anchor: str) -> Iterator[Problem]:
    """Letters of another script amid Latin ones, as models let slip; quotations may hold them."""
    if text.isascii():
        return
    bare = _QUOTED.sub(" ", mask_anchor(text, anchor))
    foreign = _FOREIGN.findall(bare)
    letters = sum(map(len, foreign))
    if letters and len(_LATIN.findall(bare)) > 3 * letters:
        message = f'"{foreign[0]}" amid another language'
        yield Problem("mixed_language", True, foreign[0], message)


def _count(bare: str) -> float:
    """Words besides the "s" that an anchor leaves behind."""
    found = [word.text for word in words(bare)]
    own = len(found) if bare.isascii() else sum(map(_units, found))
    return own - found.count("s")


def _units(word: str) -> float:
    """1 for a word; without spaces between words, half of the letters."""
    return len(word) / 2 if _FOREIGN.fullmatch(word) and word >= "\u0e00" else 1.0


@lru_cache(maxsize=16)
def _forbidden(entries: tuple[str, ...]) -> Phrases:
    return Phrases(entries, plurals=True)


@lru_cache(maxsize=1)
def _framing() -> Phrases:
    return Phrases(read_words().framing)
