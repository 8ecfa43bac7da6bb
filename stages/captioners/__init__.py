"""The captioners: one file per model family. The folder is the registry; a new file is a choice.

A captioner file has a docstring, `TYPES` (the `model_type`s of its models), `STAND_INS` (model ids
that are loaded from another repository), `PROMPT` (its default) and `class Captioner`. Heavy
imports wait inside `__init__`, so that listing the folder costs nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol, cast

from PIL import Image

from stages.checkpoint import Checkpoint
from stages.sample import Fatal


@dataclass(frozen=True, slots=True)
class Settings:
    """What a captioner needs to know, whichever it is."""

    device: str
    dtype: str = "auto"
    prompt: str = ""  # "": the captioner's own PROMPT
    max_new_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Answer:
    """One draft. `finish` is "stop", or "length" if the model ran into `max_new_tokens`."""

    text: str
    finish: str


class Captioner(Protocol):
    """Drafts captions for batches of images. Safe to call from two threads at once."""

    size: tuple[int, int]  # (width, height) in pixels that the model looks at

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None: ...
    def __call__(self, images: Sequence[Image.Image]) -> list[Answer]: ...


class Family(Protocol):
    """A file of this folder."""

    TYPES: frozenset[str]
    STAND_INS: Mapping[str, str]
    PROMPT: str
    Captioner: type[Captioner]


def families() -> Iterator[tuple[str, Family]]:
    """Every captioner file by name. An ImportError inside one surfaces as itself."""
    for module in pkgutil.iter_modules(__path__):
        family: ModuleType = importlib.import_module(f"{__name__}.{module.name}")
        yield module.name, cast(Family, family)


def stand_in(model_id: str) -> str:
    """The repository a model id is really loaded from."""
    for _, family in families():
        if model_id in family.STAND_INS:
            return family.STAND_INS[model_id]
    return model_id


def family_of(checkpoint: Checkpoint) -> Family:
    """The captioner for a checkpoint, by its own `model_type`. Raises Fatal if there is none."""
    model_type = str(checkpoint.config().model_type)
    known: list[str] = []
    for _, family in families():
        if model_type in family.TYPES:
            return family
        known += sorted(family.TYPES)
    raise Fatal(
        f"model {checkpoint.source} is of type {model_type!r}; "
        f"the captioners here take: {', '.join(known)}"
    )
