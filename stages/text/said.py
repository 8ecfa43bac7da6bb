"""What a text says, word by word, so that two texts can be compared across forms and synonyms.

English is compared by meaning, other alphabets and languages by their stems, scripts without spaces
by their letters: Han and Hangul one by one, Katakana, Thai and their like by pairs. Hiragana is
grammar, mostly, and counts for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, cached_property, lru_cache
from operator import add
from typing import NamedTuple

from stages.text.anchor import anchor_spans
from stages.text.language import (
    HAN,
    HANGUL,
    KATAKANA,
    SCRIPTS,
    STACKED,
    UNSPACED,
    language_of,
    script_of,
)
from stages.text.stems import ENGLISH, Kind, Meaning, meaning, synonyms

# Vowels and other marks within words, which Python counts as no letters.
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0971-\u0dff\u200c"
)
_LETTER = rf"(?:[^\W_{UNSPACED}]|[{_MARKS}])"
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:'[A-Za-z0-9]+)?")
_GRAMMAR = frozenset("的了在是和着与及或也就都而个一我你他她它们这那")
_LONG = 5  # letters of a word that may be made of two
# Of these a single letter that differs may be grammar.
_FEWEST = {"hangul": 2, "stacked": 3}
# What tags hold besides words: weights, networks, scores.
_NO_WORDS = re.compile(
    r"<(?:lora|lyco|hypernet):[^<>]{0,200}>|(?<=:)\d+(?:\.\d+)?(?=\))|\bscore_\d\w*"
)


class Said:
    """A text, ready to be compared. Its words stand in `meanings`; a place is an index there."""

    def __init__(self, text: str, anchor: str = "", language: str = "") -> None:
        """`language` is that of a text that does not show its own."""
        self.text = text
        self.script = script_of(text)
        self._blank = _NO_WORDS.sub(_blanked, text) if ":" in text or "score_" in text else text
        if text.isascii():
            found = _PLAIN.findall(self._blank)
            if not _patterns().firsts.isdisjoint(found):
                found = _patterns().plain.findall(self._blank)
            self.meanings = list(map(meaning, found))
        else:
            self.meanings = [known for known, _, _ in self._letters]
        self.shown = language_of(self.script, {known.word for known in self.meanings})
        self.language = self.shown or language or ENGLISH
        if self.language != ENGLISH:
            self.meanings = [
                known if known.script else meaning(known.word, self.language)
                for known in self.meanings
            ]
        self._phrases = _phrases_in([known.key for known in self.meanings])
        self.says = set().union(*[known.says for known in self.meanings], *self._phrases.values())
        spans = anchor_spans(text, anchor) if anchor else []
        self.anchors = _within(self.spans, spans) if spans else frozenset()

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Where each word stands."""
        if self.text.isascii():
            found = _patterns().plain.finditer(self._blank)
            return [one.span() for one in found]
        return [(start, end) for _, start, end in self._letters]

    @cached_property
    def _letters(self) -> list[tuple[Meaning, int, int]]:
        return list(_in_any_script(self._blank))

    def comparable(self, other: Said) -> bool:
        """False for texts in two scripts or languages: nothing can be traced between them."""
        return (
            (self.script, self.language) == (other.script, other.language)
            or self._silent
            or other._silent
        )

    @cached_property
    def _silent(self) -> bool:
        """True for the anchor alone, or nothing."""
        return all(
            place in self.anchors or known.kind < Kind.REMARK
            for place, known in enumerate(self.meanings)
        )

    def content(self, place: int) -> bool:
        """True for a word that claims something."""
        kind = self.meanings[place].kind
        if kind == Kind.AIMED:
            return place > 0 and self.meanings[place - 1].key in synonyms().aimed
        if kind == Kind.UNDER:
            following = self.meanings[place + 1 : place + 5]
            return not any(known.key in synonyms().skies for known in following)
        return kind >= Kind.REMARK

    def covers(self, other: Said, place: int) -> bool:
        """True if this text says what a word of another says."""
        known = other.meanings[place]
        if known.key in self.says:
            return True
        phrases = other._phrases.get(place)
        if phrases and not phrases.isdisjoint(self.says):
            return True
        if len(known.lemma) >= _LONG and known.lemma in self._pairs:  # "raincoat" of "rain coat"
            return True
        words = other.meanings
        if place and words[place - 1].word + known.lemma in self._lemmas:
            return True
        return place + 1 < len(words) and known.word + words[place + 1].lemma in self._lemmas

    def texts(self, places: Sequence[int]) -> tuple[str, ...]:
        """The words at some places as they stand, each once; neighbouring letters are one."""
        joined: list[tuple[int, int]] = []
        last = None
        for place in places:
            start, end = self.spans[place]
            script = self.meanings[place].script
            if script and script == last and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
            last = script
        result: dict[str, str] = {}
        for start, end in joined:
            result.setdefault(self.text[start:end].casefold(), self.text[start:end])
        return tuple(result.values())

    def told(self, places: Sequence[int]) -> list[int]:
        """Those of some places at which enough stands to be told: no single Hangul letter."""
        result: list[int] = []
        run: list[int] = []
        script = ""
        for place in places:
            if run and not (place == run[-1] + 1 and self.meanings[place].script == script):
                result += run if len(run) >= _FEWEST.get(script, 1) else []
                run = []
            script = self.meanings[place].script
            run.append(place)
        return result + (run if len(run) >= _FEWEST.get(script, 1) else [])

    @cached_property
    def _pairs(self) -> set[str]:
        words = [known.word for known in self.meanings]
        return set(map(add, words, [known.lemma for known in self.meanings[1:]]))

    @cached_property
    def _lemmas(self) -> set[str]:
        return {known.lemma for known in self.meanings}


