"""Every rule and every example of the two captioning guides, as the cleaner and checker see it."""

from __future__ import annotations

import pytest

from stages.policy import read_policy
from stages.text import CleanOptions, check, clean

NO_OPTIONS = CleanOptions()
CLOTHES = CleanOptions(allow=("clothing",))

CHARACTER = [
    "a closeup shot of annika walking down a street, smiling and looking over her shoulder",
    "a full body shot of annika standing with arms at her sides, looking straight ahead",
    "a medium shot of annika sitting and looking down with a thoughtful expression, three "
    "quarter view",
    "a medium shot of annika sitting and turning to look behind her, hand resting on the chair "
    "back",
    "a full body shot of annika jumping, hair lifting on the upswing, arms raised",
    "a medium shot of annika leaning against a wall, arms crossed with a relaxed expression, three "
    "quarter view",
    "a full body side view of annika running, hair trailing behind with arms pumping",
    "a close up of annika looking directly at the camera with a slight smile, straight on",
    "a full body shot of annika standing in a park, smiling with hands in her pockets",
    "a full body shot of annika standing, relaxed posture, looking straight ahead",
    "a full body shot of annika standing, looking to the right",
    "a full body shot of annika walking forward...",
    "a side view of annika running...",
    "a medium shot of annika sitting...",
    "a closeup shot of annika walking down a street",
    "a portrait shot of annika with a gentle smile, gaze directed slightly upward, hands relaxed "
    "at their sides.",
    "a wide shot of annika stepping into frame and slowing to a stop, then turning their head from "
    "side to side with an observant expression.",
]
STYLE = [
    "a woman sitting at a cafe table with a cup of coffee in illustration style, warm afternoon "
    "light through the window",
    "a mountain landscape with a river in the foreground in illustration style, wide shot, clouds "
    "gathering above the peaks",
    "a cat sleeping on a stack of books in illustration style, close up, soft shadows",
]
MOTION = [
    "a figure demonstrating a fluid walk with steady forward stride, smooth weight transfer from "
    "heel to toe, arms swinging in natural opposition to the legs",
    "a figure showing a fluid walk from the side, even pace with relaxed shoulders, slight lean "
    "forward on each step, head level throughout the movement",
]
OBJECT = [
    "a crystal sword held in two hands at chest height in a medium shot, blade pointing upward, "
    "slight glow reflecting on the holder's face",
    "a crystal sword resting on a stone pedestal in a wide shot, straight on, centered in the "
    "frame",
    "a crystal sword being swung in an arc from right to left in a full body view, from the side, "
    "motion blur along the blade's path",
]
GOOD = [
    *(("character", "annika", caption) for caption in CHARACTER),
    (
        "character",
        "sarah chen",
        "a wide shot of sarah chen sitting at a desk, looking at the camera",
    ),
    *(("style", "illustration style", caption) for caption in STYLE),
    *(("motion", "fluid walk", caption) for caption in MOTION),
    *(("motion", "a fluid walk", caption) for caption in MOTION),
    *(("object", "crystal sword", caption) for caption in OBJECT),
]
WITH_CLOTHES = {
    "a full body shot of annika in a leather jacket and combat boots, standing with arms at her "
    "sides": "leather jacket and combat boots",
    "a medium shot of annika in a leather jacket and combat boots, sitting and looking to the "
    "side": "leather jacket and combat boots",
    "a full body shot of annika in her school uniform, walking forward": "school uniform",
    "a medium shot of annika in the red dress, posing and looking toward the camera": "red dress",
    "a close up of annika in casual clothes, sitting with a relaxed expression": "casual clothes",
}


def _labels(
    caption: str,
    lora_type: str = "character",
    anchor: str = "annika",
    options: CleanOptions = NO_OPTIONS,
) -> list[str]:
    found = check(caption, lora_type=lora_type, anchor=anchor, options=options)
    return [problem.label for problem in found]


def _cleaned(raw: str, lora_type: str = "character", anchor: str = "annika") -> str | None:
    return clean(raw, lora_type=lora_type, anchor=anchor, finish="stop").text


