"""What JoyCaption is asked: types, lengths, options, names, the styles of the older service."""

from __future__ import annotations

import re

import pytest

from stages.captioners import family_named
from stages.joy import Wish, builder
from stages.policy import Options, policy_of
from stages.sample import Fatal

TYPES = (
    "Descriptive",
    "Descriptive (Casual)",
    "Straightforward",
    "Stable Diffusion Prompt",
    "MidJourney",
    "Danbooru tag list",
    "e621 tag list",
    "Rule34 tag list",
    "Booru-like tag list",
    "Art Critic",
    "Product Listing",
    "Social Media Post",
)
STYLES = ("descriptive", "casual", "detailed", "straightforward", "stable_diffusion", "booru")


def prompt(lora_type: str = "style", **wish: object) -> str:
    policy = policy_of(Options(lora_type=lora_type))
    return family_named("joycaption").prompt(policy, Wish(**wish))  # type: ignore[arg-type]


def test_it_knows_twelve_types_and_the_six_styles_of_the_older_service() -> None:
    assert tuple(builder().types) == TYPES
    assert tuple(builder().styles) == STYLES
    assert len(builder().options) == 27


@pytest.mark.parametrize("name", [*TYPES, *STYLES])
def test_every_type_and_style_is_taken_in_any_case_and_spelling(name: str) -> None:
    said = prompt(caption_type=name)
    assert said == prompt(caption_type=name.upper().replace(" ", "_"))
    assert not re.search(r"[{}]", said)


@pytest.mark.parametrize("name", TYPES)
def test_a_number_is_a_count_of_words_and_a_word_is_a_length(name: str) -> None:
    by_count, by_word = (
        prompt(caption_type=name, length="60"),
        prompt(caption_type=name, length="Very short"),
    )
    assert "60 words" in by_count
    assert "very short" in by_word
    assert "60" not in prompt(caption_type=name, length="any")


def test_options_follow_the_type_in_their_order_and_replace_those_of_training() -> None:
    said = prompt(options=("no_mood", "lighting"))
    sentences = builder().options
    assert said.endswith(f"{sentences['no_mood']} {sentences['lighting']}")
    assert sentences["no_meta"] not in said


def test_a_sentence_of_the_users_own_is_an_option_and_its_braces_stay() -> None:
    assert prompt(options=("Tell what {it} holds in {0}.",)).endswith(
        "Tell what {it} holds in {0}."
    )


def test_a_name_is_told_and_may_hold_braces() -> None:
    assert "call them Anna {0}." in prompt(name="Anna {0}")
    assert prompt(options=("name",), name="Anna").count("Anna") == 1


def test_a_name_option_without_a_name_is_refused() -> None:
    with pytest.raises(Fatal, match="--name_input"):
        prompt(options=("name",))


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        ({"caption_type": "Haiku"}, "Social Media Post"),
        ({"length": "gigantic"}, "medium-length"),
        ({"length": "0"}, "medium-length"),
        ({"options": ("lightning",)}, "lighting"),
    ],
)
def test_what_is_no_type_length_or_option_is_refused_with_those_that_are(
    wish: dict[str, object], named: str
) -> None:
    with pytest.raises(Fatal, match=named):
        prompt(**wish)


def test_the_default_tells_shot_and_vantage_but_no_mood_and_no_phrases_about_the_image() -> None:
    sentences = builder().options
    for lora_type in ("character", "style", "object", "motion"):
        said = prompt(lora_type)
        for option in ("shot_size", "vantage", "no_mood", "no_meta"):
            assert sentences[option] in said


def test_what_a_character_cannot_change_is_left_out_and_of_other_types_is_not() -> None:
    hidden = builder().options["no_unchangeable"]
    assert hidden in prompt("character")
    assert hidden not in prompt("style")


def test_florence_takes_no_wishes() -> None:
    with pytest.raises(Fatal, match="florence2"):
        family_named("florence2").prompt(policy_of(Options()), Wish(caption_type="Descriptive"))


def test_other_models_are_asked_by_the_policy_and_take_wishes_too() -> None:
    policy = policy_of(Options(lora_type="character"))
    for name in ("janus", "image_text"):
        said = family_named(name).prompt(policy, Wish())
        assert all(item in said for item in policy.describe)
        assert "shot size" in said
        assert "MidJourney" in family_named(name).prompt(policy, Wish(caption_type="midjourney"))