@lru_cache(maxsize=512)  # as many threads judge at once, three texts each
def _said(text: str, anchor: str, language: str) -> Said:
    return Said(text, anchor, language)


def read(merged: str, manual: str, draft: str, anchor: str) -> tuple[Said, Said, Said]:
    """The three texts of a merge; one too short to show its language is read in another's."""
    texts = ((merged, anchor), (manual, anchor), (draft, ""))
    several = [_said(text, own, "") for text, own in texts]
    shown = next((one.shown for one in several if one.shown), ENGLISH)
    if shown != ENGLISH:
        several = [
            one if one.shown else _said(text, own, shown)
            for one, (text, own) in zip(several, texts, strict=True)
        ]
    caption, person, model = several
    return caption, person, model


def _phrases_in(keys: Sequence[str]) -> dict[int, set[str]]:
    """The phrases that a word is part of, by its place."""
    result: dict[int, set[str]] = {}
    alone, begun, firsts = _phrases()
    begins = firsts.intersection(keys)
    for place, key in enumerate(keys):
        if key not in begins:
            continue
        if key in alone:
            result.setdefault(place, set()).add(alone[key])
        if key in begun:
            for rest, name in begun[key].get(keys[place + 1] if place + 1 < len(keys) else "", ()):
                end = place + 2 + len(rest)
                if tuple(keys[place + 2 : end]) == rest:
                    for step in range(place, end):
                        result.setdefault(step, set()).add(name)
    return result


def _within(words: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> frozenset[int]:
    """Places of the words that overlap a span; both are in order."""
    result = []
    left = iter(spans)
    span = next(left, None)
    for place, (start, end) in enumerate(words):
        while span and span[1] <= start:
            span = next(left, None)
        if span and end > span[0]:
            result.append(place)
    return frozenset(result)


def _blanked(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _in_any_script(text: str) -> Iterator[tuple[Meaning, int, int]]:
    for found in _patterns().any_script.finditer(text):
        group, start, end = found.lastgroup, found.start(), found.end()
        if group == "word":
            yield meaning(found[0]), start, end
        elif group == "one":
            if found[0] not in _GRAMMAR:
                script = "hangul" if SCRIPTS["hangul"].match(found[0]) else "han"
                yield _letters(found[0], script), start, end
        else:
            script = "stacked" if found[0] < "\u3000" else "katakana"
            for place in range(start, max(end - 1, start + 1)):
                stop = min(place + 2, end)
                yield _letters(text[place:stop], script), place, stop


class _Patterns(NamedTuple):
    """What is a word, in ASCII and in any script; pairs that are one word come first."""

    plain: re.Pattern[str]
    any_script: re.Pattern[str]
    firsts: frozenset[str]  # without one of these _PLAIN finds the same, faster


@cache
def _patterns() -> _Patterns:
    pairs = synonyms().joined
    joined = rf"(?i:{'|'.join(pair.replace(' ', '[ -]') for pair in pairs)})(?!\w)"
    any_script = (
        rf"(?P<word>{joined}|{_LETTER}+(?:['’]{_LETTER}+)?)|(?P<one>[{HAN}{HANGUL}])"
        rf"|(?P<run>[{KATAKANA}]+|[{STACKED}]+)"
    )
    firsts = [pair.split()[0] for pair in pairs]
    spelled = (spell(first) for first in firsts for spell in (str.lower, str.title, str.upper))
    return _Patterns(
        re.compile(f"{joined}|{_PLAIN.pattern}"), re.compile(any_script), frozenset(spelled)
    )


@lru_cache(maxsize=1 << 14)
def _letters(letters: str, script: str) -> Meaning:
    return Meaning(letters, letters, letters, frozenset((letters,)), Kind.CONTENT, script)


_Begun = dict[str, dict[str, list[tuple[tuple[str, ...], str]]]]


@cache
def _phrases() -> tuple[dict[str, str], _Begun, frozenset[str]]:
    """(name of the group by a word alone; by the first two words the rest and the name; all first
    words)."""
    alone: dict[str, str] = {}
    begun: _Begun = {}
    for several in synonyms().phrases:
        name = f"\0{several[0]}"
        for phrase in several:
            first, *rest = (meaning(word).key for word in _patterns().plain.findall(phrase))
            if rest:
                seconds = begun.setdefault(first, {})
                seconds.setdefault(rest[0], []).append((tuple(rest[1:]), name))
            else:
                alone[first] = name
    return alone, begun, frozenset((*alone, *begun))