@pytest.mark.parametrize(("lora_type", "anchor", "caption"), GOOD)
def test_a_good_caption_of_the_guides_passes_unchanged(
    lora_type: str, anchor: str, caption: str
) -> None:
    cleaned = clean(caption, lora_type=lora_type, anchor=anchor, finish="stop")
    assert cleaned.text == caption
    assert cleaned.edits == ()
    assert cleaned.problems == ()
    assert check(caption, lora_type=lora_type, anchor=anchor) == []


@pytest.mark.parametrize("caption", WITH_CLOTHES)
def test_clothes_pass_where_they_are_to_be_tagged(caption: str) -> None:
    cleaned = clean(caption, lora_type="character", anchor="annika", options=CLOTHES)
    assert cleaned.text == caption
    assert cleaned.edits == ()
    assert cleaned.problems == ()
    assert _labels(caption, options=CLOTHES) == []


@pytest.mark.parametrize(("caption", "clothes"), WITH_CLOTHES.items())
def test_clothes_are_found_where_they_are_always_worn(caption: str, clothes: str) -> None:
    cleaned = clean(caption, lora_type="character", anchor="annika")
    assert cleaned.text == caption
    assert cleaned.publishable
    assert [(p.label, p.where) for p in cleaned.problems] == [("describes_clothing", clothes)]


def test_the_line_breaks_of_an_example_are_joined() -> None:
    folded = (
        "a portrait shot of annika with a gentle smile, gaze directed slightly upward,\n"
        "hands relaxed at their sides."
    )
    assert _cleaned(folded) == folded.replace("\n", " ")


def test_over_describing_is_found_trait_by_trait() -> None:
    caption = (
        "annika, a young woman with long brown hair and blue eyes wearing a white t-shirt and "
        "jeans, standing in a park with green trees and a blue sky, smiling happily"
    )
    found = check(caption, lora_type="character", anchor="annika")
    assert [(problem.label, problem.where) for problem in found] == [
        ("describes_appearance", "young woman"),
        ("describes_appearance", "long brown hair"),
        ("describes_appearance", "blue eyes"),
        ("describes_clothing", "white t-shirt and jeans"),
        ("describes_background", "green trees"),
        ("describes_background", "blue sky"),
        ("no_camera_framing", ""),
    ]


def test_under_describing_is_not_published() -> None:
    cleaned = clean("annika", lora_type="character", anchor="annika")
    assert [problem.label for problem in cleaned.problems] == ["anchor_only"]
    assert not cleaned.publishable


@pytest.mark.parametrize(
    ("caption", "label", "right"),
    [
        ("Annika walking...", "anchor_variant", "annika walking..."),
        ("the character annika walking...", "anchor_variant", "annika walking..."),
        ("she is walking...", "pronoun_instead_of_anchor", "she is walking..."),
    ],
)
def test_an_inconsistent_anchor_is_found_and_mended_where_it_can_be(
    caption: str, label: str, right: str
) -> None:
    assert label in _labels(caption)
    assert _cleaned(caption) == right


def test_a_pronoun_alone_is_never_published() -> None:
    assert not clean("she is walking...", lora_type="character", anchor="annika").publishable


def test_a_trait_that_should_be_baked_in_is_found() -> None:
    caption = "a full body shot of annika with red hair standing and looking to the right..."
    assert _labels(caption) == ["describes_appearance"]
    assert _labels(caption, options=CleanOptions(allow=("hair",))) == []


@pytest.mark.parametrize("generic", ["girl", "character", "person", "a girl", "The Person"])
def test_an_anchor_that_the_model_knows_as_everything_is_told(generic: str) -> None:
    found = _labels(f"a close up of {generic} waving at the camera", anchor=generic)
    assert "generic_anchor" in found


@pytest.mark.parametrize("anchor", ["annika", "sarah chen", "the red knight"])
def test_a_name_or_a_descriptive_phrase_is_a_good_anchor(anchor: str) -> None:
    assert _labels(f"a close up of {anchor} waving at the camera", anchor=anchor) == []


