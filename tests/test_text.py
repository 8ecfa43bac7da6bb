"""Cleaning: what models wrap around captions goes, good captions stay, non-captions are told."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.text import check, clean

# Captions that are right as they are.
GOOD = [
    ("character", "annika", "a closeup shot of annika walking down a street, smiling"),
    ("character", "annika", "a medium shot of annika's hand on the rail, straight on"),
    ("character", "sarah chen", "a wide shot of sarah chen at a desk. she looks at the camera"),
    ("character", "the red knight", "a full body shot of the red knight drawing a sword"),
    ("character", "ann", "ann planning a picnic, seen from above"),
    ("character", "annika", "“wait,” says annika, holding up one hand, medium shot"),
    ("character", "annika", "annika mouthing sorry to someone off camera in a close up"),
    ("character", "花子", "花子が走る、全身"),
    ("style", "illustration style", "a cat on a stack of books in illustration style, close up"),
    ("motion", "fluid walk", "a figure in a fluid walk, arms swinging in opposition to the legs"),
    ("object", "crystal sword", "a crystal sword on a stone pedestal in a wide shot, straight on"),
    ("object", "crystal sword", "a crystal sword beside a family 👨‍👩‍👧 portrait, close up"),
]


@pytest.mark.parametrize(("lora_type", "anchor", "caption"), GOOD)
def test_a_good_caption_comes_back_byte_for_byte(lora_type: str, anchor: str, caption: str) -> None:
    cleaned = clean(caption, lora_type=lora_type, anchor=anchor, finish="stop")
    assert cleaned.text == caption
    assert cleaned.edits == ()
    assert not any(problem.blocking for problem in cleaned.problems)


DIRTY = [
    ("<think>who is she?</think>annika waving", "annika waving"),
    ("who is she?</think>\nannika waving", "annika waving"),
    ("<|channel|>analysis<|message|>hm<|channel|>final<|message|>annika waving", "annika waving"),
    ("</s><s>annika waving</s><pad><pad>", "annika waving"),
    ("<answer>annika waving</answer>", "annika waving"),
    ("```text\nannika waving\n```", "annika waving"),
    ('{"caption": "annika waving"}', "annika waving"),
    ("{'caption': 'annika waving'}", "annika waving"),
    ("Caption: annika waving", "annika waving"),
    ("**Final caption:** annika waving", "annika waving"),
    ("Sure! Here is the combined caption:\n\nannika waving", "annika waving"),
    ("Here's a caption for the picture: annika waving", "annika waving"),
    ("annika waving\n\nLet me know if you want it shorter!", "annika waving"),
    ("annika waving\n\n(Note: I left out the background.)", "annika waving"),
    ('"annika waving"', "annika waving"),
    ("“annika waving”", "annika waving"),
    ("「annika waving」", "annika waving"),
    ("**annika** waving", "annika waving"),
    ("The image shows a photo of annika waving", "a photo of annika waving"),
    ("This is a photograph of two dogs and annika", "two dogs and annika"),
    ("Annika waving, ANNIKA smiling", "annika waving, annika smiling"),
    ("a medium shot of Annika’s hand", "a medium shot of annika’s hand"),
    ("the character annika waving", "annika waving"),
    ("a annika waving", "annika waving"),
    ("annika annika waving", "annika waving"),
    ("[trigger] waving", "annika waving"),
    ("{CHARACTER_NAME} waving", "annika waving"),
    ("annika\u00a0waving\u200b in the caf\u00c3\u00a9", "annika waving in the café"),
    ("annika waving\nat the camera\r\n", "annika waving at the camera"),
    ("\ufeffannika &amp; a dog", "annika & a dog"),
    ('<think>x</think>\n**Caption:** "Annika waving"\n\nNote: short.', "annika waving"),
]


@pytest.mark.parametrize(("raw", "caption"), DIRTY)
def test_what_is_wrapped_around_a_caption_is_taken_off(raw: str, caption: str) -> None:
    cleaned = clean(raw, lora_type="character", anchor="annika", finish="stop")
    assert cleaned.text == caption
    assert cleaned.edits
    assert cleaned.publishable


@pytest.mark.parametrize(
    ("raw", "finish", "label"),
    [
        ("", "stop", "empty"),
        (" \n ", "stop", "empty"),
        ("<think>annika waving", "stop", "empty"),
        ("</s><pad>", "stop", "empty"),
        ("I'm sorry, but I can't help with that.", "stop", "refusal"),
        ("I’m unable to view images, annika", "stop", "refusal"),
        ("I cannot describe this image of annika", "stop", "refusal"),
        ("As an AI language model, annika", "stop", "refusal"),
        ("Unfortunately, I can't see annika", "stop", "refusal"),
        ("I don't see an image of annika", "stop", "refusal"),
        ("annika waving at the", "length", "truncated"),
        ("annika waving", "content_filter", "refusal"),
    ],
)
def test_what_is_no_caption_yields_no_text(raw: str, finish: str, label: str) -> None:
    cleaned = clean(raw, lora_type="character", anchor="annika", finish=finish)
    assert cleaned.text is None
    assert [problem.label for problem in cleaned.problems] == [label]


@pytest.mark.parametrize(
    ("caption", "label"),
    [
        ("a tall girl waving", "missing_anchor"),
        ("planning", "missing_anchor"),
        ("ann", "anchor_only"),
    ],
)
def test_a_caption_without_use_for_the_anchor_is_kept_from_publishing(
    caption: str, label: str
) -> None:
    cleaned = clean(caption, lora_type="character", anchor="ann")
    assert cleaned.text == caption
    assert not cleaned.publishable
    assert cleaned.problems[0].label == label


def test_no_anchor_is_missed_when_none_is_wanted() -> None:
    cleaned = clean("a woman waving in a wide shot", lora_type="character", anchor="")
    assert cleaned.text == "a woman waving in a wide shot"
    assert cleaned.problems == ()


def test_style_words_are_found_but_not_in_the_anchor() -> None:
    found = check(
        "a painting of a cat in illustration style", lora_type="style", anchor="illustration style"
    )
    assert [(problem.label, problem.where) for problem in found] == [
        ("describes_style_words", "painting")
    ]


def test_too_many_sentences_are_counted_by_a_library_that_knows_abbreviations() -> None:
    long = "A close up of annika. She waves. She smiles. She leaves."
    assert [p.label for p in check(long, lora_type="character", anchor="annika")] == ["too_long"]
    short = "A close up of annika at 10 a.m. with a 2.5 m pole, e.g. for a jump. She waves."
    assert check(short, lora_type="character", anchor="annika") == []


LAYERS = st.sampled_from(
    [
        *("<think>", "</think>", "**", '"', "“", "”", "Caption: ", "\n\n", "```", "{", "}"),
        *("annika", "Annika", "the character ", "a ", ", ", "Sure! ", "The image shows ", "&amp;"),
        *("</s>", "<|im_end|>", "[trigger]", "'", "’s", ". ", "é", "Ã©", "\u200b", "\u200d", "花"),
    ]
)
ANYTHING = st.one_of(
    st.text(st.characters(codec=None), max_size=200),
    st.lists(LAYERS, max_size=12).map("".join),
)


@settings(max_examples=1500, deadline=None)
@given(raw=ANYTHING, lora_type=st.sampled_from(["character", "style", "motion", "object"]))
@example(raw="\ud800", lora_type="character")
@example(raw="[" * 5000, lora_type="character")
def test_cleaning_twice_is_cleaning_once_and_no_input_raises(raw: str, lora_type: str) -> None:
    once = clean(raw, lora_type=lora_type, anchor="annika")
    if once.text is not None:
        again = clean(once.text, lora_type=lora_type, anchor="annika")
        assert again.text == once.text
        assert again.problems == once.problems
        assert "\n" not in once.text
        assert once.text == once.text.strip() != ""
        once.text.encode("utf-8")
