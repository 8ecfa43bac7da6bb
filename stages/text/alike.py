"""Captions that are the same, or the same but for one word: in time linear in their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

# Below it two captions that differ in one word differ in much.
_FEWEST = 5  # words

_MOST = 500  # words; a longer one is compared as a whole: leaving out each word takes its square
_ODD = 0x9E3779B97F4A7C15  # parts the numbers of two places

Words = tuple[str, ...]


def near_identical(captions: Sequence[Words]) -> list[list[int]]:
    """Groups of places in `captions` (each as its words), two or more, each with a neighbour that
    equals it or has one word more, less or changed; in the order of their first."""
    first: dict[Words, int] = {}
    groups = _Groups(len(captions))
    for place, caption in enumerate(captions):
        groups.join(first.setdefault(caption, place), place)
    places = {hash(caption): place for caption, place in first.items()}
    changed: dict[int, int] = {}
    for caption in _suspects(first):
        place = first[caption]
        for left_out in range(len(caption)):
            # 64 bits: no accident is to be expected among millions of captions.
            rest = hash(caption[:left_out] + caption[left_out + 1 :])
            if len(caption) > _FEWEST and rest in places:
                groups.join(places[rest], place)
            other = changed.setdefault(rest + left_out * _ODD, place)
            if other != place:
                groups.join(other, place)
    return groups.several(range(len(captions)))


def _suspects(captions: Iterable[Words]) -> list[Words]:
    """Those that may have a neighbour: two that differ in one place share a half, counted by the
    length of the shorter. Leaving out each word in turn is only worth it for these."""
    listed = [caption for caption in captions if _FEWEST <= len(caption) <= _MOST]
    counts = Counter(key for caption in listed for key in set(_halves(caption)))
    return [caption for caption in listed if any(counts[key] > 1 for key in _halves(caption))]


def _halves(caption: Words) -> Iterable[int]:
    for length in (len(caption), len(caption) - 1):
        half = length // 2
        yield hash((length, "first", caption[:half]))
        yield hash((length, "last", caption[len(caption) - (length - half) :]))


class _Groups:
    """Places that belong together, directly or by others."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def join(self, one: int, other: int) -> None:
        one, other = self._root(one), self._root(other)
        self._parents[max(one, other)] = min(one, other)

    def several(self, places: Iterable[int]) -> list[list[int]]:
        groups: dict[int, list[int]] = {}
        for place in places:
            groups.setdefault(self._root(place), []).append(place)
        return [group for group in groups.values() if len(group) > 1]

    def _root(self, place: int) -> int:
        while self._parents[place] != place:
            self._parents[place] = self._parents[self._parents[place]]
            place = self._parents[place]
        return place
