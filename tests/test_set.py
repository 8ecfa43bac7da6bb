"""What is found across captions, held against the plain definition of it."""

from __future__ import annotations

import time
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from stages.text.alike import near_identical
from stages.text.corpus import Entry, look_over

CAPTIONS = st.lists(st.lists(st.sampled_from("abc"), max_size=8).map(tuple), max_size=12)


def alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Equal, or of five words or more and one word changed, more or less."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(short) < 5:
        return False
    without = [long[:place] + long[place + 1 :] for place in range(len(long))]
    if len(short) < len(long):
        return short in without
    return any(short[:place] + short[place + 1 :] == without[place] for place in range(len(long)))


@settings(max_examples=300, deadline=None)
@given(CAPTIONS)
def test_captions_are_grouped_as_if_each_were_held_against_each(
    captions: list[tuple[str, ...]],
) -> None:
    groups = [{place} for place in range(len(captions))]
    for one, other in combinations(range(len(captions)), 2):
        if alike(captions[one], captions[other]):
            joined = groups[one] | groups[other]
            for place in joined:
                groups[place] = joined
    expected = {tuple(sorted(group)) for group in groups if len(group) > 1}
    assert {tuple(group) for group in near_identical(captions)} == expected


def test_the_longest_common_phrase_is_told_and_not_its_parts() -> None:
    acts = ["reading", "running", "jumping", "sleeping", "singing", "dancing"]
    entries = [Entry(act, f"annika {act}, wearing the old king's heavy crown") for act in acts]
    phrases = [
        finding.where
        for finding in look_over(entries, "annika").findings
        if finding.label == "common_phrase"
    ]
    assert phrases == ["wearing the old king's heavy crown"]


def test_a_set_that_differs_little_and_has_much_to_say_takes_seconds() -> None:
    words = " ".join(f"word{number}" for number in range(60))
    entries = [Entry(str(number), f"annika {number} {words}") for number in range(10_000)]
    entries.append(Entry("long", "{a} " * 100_000))
    began = time.monotonic()
    corpus = look_over(entries, "annika")
    assert time.monotonic() - began < 60
    assert {finding.label for finding in corpus.findings} == {"common_phrase", "near_identical"}
