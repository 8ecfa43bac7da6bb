"""Where each word of a merged caption comes from, and which facts of the manual one it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from stages.frames import by_frames, without_times
from stages.policy import Policy
from stages.text.excused import excused, own_words
from stages.text.said import Said, read
from stages.text.stems import Kind, synonyms
from stages.wordlists import read_words

_TOGETHER = re.compile(r"[\w\s'’-]*")  # what may stand between two words of one claim


@dataclass(frozen=True, slots=True)
class Claim:
    """Neighbouring words of a merged caption that have one source: "manual", "draft", "both",
    "anchor", "policy" (words of structure that claim nothing) or "neither"."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What ledgers add up to: `sum(counts, Counts())`."""

    words: int = 0  # that a merged caption claims, besides the anchor and the policy's
    invented: int = 0  # of these
    facts: int = 0  # different words of content in a manual caption, where they can be judged
    omitted: int = 0  # of these, rightly
    lost: int = 0  # of these

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.words + other.words,
            self.invented + other.invented,
            self.facts + other.facts,
            self.omitted + other.omitted,
            self.lost + other.lost,
        )

    @property
    def recall(self) -> float | None:
        """Facts kept or rightly omitted, of all; None if there is none."""
        return 1 - self.lost / self.facts if self.facts else None

    @property
    def invention_rate(self) -> float | None:
        """Words from neither source, of all that claim something; None if none does."""
        return self.invented / self.words if self.words else None


@dataclass(frozen=True, slots=True)
class Ledger:
    """A merged caption's words by their source. `invented` are the words of neither, `lost` those
    of the manual caption that the merged one lacks and the policy does not omit: each once, as they
    stand, in their order."""

    claims: tuple[Claim, ...]
    invented: tuple[str, ...]
    lost: tuple[str, ...]
    counts: Counts = Counts()


def account(merged: str, manual: str, draft: str, anchor: str, policy: Policy) -> Ledger:
    """The ledger of one merge. Time is linear in the texts."""
    frames = by_frames(draft)
    told = without_times(draft) if frames else draft
    caption, person, model = read(merged, manual, told, anchor)
    between = _motions() if frames else frozenset()
    sources = _sources(caption, person, model, anchor, policy, between)
    made_up = caption.told([place for place, name in enumerate(sources) if name == "neither"])
    for place in {place for place, name in enumerate(sources) if name == "neither"} - {*made_up}:
        sources[place] = ""  # a single letter of grammar
    owed, omitted, lost = _judged(caption, person, anchor, policy)
    claimed = sum(source not in ("", "anchor", "policy") for source in sources)
    return Ledger(
        tuple(_claims(caption, sources)),
        caption.texts(made_up),
        person.texts(lost),
        Counts(claimed, len(made_up), owed, omitted, _different(person, lost)),
    )


@lru_cache(maxsize=1)
def _motions() -> frozenset[str]:
    """Keys of what happens between frames, which no draft of single frames can tell."""
    return frozenset(known.key for word in read_words().motions for known in Said(word).meanings)


def _sources(
    caption: Said,
    person: Said,
    model: Said,
    anchor: str,
    policy: Policy,
    between: frozenset[str],
) -> list[str]:
    """The source of each word, "" for those that claim nothing. `between` are the keys of words
    that may follow from the draft's frames."""
    own = own_words(anchor, policy)
    asked = synonyms().asked.get(policy.insert, ())
    # What a person wrote in another language may say any of it: that is no invention.
    unknown = _named(not caption.comparable(person), not caption.comparable(model))
    result = []
    for place, known in enumerate(caption.meanings):
        kind, key = known.kind, known.key
        if place in caption.anchors:
            result.append("anchor")
        elif kind == Kind.EMPTY or (
            Kind.STRUCTURE < kind < Kind.CONTENT and not caption.content(place)
        ):
            result.append("")
        else:
            named = _named(
                key in person.says or person.covers(caption, place),
                key in model.says or model.covers(caption, place),
            )
            if not named and (kind == Kind.STRUCTURE or key in asked or key in between):
                named = "policy"
            if key in own:
                named = "anchor"
            result.append(named or unknown or "neither")
    return result


def _named(manual: bool, draft: bool) -> str:
    return ("both" if draft else "manual") if manual else ("draft" if draft else "")


def _claims(caption: Said, sources: Sequence[str]) -> Iterator[Claim]:
    """Neighbours of one source as one phrase, with the small words between them."""
    start = end = 0
    current = ""
    for (left, right), source in zip(caption.spans, sources, strict=True):
        if not source:
            continue
        if source == current and _TOGETHER.fullmatch(caption.text, end, left):
            end = right
            continue
        if current:
            yield Claim(caption.text[start:end], current)
        start, end, current = left, right, source
    if current:
        yield Claim(caption.text[start:end], current)


def _judged(caption: Said, person: Said, anchor: str, policy: Policy) -> tuple[int, int, list[int]]:
    """(facts, those rightly omitted, places of those lost) of the manual caption."""
    if not caption.comparable(person):
        return 0, 0, []
    own = own_words(anchor, policy)
    facts = [
        place
        for place, known in enumerate(person.meanings)
        if known.kind > Kind.REMARK
        and place not in person.anchors
        and known.key not in own
        and (known.kind == Kind.CONTENT or person.content(place))
    ]
    missing = [
        place
        for place in facts
        if person.meanings[place].key not in caption.says and not caption.covers(person, place)
    ]
    if not missing:
        return _different(person, facts), 0, []
    free = excused(person, missing, anchor, policy)
    lost = person.told([place for place in missing if place not in free])
    facts_left = {person.meanings[place].key for place in lost}
    rightly = {person.meanings[place].key for place in free} - facts_left
    return _different(person, facts), len(rightly), lost


def _different(said: Said, places: Sequence[int]) -> int:
    return len({said.meanings[place].key for place in places})
