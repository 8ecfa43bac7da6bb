"""The input fields of a model, as its own OpenAPI schema describes them.

Every model names them otherwise, and a service may drop an unknown one without a word: the model
then describes a picture that it never got. So what goes where is read from the schema, and nothing
is sent that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stages.asking import Asked
from stages.llm import Manner

_MOST = 10  # files in a list whose schema sets no end: what the vendor's own models take
_PICTURES = (
    *("image", "images", "img", "imgs", "input_image", "input_images", "image_input"),
    *("image_inputs", "image_url", "image_urls", "image_file", "image_path", "picture"),
    *("pictures", "photo", "photos"),
)
_EITHER = ("media", "medias", "input_media", "file", "files", "input_file", "input")
_VIDEOS = ("video", "videos", "input_video", "input_videos", "video_input", "video_url")
_PROMPTS = (
    *("prompt", "text", "question", "instruction", "instructions", "query", "message"),
    *("user_prompt", "text_prompt", "input_text", "prompts"),
)
_SYSTEMS = ("system_prompt", "system_instruction", "system_instructions", "system_message")
_LIMITS = (
    *("max_new_tokens", "max_tokens", "max_output_tokens", "max_completion_tokens"),
    *("max_length", "max_tokens_to_sample"),
)
_TASKS = ("task", "task_input")
# Files that are no picture to be described, whatever else their names hold.
_OTHER: tuple[str, ...] = (
    "mask",
    "audio",
    "voice",
    "sound",
    "speech",
    "song",
    "weights",
    "lora",
    "control",
)
_OTHER += ("style", "reference", "pdf", "document", "checkpoint")
_SAMPLING = ("temperature", "top_p", "top_k")


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a model."""

    name: str
    kind: str = ""  # "string", "integer", "number", "boolean", "array"; "": it does not say
    file: bool = False  # or a list of files
    many: int = 1  # values that it takes at most
    needed: bool = False
    least: float | None = None
    most: float | None = None
    choices: tuple[Any, ...] = ()
    about: str = ""

    def number(self, value: float) -> int | float | None:
        """The value as near as it may be; None if it may not be like that at all."""
        if self.most is not None:
            value = min(value, self.most)
        if self.least is not None:
            value = max(value, self.least)
        fit = round(value) if self.kind == "integer" else value
        return None if self.choices and fit not in self.choices else fit


class Inputs:
    """What one model takes."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = {field.name: field for field in fields}

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Inputs:
        """Of a version's OpenAPI schema; without fields if it describes none."""
        schemas = (schema.get("components") or {}).get("schemas") or {}
        described = _whole(schemas.get("Input") or {}, schemas)
        needed = described.get("required") or ()
        fields = [
            (rules.get("x-order", 1000), _field(name, rules, name in needed, schemas))
            for name, rules in (described.get("properties") or {}).items()
        ]
        return cls([field for _, field in sorted(fields, key=lambda one: one[0])])

    @property
    def names(self) -> list[str]:
        """In the order in which the model's page shows them."""
        return [*self._fields]

    @cached_property
    def picture(self) -> Field | None:
        """Where a picture goes: a field with such a name, else the only file it could be."""
        files = self._files
        named = _first(files, (*_PICTURES, *_EITHER))
        named = named or [one for one in files if "image" in one.name or "img" in one.name]
        named = named or ([one for one in files if one is not self._film] if len(files) < 2 else [])
        return next(iter(sorted(named, key=lambda one: not one.needed)), None)

    @cached_property
    def video(self) -> Field | None:
        """Where a whole video goes; where pictures go too if that says so."""
        either = self.picture
        if self._film or either is None or either.name not in _EITHER:
            return self._film
        return either if "video" in either.about.lower() else None

    @cached_property
    def prompt(self) -> Field | None:
        """None also for a model that is told one of its tasks, and reads no instruction."""
        if self.task:
            return None
        texts = [one for one in self._fields.values() if _is_text(one)]
        return next(iter(_first(texts, _PROMPTS)), None)

    @cached_property
    def task(self) -> Field | None:
        chosen = [one for one in self._fields.values() if one.choices]
        return next(iter(_first(chosen, _TASKS)), None)

    @cached_property
    def system(self) -> Field | None:
        texts = [one for one in self._fields.values() if _is_text(one)]
        return next(iter(_first(texts, _SYSTEMS)), None)

    @cached_property
    def limit(self) -> Field | None:
        return next(iter(_first(self._fields.values(), _LIMITS)), None)

    def unfilled(self, manner: Manner) -> list[str]:
        """Fields that the model needs and that nothing here fills."""
        ours = (self.picture, self.prompt, self.limit)
        known = {field.name for field in ours if field}
        known |= {name for name in _SAMPLING if getattr(manner, name) is not None}
        return [one.name for one in self._fields.values() if one.needed and one.name not in known]

    def filled(
        self,
        said: Asked,
        manner: Manner,
        *,
        pictures: Sequence[str] = (),
        film: str = "",
        fps: float = 0.0,
    ) -> dict[str, Any]:
        """The input of one prediction; `pictures` and `film` are addresses."""
        made: dict[str, Any] = {}
        if pictures and self.picture:
            made[self.picture.name] = _given(self.picture, pictures)
        if film and self.video:
            made[self.video.name] = _given(self.video, (film,))
            self._number(made, "fps", fps)
        system = said.system
        if system and self.system and self.prompt:
            made[self.system.name], system = system, ""
        before = f"You wrote: {said.answer}" if said.answer else ""
        asked = "\n\n".join(filter(None, (system, said.prompt, before, said.reply)))
        if self.prompt:
            made[self.prompt.name] = _given(self.prompt, (asked,))
        elif self.task and said.prompt in self.task.choices:
            made[self.task.name] = said.prompt
        if self.limit:
            self._number(made, self.limit.name, manner.max_tokens)
        for name in _SAMPLING:
            self._number(made, name, getattr(manner, name))
        effort = self._fields.get("reasoning_effort")
        if effort and manner.reasoning_effort in effort.choices:
            made[effort.name] = manner.reasoning_effort
        return made

    def _number(self, made: dict[str, Any], name: str, wished: float | None) -> None:
        field = self._fields.get(name)
        if field and wished is not None and field.kind in ("integer", "number", ""):
            value = field.number(wished)
            if value is not None:
                made[name] = value

    @cached_property
    def _film(self) -> Field | None:
        files = [one for one in self._fields.values() if one.file]
        named = _first(files, _VIDEOS) or [one for one in files if "video" in one.name]
        return next(iter(named), None)

    @property
    def _files(self) -> list[Field]:
        """Those that may be pictures."""
        fields = (one for one in self._fields.values() if one.file or _is_plain_picture(one))
        return [
            one
            for one in fields
            if one is not self._film and not any(word in one.name for word in _OTHER)
        ]