@pytest.mark.parametrize(
    "caption",
    [
        "annika leaning on a wall in a close up",
        "a close up of annika leaning on a wall",
        "a close up, seen from above: leaning on a wall is annika",
    ],
)
def test_the_anchor_may_stand_anywhere(caption: str) -> None:
    cleaned = clean(caption, lora_type="character", anchor="annika")
    assert (cleaned.text, cleaned.edits, cleaned.problems) == (caption, (), ())


@pytest.mark.parametrize(
    ("caption", "right"),
    [
        ("a medium shot of annika sitting still", "a medium shot of annika sitting still"),
        ("annika a medium shot of annika sitting", "a medium shot of annika sitting"),
        ("Annikas friend waves in a wide shot", "annika's friend waves in a wide shot"),
        ("Caption: annika waves in a wide shot", "annika waves in a wide shot"),
        ("annika Caption: annika waves in a wide shot", "annika waves in a wide shot"),
        ("annika “a wide shot of annika sitting”", "a wide shot of annika sitting"),
        ('"annika" says "hi"', '"annika" says "hi"'),
        ("", None),
    ],
)
def test_what_older_tools_damaged_is_kept_or_mended(caption: str, right: str | None) -> None:
    assert _cleaned(caption) == right


@pytest.mark.parametrize(
    ("caption", "label"),
    [
        ("annika ", "anchor_only"),
        ("annika I'm sorry, but I can't help with that.", "refusal"),
        ("annika I cannot describe this image.", "refusal"),
    ],
)
def test_an_anchor_glued_in_front_of_nothing_is_no_caption(caption: str, label: str) -> None:
    cleaned = clean(caption, lora_type="character", anchor="annika")
    assert [problem.label for problem in cleaned.problems] == [label]
    assert not cleaned.publishable


@pytest.mark.parametrize(
    "caption",
    [
        "a full body shot of annika with red hair lifting on the upswing",
        "a medium shot of annika, hair blowing across her face",
        "a wide shot of annika turning, her cape billowing in the wind",
        "a close up of annika shaking her head, earrings swinging",
        "a full body shot of annika with her skirt swirling as she turns",
    ],
)
def test_hair_and_cloth_in_motion_may_be_told(caption: str) -> None:
    bare = caption.replace("red hair", "hair")
    assert _labels(bare) == []


def test_a_blade_in_motion_may_be_told_and_its_looks_may_not() -> None:
    assert (
        _labels(
            "a crystal sword in a close up, blade slicing through the air",
            "object",
            "crystal sword",
        )
        == []
    )
    found = _labels("a crystal sword in a close up, with a blue blade", "object", "crystal sword")
    assert found == ["describes_object_appearance"]


@pytest.mark.parametrize("place", ["down a street", "in a park", "against a wall", "on a beach"])
def test_a_bare_place_word_may_stand(place: str) -> None:
    assert _labels(f"a wide shot of annika walking {place}") == []


@pytest.mark.parametrize(
    "place",
    ["in front of a lush forest", "with mountains in the background", "in a cluttered room"],
)
def test_more_than_a_bare_place_word_is_background(place: str) -> None:
    assert "describes_background" in _labels(f"a wide shot of annika walking {place}")


@pytest.mark.parametrize("word", ["painting", "illustration", "rendered", "stylized"])
def test_a_word_for_the_style_is_found_outside_the_anchor(word: str) -> None:
    caption = f"a {word} cat asleep in illustration style, close up"
    found = check(caption, lora_type="style", anchor="illustration style")
    assert [(problem.label, problem.where) for problem in found] == [
        ("describes_style_words", word)
    ]


def test_people_and_their_clothes_may_be_described_for_a_style() -> None:
    caption = "a blonde woman in a red dress under tall trees in illustration style, wide shot"
    assert _labels(caption, "style", "illustration style") == []


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("a woman with long hair in a fluid walk, arms swinging", "describes_appearance"),
        ("a figure in a red dress in a fluid walk, arms swinging", "describes_clothing"),
        ("a figure in a fluid walk in a snowy forest, arms swinging", "describes_background"),
    ],
)
def test_who_and_where_are_found_in_a_caption_of_motion(words: str, label: str) -> None:
    assert label in _labels(words, "motion", "fluid walk")


