"""Which field of a model's schema takes what: shapes as models on Replicate have them."""

from __future__ import annotations

from typing import Any

import pytest

from stages.asking import Asked
from stages.llm import Manner
from stages.predictions.inputs import Inputs
from stages.predictions.output import text_of

FILE = {"type": "string", "format": "uri"}
FILES = {"type": "array", "items": FILE}
TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
TASKS = {"enum": ["Caption", "More Detailed Caption"], "type": "string"}


def inputs(fields: dict[str, Any], needed: tuple[str, ...] = (), **schemas: Any) -> Inputs:
    described = {"type": "object", "properties": fields, "required": [*needed]}
    return Inputs.of({"components": {"schemas": {"Input": described, **schemas}}})


# fields, then those for the picture, the video, the prompt and the instructions
SHAPES: dict[str, tuple[dict[str, Any], tuple[str, str, str, str]]] = {
    "lists of files": (
        {"images": FILES, "videos": FILES, "prompt": TEXT, "system_instruction": TEXT},
        ("images", "videos", "prompt", "system_instruction"),
    ),
    "a list after its prompt": (
        {
            "prompt": TEXT,
            "system_prompt": TEXT,
            "image_input": FILES,
            "messages": {"type": "array"},
        },
        ("image_input", "", "prompt", "system_prompt"),
    ),
    "one field for either": (
        {"media": {**FILE, "description": "Image or video"}, "prompt": TEXT},
        ("media", "media", "prompt", ""),
    ),
    "paths": (
        {"image_path": FILE, "video_path": FILE, "text_prompt": TEXT},
        ("image_path", "video_path", "text_prompt", ""),
    ),
    "a task": (
        {"image": FILE, "task_input": TASKS, "text": TEXT},
        ("image", "", "", ""),
    ),
    "a name of its own": (
        {"camera_shot": FILE, "question": TEXT},
        ("camera_shot", "", "question", ""),
    ),
    "a mask beside it": ({"mask": FILE, "input_image": FILE}, ("input_image", "", "", "")),
    "no file at all, by its type": ({"img": TEXT, "query": TEXT}, ("img", "", "query", "")),
    "sound alone": ({"audio": FILE, "prompt": TEXT}, ("", "", "prompt", "")),
    "videos alone": ({"video": FILE, "prompt": TEXT}, ("", "video", "prompt", "")),
    "one that may be absent": (
        {"image": {"anyOf": [FILE, {"type": "null"}]}, "prompt": {"type": ["string", "null"]}},
        ("image", "", "prompt", ""),
    ),
    "the one that is needed": (
        {"image": FILE, "photo": FILE, "text": TEXT},
        ("photo", "", "text", ""),
    ),
}


@pytest.mark.parametrize(("fields", "found"), SHAPES.values(), ids=SHAPES)
def test_fields_are_found_by_type_and_name(
    fields: dict[str, Any], found: tuple[str, str, str, str]
) -> None:
    made = inputs(fields, needed=("photo",))
    kinds = (made.picture, made.video, made.prompt, made.system)
    assert tuple(one.name if one else "" for one in kinds) == found


def test_a_field_is_what_it_refers_to() -> None:
    size = {"type": "integer", "maximum": 50, "minimum": 10}
    fields = {"image": FILE, "max_tokens": {"allOf": [{"$ref": "#/components/schemas/size"}]}}
    made = inputs(fields, size=size)
    assert made.filled(Asked(""), Manner(512), pictures=["data:"])["max_tokens"] == 50
    assert made.filled(Asked(""), Manner(1), pictures=["data:"])["max_tokens"] == 10


def test_a_schema_that_refers_to_itself_is_read() -> None:
    made = inputs({"image": {"$ref": "#/components/schemas/it"}}, it={"$ref": "#/x/it"})
    assert made.names == ["image"]


def test_a_number_keeps_its_type_and_is_left_out_where_only_others_may_be() -> None:
    only = {"type": "number", "enum": [0.2, 0.9]}
    fields = {"image": FILE, "temperature": {"type": "integer", "maximum": 1}, "top_p": only}
    made = inputs(fields)
    given = made.filled(Asked(""), Manner(9, 0.7, 0.5, 40), pictures=["data:"])
    assert given == {"image": "data:", "temperature": 1}
    assert isinstance(given["temperature"], int)


def test_instructions_and_an_earlier_answer_stand_in_the_prompt_in_their_order() -> None:
    said = Asked("What is it?", "Be brief.", "A wall.", "Say more.")
    given = inputs({"image": FILE, "prompt": TEXT}).filled(said, Manner(9))
    assert given == {"prompt": "Be brief.\n\nWhat is it?\n\nYou wrote: A wall.\n\nSay more."}
    given = inputs({"image": FILE, "prompt": TEXT, "system_prompt": TEXT}).filled(said, Manner(9))
    assert given["system_prompt"] == "Be brief."
    assert given["prompt"].startswith("What is it?")


def test_a_task_is_chosen_by_its_own_name_alone() -> None:
    made = inputs({"image": FILE, "task": TASKS})
    assert made.filled(Asked("Describe it."), Manner(9)) == {}
    asked = Asked("More Detailed Caption")
    assert made.filled(asked, Manner(9)) == {"task": "More Detailed Caption"}


def test_the_length_of_a_list_is_the_schemas_or_ten() -> None:
    for most, end in ((3, {"maxItems": 3}), (10, {}), (10, {"maxItems": 99})):
        made = inputs({"images": {**FILES, **end}, "prompt": TEXT})
        assert made.picture is not None
        assert made.picture.many == most


def test_needed_fields_that_nothing_fills_are_told_but_not_those_with_a_default() -> None:
    fields = {"image": FILE, "prompt": TEXT, "voice": TEXT, "size": {**WHOLE, "default": 3}}
    made = inputs(fields, needed=tuple(fields))
    assert made.unfilled(Manner(9)) == ["voice"]


@pytest.mark.parametrize("output", [None, [], {}, ["a", 3], [["https://x.example/a.txt"]]])
def test_what_holds_no_text_is_told_as_it_came(output: Any) -> None:
    with pytest.raises(ValueError, match="its output is no text: "):
        text_of(output)
