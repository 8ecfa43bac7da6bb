"""Phrases that many captions of a set share, and those that only some say."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from stages.wordlists import read_words

MOST = 0.8  # of the captions: said in so many a phrase becomes part of what the anchor means
_FEWEST = 5  # captions; of fewer nothing is common
_SOME = 0.02  # of the captions: said in fewer, nothing is learned of it
_SAMPLE = 2000  # captions in which long phrases are looked for; they are counted in all
_TOKEN = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*|[^\s\w]")
_BREAK = ""  # where the anchor, camera framing or punctuation ends a phrase

Tokens = list[str]


@dataclass(frozen=True, slots=True)
class Share:
    """How many captions of a set say a phrase."""

    phrase: str
    count: int
    of: int


def tokens(caption: str) -> Tokens:
    """The words of a caption in lower case, and breaks for everything else."""
    found = _TOKEN.findall(caption.lower().replace("’", "'"))
    return [token if token[0].isalnum() else _BREAK for token in found]


class Said(NamedTuple):
    """The captions of a set, each once, without their camera framing."""

    captions: list[Tokens]
    framing: Counter[str]  # in how many captions each stands

    @classmethod
    def of(cls, captions: Iterable[Tokens]) -> Said:
        framing: Counter[str] = Counter()
        bare = []
        for caption in captions:
            without, framed = unframed(caption)
            bare.append(without)
            framing.update(set(framed))
        return cls(bare, framing)


def common(said: Said) -> list[Share]:
    """The longest phrases that stand in MOST captions or more, most often first. They begin and end
    with a word of content."""
    total = len(said.captions)
    if total < _FEWEST:
        return []
    counts = Counter(word for caption in said.captions for word in set(caption))
    often = {word for word, count in counts.items() if count >= MOST * total and word}
    if not often.difference(read_words().function):
        return []
    sample = said.captions[:: math.ceil(total / _SAMPLE)]
    trimmed = {_trimmed(phrase) for phrase in _longest(sample, often)} - {()}
    joined = [f" {' '.join(word or '|' for word in caption)} " for caption in said.captions]
    shares: list[Share] = []
    for words in sorted(trimmed, key=len, reverse=True):
        phrase = " ".join(words)
        if any(f" {phrase} " in f" {longer.phrase} " for longer in shares):
            continue
        count = sum(f" {phrase} " in caption for caption in joined)
        if count >= MOST * total:
            shares.append(Share(phrase, count, total))
    return sorted(shares, key=lambda share: -share.count)


def told_apart(said: Said) -> list[Share]:
    """Words, pairs of words and camera framing that some captions say and most do not, most often
    first: what prompts will be able to ask for."""
    total = len(said.captions)
    least, most = max(2, math.ceil(_SOME * total)), MOST * total
    words = Counter(word for caption in said.captions for word in set(caption) if _content(word))
    known = {word for word, count in words.items() if count >= least}
    pairs = Counter(
        pair for caption in said.captions for pair in set(_pairs(caption)) if known.issuperset(pair)
    )
    counts = {phrase: count for phrase, count in said.framing.items() if count >= least}
    inside: Counter[str] = Counter()
    for pair, count in pairs.items():
        if count >= least:
            counts[" ".join(pair)] = count
            for word in pair:
                inside[word] = max(inside[word], count)
    for word in known:
        if inside[word] < MOST * words[word]:  # else the pair says it better
            counts[word] = words[word]
    shares = [Share(phrase, count, total) for phrase, count in counts.items() if count < most]
    return sorted(shares, key=lambda share: (-share.count, share.phrase))


def _content(word: str) -> bool:
    """True for words that say something; of scripts without spaces every run does."""
    if word > "\u2fff":
        return True
    return len(word) > 1 and not word.isdigit() and word not in read_words().function


def _pairs(caption: Tokens) -> Iterator[tuple[str, str]]:
    for pair in itertools.pairwise(caption):
        if all(map(_content, pair)):
            yield pair


def _longest(captions: Sequence[Tokens], often: set[str]) -> list[tuple[str, ...]]:
    """The phrases of words from `often` in MOST of the captions that no longer one contains."""
    need = MOST * len(captions)
    runs = Counter(tuple(_runs(caption, often)) for caption in captions)
    known: set[tuple[str, ...]] = {(word,) for word in often}
    result: list[tuple[str, ...]] = []
    length = 1
    while known:
        length += 1
        counts: Counter[tuple[str, ...]] = Counter()
        for several, times in runs.items():
            grams = {
                gram
                for run in several
                for place in range(len(run) - length + 1)
                if (gram := run[place : place + length])[:-1] in known and gram[1:] in known
            }
            for gram in grams:
                counts[gram] += times
        longer = {gram for gram, count in counts.items() if count >= need}
        contained = {part for gram in longer for part in (gram[:-1], gram[1:])}
        result += known - contained
        known = longer
    return result


def _runs(caption: Tokens, often: set[str]) -> Iterator[tuple[str, ...]]:
    """Stretches of words that are all in `often`."""
    run: list[str] = []
    for word in (*caption, _BREAK):
        if word in often:
            run.append(word)
        elif run:
            yield tuple(run)
            run = []


def _trimmed(phrase: tuple[str, ...]) -> tuple[str, ...]:
    empty = read_words().function
    first, last = 0, len(phrase)
    while first < last and phrase[first] in empty:
        first += 1
    while last > first and phrase[last - 1] in empty:
        last -= 1
    return phrase[first:last]


def unframed(caption: Tokens) -> tuple[Tokens, list[str]]:
    """(the caption with breaks for its camera framing, the framing)."""
    phrases = _framing()
    if phrases.keys().isdisjoint(caption):
        return caption, []
    bare: Tokens = []
    framed = []
    place = 0
    while place < len(caption):
        for phrase in phrases.get(caption[place], ()):
            if caption[place : place + len(phrase)] == phrase:
                framed.append(" ".join(phrase))
                bare.append(_BREAK)
                place += len(phrase)
                break
        else:
            bare.append(caption[place])
            place += 1
    return bare, framed


@lru_cache(maxsize=1)
def _framing() -> dict[str, list[Tokens]]:
    """The vocabulary's framing by its first word, longer phrases first."""
    phrases = list(read_words().framing)
    angles = [phrase for phrase in phrases if phrase.startswith("from ")]
    phrases += [f"{seen} {angle}" for angle in angles for seen in ("seen", "viewed")]
    result: dict[str, list[Tokens]] = {}
    for phrase in sorted(phrases, key=len, reverse=True):
        words = tokens(phrase)
        result.setdefault(words[0], []).append(words)
    return result