@pytest.mark.parametrize(
    ("lora_type", "anchor", "one", "most"),
    [
        ("character", "annika", "a close up of annika waving.", 3),
        ("style", "illustration style", "two cats at play in illustration style.", 3),
        ("motion", "fluid walk", "a figure in a fluid walk, arms swinging.", 4),
        ("object", "crystal sword", "a crystal sword on a table in a close up.", 2),
    ],
)
def test_a_type_has_its_own_number_of_sentences(
    lora_type: str, anchor: str, one: str, most: int
) -> None:
    more = [" Then it turns left.", " Then it turns right.", " Then it stops.", " Then it ends."]
    assert _labels(one + "".join(more[: most - 1]), lora_type, anchor) == []
    assert _labels(one + "".join(more[:most]), lora_type, anchor) == ["too_long"]
    assert read_policy(lora_type).sentences[1] == most


@pytest.mark.parametrize(
    ("lora_type", "anchor", "caption"),
    [
        ("character", "annika", "annika walking down a street and smiling"),
        ("object", "crystal sword", "a crystal sword resting on a stone pedestal"),
    ],
)
def test_a_caption_without_camera_framing_is_told(
    lora_type: str, anchor: str, caption: str
) -> None:
    assert _labels(caption, lora_type, anchor) == ["no_camera_framing"]


@pytest.mark.parametrize(
    ("lora_type", "anchor", "caption"),
    [
        ("style", "illustration style", "an old tram turning a corner in illustration style"),
        ("motion", "fluid walk", "a figure in a fluid walk, then a short pause"),
    ],
)
def test_framing_is_not_asked_for_where_the_guide_does_not_ask(
    lora_type: str, anchor: str, caption: str
) -> None:
    assert _labels(caption, lora_type, anchor) == []


@pytest.mark.parametrize("looks", ["shiny", "blue", "ornate", "jagged"])
def test_looks_of_the_object_are_found(looks: str) -> None:
    caption = f"a {looks} crystal sword on a table in a close up"
    found = _labels(caption, "object", "crystal sword")
    assert found == ["describes_object_appearance"]


@pytest.mark.parametrize(
    "place", ["{CHARACTER_NAME}", "{STYLE_NAME}", "{MOTION_NAME}", "{OBJECT_NAME}"]
)
def test_the_places_in_the_guides_rules_are_filled(place: str) -> None:
    caption = f"a close up of {place} waving"
    assert _cleaned(caption) == "a close up of annika waving"
    assert "placeholder" in _labels(caption)


@pytest.mark.parametrize(
    ("lora_type", "anchor", "missing", "right"),
    [
        (
            "character",
            "annika",
            "a medium shot of a man sitting",
            "a medium shot of annika sitting",
        ),
        (
            "character",
            "annika",
            "a close up of the man's shoulders",
            "a close up of annika's shoulders",
        ),
        (
            "style",
            "illustration style",
            "a cat on a stack of books, close up",
            "a cat on a stack of books in illustration style, close up",
        ),
        (
            "object",
            "crystal sword",
            "a sword in a hand in a close up",
            "a crystal sword in a hand in a close up",
        ),
    ],
)
def test_a_missing_anchor_is_put_where_a_trainer_would_put_it(
    lora_type: str, anchor: str, missing: str, right: str
) -> None:
    assert _cleaned(missing, lora_type, anchor) == right


@pytest.mark.parametrize(
    ("lora_type", "anchor", "missing"),
    [
        ("character", "annika", "two women sitting in a medium shot"),
        ("character", "annika", "a medium shot of her sitting on a chair"),
        ("character", "annika", "a tall boy with red hair in a medium shot"),
        ("style", "illustration style", "a cat on a wall in a drawn style, close up"),
        ("object", "crystal sword", "it rests on a pedestal in a wide shot"),
        ("motion", "fluid walk", "a figure walks to the left, arms swinging"),
    ],
)
def test_a_missing_anchor_is_listed_where_no_place_is_safe(
    lora_type: str, anchor: str, missing: str
) -> None:
    cleaned = clean(missing, lora_type=lora_type, anchor=anchor)
    assert cleaned.text == missing
    assert "missing_anchor" in [problem.label for problem in cleaned.problems]
    assert not cleaned.publishable
