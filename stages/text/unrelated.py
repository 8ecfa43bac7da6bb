"""Whether an answer is about something else: some servers restore another request's context."""

from __future__ import annotations

from functools import lru_cache

from stages.text.said import Said, read
from stages.text.stems import Kind, synonyms
from stages.wordlists import read_words

_FEWEST = 3  # words of content on both sides: below it nothing can be told
_SHARED = 0.25  # of the fewer: an honest paraphrase shares more, and twice that with common words


def unrelated(merged: str, *, manual: str, draft: str, anchor: str) -> bool:
    """True if a merged caption has next to no content in common with its own two sources.

    Framing and the anchor do not count: all captions of a set share them. No verdict (False) on
    texts of a few words, or in different languages.
    """
    caption, person, model = read(merged, manual, draft, anchor)
    told = _told(caption)
    sources = [one for one in (person, model) if one.meanings]
    if len(told) < _FEWEST or not all(map(caption.comparable, sources)):
        return False
    known = {key for source in sources for key in _told(source)}
    if len(known) < _FEWEST:
        return False
    shared = [
        key
        for key, place in told.items()
        if any(source.covers(caption, place) for source in sources)
    ]
    telling = sum(key not in synonyms().common for key in shared)
    fewer = min(len(told), len(known))
    return telling < _SHARED * fewer and len(shared) < 2 * _SHARED * fewer


def _told(text: Said) -> dict[str, int]:
    """Words of content besides the anchor and framing: each key with a place."""
    framing = _framing()
    return {
        known.key: place
        for place, known in enumerate(text.meanings)
        if known.kind > Kind.REMARK
        and place not in text.anchors
        and known.key not in framing
        and text.content(place)
    }


@lru_cache(maxsize=1)
def _framing() -> frozenset[str]:
    """Keys of the words that any caption may hold, whatever it shows."""
    phrases = (*read_words().framing, "camera", "look", "person", "woman", "man", "side", "front")
    keys = {known.key for phrase in phrases for known in Said(phrase).meanings}
    return frozenset(keys) | {key for asked in synonyms().asked.values() for key in asked}