def _field(name: str, rules: Mapping[str, Any], needed: bool, schemas: Mapping[str, Any]) -> Field:
    rules = _whole(rules, schemas)
    several = _kind(rules) == "array"
    inner = _whole(rules.get("items") or {}, schemas) if several else rules
    return Field(
        name,
        _kind(rules),
        file=inner.get("format") == "uri",
        many=min(int(rules.get("maxItems") or _MOST), _MOST) if several else 1,
        needed=needed and "default" not in rules,
        least=_bound(rules.get("minimum")),
        most=_bound(rules.get("maximum")),
        choices=tuple(rules.get("enum") or ()),
        about=str(rules.get("description") or ""),
    )


def _whole(rules: Mapping[str, Any], schemas: Mapping[str, Any], deep: int = 0) -> dict[str, Any]:
    """Rules with those they refer to; one that may be absent is what it is otherwise."""
    found: dict[str, Any] = {}
    if deep > 8:  # it refers to itself
        return found
    parts = [part for name in ("allOf", "anyOf", "oneOf") for part in rules.get(name) or ()]
    if "$ref" in rules:
        parts.append(schemas.get(str(rules["$ref"]).rpartition("/")[2]) or {})
    for part in parts:
        if part.get("type") != "null":
            found |= _whole(part, schemas, deep + 1)
    return found | {name: value for name, value in rules.items() if name not in _REFERRING}


_REFERRING = ("allOf", "anyOf", "oneOf", "$ref")


def _kind(rules: Mapping[str, Any]) -> str:
    kind = rules.get("type", "")
    kinds = kind if isinstance(kind, list) else [kind]
    return next((str(one) for one in kinds if one != "null"), "")


def _bound(value: object) -> float | None:
    return value if isinstance(value, (int, float)) else None


def _is_text(field: Field) -> bool:
    lists = field.kind == "array" and field.name == "prompts"
    return (field.kind in ("string", "") or lists) and not field.file and not field.choices


def _is_plain_picture(field: Field) -> bool:
    """Some models call an address of a picture a mere text."""
    return field.kind in ("string", "array") and field.name in _PICTURES and not field.choices


def _first(fields: Iterable[Field], names: Sequence[str]) -> list[Field]:
    """Those with one of the names, in the order of the names."""
    known = {field.name: field for field in fields}
    return [known[name] for name in names if name in known]


def _given(field: Field, values: Sequence[str]) -> Any:
    return [*values][: field.many] if field.kind == "array" else values[0]
