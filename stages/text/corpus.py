"""What is wrong with the captions of a set taken together, and what training on them will teach.

Pure functions, in time linear in the number of captions.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stages.text.alike import near_identical
from stages.text.phrases import MOST, Said, Share, common, tokens, told_apart, unframed
from stages.text.traits import described

_FEWEST = 5  # captions or drafts: of fewer nothing can be said
_SAMPLE = 5000  # captions whose traits are read: enough for a share, and reading them is slow
_TOLD = 0.5  # of the drafts tell a trait: else one cannot know whether it varies
_ASIDE = 3  # times the median length, or a third of it, is an outlier
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_LETTER = rf"[^\W_{_UNSPACED}\uac00-\ud7af]"


class Entry(NamedTuple):
    """One picture of the set."""

    name: str
    caption: str
    draft: str | None = None  # what a vision model saw in it


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a set."""

    label: str
    message: str
    where: str = ""  # the phrase that it is about, if one
    count: int = 0  # captions that it concerns
    names: tuple[str, ...] = ()  # of their pictures, if they are few


@dataclass(frozen=True, slots=True)
class Lengths:
    """In words."""

    fewest: int
    median: int
    most: int
    outliers: tuple[tuple[str, int], ...]  # pictures whose captions are far from the median


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a set of captions is like."""

    captions: int
    lengths: Lengths | None  # None without captions
    findings: tuple[Finding, ...]
    promptable: tuple[Share, ...]  # what some captions say and most do not


def look_over(entries: Sequence[Entry], anchor: str) -> Corpus:
    """Entries without a caption are left out by the caller; an empty `anchor` means none."""
    spelled = _spelled(anchor)
    words = []
    bare = []
    for entry in entries:
        words.append(tuple(word for word in tokens(entry.caption) if word))
        bare.append(tokens(spelled.sub("\0", entry.caption) if spelled else entry.caption))
    said = Said.of(bare)
    findings = (
        *map(_common, common(said)),
        *_spellings(entries, spelled),
        *_traits(entries, anchor),
        *_alike(entries, words),
    )
    return Corpus(len(entries), _lengths(entries, words), findings, tuple(told_apart(said)))


def _spelled(anchor: str) -> re.Pattern[str] | None:
    """The anchor in any case and spacing, whole."""
    words = r"[\s_-]*".join(re.escape(word) for word in re.split(r"[\s_-]+", anchor) if word)
    if not words:
        return None
    return re.compile(rf"(?<!{_LETTER}){words}(?!{_LETTER})", re.IGNORECASE)


def _common(share: Share) -> Finding:
    percent = _percent(share.count, share.of)
    message = f'"{share.phrase}" is in {percent} of the captions: it will bind to the anchor'
    return Finding("common_phrase", message, share.phrase, share.count)


def _spellings(entries: Sequence[Entry], spelled: re.Pattern[str] | None) -> Iterator[Finding]:
    if spelled is None:
        return
    counts = Counter(form for entry in entries for form in set(spelled.findall(entry.caption)))
    if len(counts) > 1:
        forms = ", ".join(f'"{form}" {count}' for form, count in counts.most_common(6))
        message = f"the anchor is spelled in {len(counts)} ways: {forms}"
        yield Finding("anchor_spellings", message, count=sum(counts.values()))


def _traits(entries: Sequence[Entry], anchor: str) -> Iterator[Finding]:
    """Traits that most captions tell alike, and traits that the drafts tell differently and no
    caption tells. What drafts say is what can be seen."""
    every = math.ceil(len(entries) / _SAMPLE) or 1
    entries = entries[::every]
    tagged = [_told(entry.caption, anchor) for entry in entries]
    for (trait, text), count in _counted(tagged).most_common():
        if len(entries) >= _FEWEST and count >= MOST * len(entries):
            percent = _percent(count, len(entries))
            message = f'{trait} is "{text}" in {percent} of the captions: leave it to the anchor'
            yield Finding("constant_trait", message, text, count * every)
    drafted = [_told(entry.draft, "") for entry in entries if entry.draft is not None]
    said = {trait for traits in tagged for trait, _ in traits}
    values: dict[str, Counter[str]] = {}
    for (trait, text), count in _counted(drafted).items():
        values.setdefault(trait, Counter())[text] = count
    for trait, texts in values.items():
        telling = [traits for traits in drafted if any(trait == other for other, _ in traits)]
        if trait in said or len(telling) < max(_FEWEST, _TOLD * len(drafted)):
            continue
        looks = Counter(look for traits in telling for look in _looks(trait, traits))
        if max(looks.values()) >= MOST * len(telling):
            continue
        seen = ", ".join(f'"{text}" {count}' for text, count in texts.most_common(4))
        message = (
            f"{trait} varies in the drafts ({seen}) and no caption says it: "
            "the anchor will take a mixture"
        )
        yield Finding("untagged_trait", message, count=len(telling) * every)


def _told(text: str, anchor: str) -> set[tuple[str, str]]:
    """(trait, what it is) for each trait that a text describes."""
    return {(one.trait, " ".join(one.text.lower().split())) for one in described(text, anchor)}


def _looks(trait: str, traits: set[tuple[str, str]]) -> set[str]:
    """What is said of a trait, word by word: "brown hair" and "long brown hair" both say brown."""
    texts = [text.split() for other, text in traits if other == trait]
    return {word for words in texts for word in words[:-1] or words}


def _counted(several: Sequence[set[tuple[str, str]]]) -> Counter[tuple[str, str]]:
    return Counter(one for traits in several for one in traits)


def _alike(entries: Sequence[Entry], words: Sequence[tuple[str, ...]]) -> Iterator[Finding]:
    for group in near_identical([_by_view(entry.caption) for entry in entries]):
        names = tuple(entries[place].name for place in group)
        same = len({words[place] for place in group}) == 1
        how = "the same" if same else "the same but for a word"
        message = f"{len(group)} captions are {how}: nothing tells their pictures apart"
        yield Finding("near_identical", message, count=len(group), names=names)


def _by_view(caption: str) -> tuple[str, ...]:
    """The words of a caption, with each camera framing as two: another view is no small difference
    but what tells two pictures apart."""
    bare, framing = unframed(tokens(caption))
    return (*filter(None, bare), *(half for view in framing for half in (view, f"{view}.")))


def _lengths(entries: Sequence[Entry], words: Sequence[tuple[str, ...]]) -> Lengths | None:
    if not entries:
        return None
    counts = [len(caption) for caption in words]
    median = statistics.median_low(counts)
    outliers = [
        (entry.name, count)
        for entry, count in zip(entries, counts, strict=True)
        if not median <= count * _ASIDE <= median * _ASIDE * _ASIDE
    ]
    far = sorted(outliers, key=lambda one: one[1])
    return Lengths(min(counts), median, max(counts), tuple(far if len(entries) >= _FEWEST else ()))


def _percent(count: int, of: int) -> str:
    return f"{100 * count // of} %"
