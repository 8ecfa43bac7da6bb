"""What a client may set of a job, as JSON Schema: the flags of a run that say what captions are to
be. None names files, servers or models, costs more than one answer a file, or runs code."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from enhance.flags import LISTED, SECTIONS, spell

_MAY = {
    "policy": (
        *("lora_type", "anchor", "allow", "never", "tag_clothing", "max_sentences"),
        "target_tokens",
    ),
    "generate": (
        *("generate", "prompt", "caption_type", "caption_length", "extra_options", "name_input"),
        *("temperature", "top_p", "top_k", "max_new_tokens", "background"),
        *("frames", "fps", "source_fps", "target_frames", "target_fps"),
    ),
    "merge": ("merge", "merge_temperature", "max_tokens", "repair"),
    "load": ("only", "recursive", "skip_captioned", "limit"),
    "cache": ("overwrite",),
    "run": ("until",),
}
# So much one client may have at once.
LONGEST = 100_000  # characters of a text in a request
MOST_TOKENS = 4096
_MOST = {"max_new_tokens": MOST_TOKENS, "max_tokens": MOST_TOKENS, "frames": 256}
_LARGEST, _LIST = 1_000_000, 1000
_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string"}
_SAID = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "array": "a list of texts",
}
# Switches are offered by the opposite of what they do.
_HELP = {
    "generate": "false: draft nothing, merge the manual captions alone",
    "merge": "false: the captioner writes the caption itself",
    "repair": "false: do not ask a second time when an answer breaks the rules",
    "recursive": "false: do not look into subfolders",
    "prompt": "what the captioner is asked (default: as the LoRA type needs it)",
}


def spelled(name: str, value: Any) -> list[str]:
    """A setting as flags. Raises ValueError for a value that is not as its schema says; what else
    is wrong with one, the parser of the flags knows."""
    schema = SETTINGS[name]
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as JSON has it, 1.0 is a whole number
    kinds = schema["type"]
    if isinstance(value, bool):
        good = "boolean" in kinds
    elif isinstance(value, list):
        good = "array" in kinds and len(value) <= _LIST and all(map(_is_text, value))
        # Such a text would be read as another flag.
        good = good and (name in LISTED or not any(one.startswith("-") for one in value))
    elif isinstance(value, (int, float)):
        whole = isinstance(value, int) and "integer" in kinds
        bounds = schema.get("minimum", 0), schema.get("maximum", _LARGEST)
        good = (whole or "number" in kinds) and bounds[0] <= value <= bounds[1]
    else:
        good = "string" in kinds and _is_text(value)
    if not good:
        raise ValueError(f"{name} must be {_wanted(schema)}")
    return spell(name, value)


def _wanted(schema: Mapping[str, Any]) -> str:
    """As in "a whole number from 0 to 256"."""
    said = " or ".join(_SAID[kind] for kind in schema["type"] if kind != "null")
    if "maximum" in schema:
        said += f" from {schema.get('minimum', 0):g} to {schema['maximum']:.0f}"
    return said


def _is_text(value: object) -> bool:
    """No half of a character, which no file could hold."""
    if not isinstance(value, str) or len(value) > LONGEST or "\0" in value:
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _schemas() -> dict[str, dict[str, Any]]:
    schemas: dict[str, dict[str, Any]] = {}
    for section, names in _MAY.items():
        options = SECTIONS[section]
        hints = typing.get_type_hints(options)
        by_name = {option.name: option for option in fields(options)}
        for name in names:
            schemas[name] = _schema(by_name[name], hints[name])
    return schemas


def _schema(option: Any, hint: Any) -> dict[str, Any]:
    metadata = option.metadata
    listed = option.name in LISTED or hint == tuple[str, ...]
    hints = typing.get_args(hint) if not listed and typing.get_args(hint) else (hint,)
    kinds = ["array"] if listed else [_KINDS[one] for one in hints if one in _KINDS]
    schema: dict[str, Any] = {"type": [*kinds, "null"]}
    text = _HELP.get(option.name, metadata["help"])
    schema["description"] = f"{' or '.join(_SAID[kind] for kind in kinds)}: {text}"
    choices = list(metadata.get("choices", ()))
    if listed:
        schema["items"] = {"type": "string", **({"enum": choices} if choices else {})}
    elif choices:
        schema["enum"] = [*choices, None]
    for name, key in (("least", "minimum"), ("most", "maximum")):
        if name in metadata:
            schema[key] = metadata[name]
    if not {"integer", "number"}.isdisjoint(kinds):
        schema["maximum"] = _MOST.get(option.name, schema.get("maximum", _LARGEST))
    return schema


SETTINGS = _schemas()
