"""Dirty texts, each with the exact caption in it or the reason it is listed."""

from __future__ import annotations

import pytest
from dirty_texts import LISTED, MENDED, NOTED, Dirty
from good_captions import GOOD, UNTOLD

from stages.text import Cleaned, check, clean


def _clean(dirty: Dirty) -> Cleaned:
    return clean(dirty.raw, lora_type=dirty.lora_type, anchor=dirty.anchor, finish=dirty.finish)


@pytest.mark.parametrize("dirty", MENDED, ids=lambda dirty: ascii(dirty.raw[:60]))
def test_the_caption_in_a_dirty_text_comes_out_exactly(dirty: Dirty) -> None:
    cleaned = _clean(dirty)
    assert cleaned.text == dirty.caption
    assert cleaned.publishable


@pytest.mark.parametrize("dirty", LISTED, ids=lambda dirty: ascii(dirty.raw[:60]))
def test_what_holds_no_caption_is_listed_with_its_reason(dirty: Dirty) -> None:
    cleaned = _clean(dirty)
    assert not cleaned.publishable
    assert dirty.label in [problem.label for problem in cleaned.problems if problem.blocking]


@pytest.mark.parametrize("dirty", NOTED, ids=lambda dirty: ascii(dirty.raw[:60]))
def test_what_is_wrong_within_a_clause_is_told_and_left(dirty: Dirty) -> None:
    cleaned = _clean(dirty)
    assert cleaned.text == dirty.raw
    assert cleaned.publishable
    assert dirty.label in [problem.label for problem in cleaned.problems]


def test_there_are_more_than_two_hundred_dirty_texts_and_no_two_alike() -> None:
    every = [*MENDED, *LISTED, *NOTED]
    assert len(every) == len(set(every)) > 220


@pytest.mark.parametrize(("lora_type", "anchor", "caption"), GOOD)
@pytest.mark.parametrize("finish", ["stop", None])
def test_a_good_caption_that_looks_dirty_comes_back_byte_for_byte(
    lora_type: str, anchor: str, caption: str, finish: str | None
) -> None:
    cleaned = clean(caption, lora_type=lora_type, anchor=anchor, finish=finish)
    assert cleaned.text == caption
    assert cleaned.edits == ()
    assert cleaned.publishable
    found = {problem.label for problem in check(caption, lora_type=lora_type, anchor=anchor)}
    assert not found & {"preamble", "unclean", "anchor_variant", "placeholder"}


@pytest.mark.parametrize(("lora_type", "anchor", "caption"), UNTOLD)
def test_of_what_binds_nothing_to_the_anchor_nothing_is_told(
    lora_type: str, anchor: str, caption: str
) -> None:
    assert check(caption, lora_type=lora_type, anchor=anchor) == []
    assert clean(caption, lora_type=lora_type, anchor=anchor).problems == ()
