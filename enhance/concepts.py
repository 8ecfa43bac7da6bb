"""Several concepts in one dataset: a `caption.toml` sets anchor, LoRA type and more for the files
in its folder and below. The nearest one wins, setting by setting, over those above it and over the
settings of the run.
"""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from enhance.config import layer, spelled
from enhance.flags import DEFAULTS, SECTIONS
from stages import generate, llm, policy
from stages.dataset import Layout
from stages.load import read
from stages.sample import Fatal
from stages.text.encoding import decode

FILE = "caption.toml"
# What may differ by folder; all else is about the run as a whole.
_MAY_SET = ("policy", "generate", "merge")
# Datasets are handed around: whoever runs one decides what it costs, and whether its models run
# code of their own.
_MAY_NOT = frozenset({"trust_remote_code", "max_cost"})
_FILES = ("rules", "system_prompt")
_FOLDERS = ("prompts_dir",)
_MODELS = ("model_id", "model")


@dataclass(frozen=True, slots=True)
class Concept:
    """What one part of a dataset is to teach, and the settings by which it is captioned."""

    name: str  # the folder of the nearest file: "10_annika/", "./", "" without one
    policy: policy.Options
    generate: generate.Options = field(default_factory=generate.Options)
    merge: llm.Options = field(default_factory=llm.Options)
    files: tuple[str, ...] = ()  # whose settings hold, the nearest first
    given: tuple[tuple[str, Any], ...] = ()  # what these files set, by name

    def __str__(self) -> str:
        """As in "10_annika/: anchor annika, character, tag_clothing, from caption.toml"."""
        anchor = f"anchor {self.policy.anchor}" if self.policy.anchor else "no anchor"
        more = [
            name if value is True else f"{name} {_told(value)}"
            for name, value in self.given
            if name not in ("anchor", "lora_type")
        ]
        told = ", ".join((anchor, self.policy.lora_type, *more))
        return f"{self.name}: {told}, from {FILE}"


class Concepts:
    """Which concept a file belongs to."""

    def __init__(self, layout: Layout, media: Iterable[str], run: Concept) -> None:
        """`run` is what holds where no file says otherwise.

        Raises Fatal, status 2 with the file named, for one above any of `media` that cannot be
        used.
        """
        self._layout = layout
        self._root = os.fspath(layout.root)
        self._run = run
        self._by_folder: dict[str, Concept] = {}
        self.files = Counter[str]()  # media by the concept's name
        for folder, count in Counter(map(os.path.dirname, media)).items():
            self.files[self._below(folder).name] += count
        named = {concept.name: concept for concept in self._by_folder.values()}
        # Those that have files, in the order of their folders.
        self.all = [named[name] for name in sorted(self.files)]

    def of(self, media: Path) -> Concept:
        """The concept of a media file below the dataset folder."""
        # Not media.parent, which costs a Path for each of 200,000 files.
        folder = os.path.dirname(os.fspath(media))
        return self._by_folder.get(folder) or self._below(folder)

    @property
    def told(self) -> list[Concept]:
        """Those that a caption.toml makes."""
        return [concept for concept in self.all if concept.files]

    def as_json(self) -> list[dict[str, Any]]:
        """For the report: what each caption.toml set, and for how many files."""
        return [
            {
                "folder": concept.name,
                "from": list(concept.files),
                "files": self.files[concept.name],
                "settings": dict(concept.given),
            }
            for concept in self.told
        ]

    def _below(self, folder: str) -> Concept:
        known = self._by_folder.get(folder)
        if known is not None:
            return known
        above = os.path.dirname(folder)
        outer = self._run if folder == self._root or above == folder else self._below(above)
        concept = self._by_folder[folder] = self._with_own(outer, Path(folder))
        return concept

    def _with_own(self, outer: Concept, folder: Path) -> Concept:
        """The concept of a folder: what its own file sets, and else what holds around it."""
        path = folder / FILE
        name = self._layout.name(path)
        given = read_settings(path, name)
        if given is None:
            return outer
        sections = {
            section: replace(
                getattr(outer, section),
                **{o.name: given[o.name] for o in fields(SECTIONS[section]) if o.name in given},
            )
            for section in _MAY_SET
        }
        concept = Concept(
            name=name.removesuffix(FILE) or "./",
            **sections,
            files=(name, *outer.files),
            given=tuple({**dict(outer.given), **given}.items()),
        )
        try:
            check(concept.policy)
        except Fatal as error:
            raise Fatal(f"{name}: {error}", error.status) from None
        return concept


def check(options: policy.Options) -> None:
    """Raises Fatal for an anchor, a LoRA type or a trait that cannot be used."""
    if len(options.anchor.splitlines()) > 1:
        raise Fatal("--anchor: one line, please; it stands within captions of one line", 2)
    policy.policy_of(options)


def read_settings(path: Path, name: str) -> dict[str, Any] | None:
    """What a caption.toml sets, paths in it made absolute; None if there is none.

    Raises Fatal, status 2, if it cannot be used; `name` is how the message calls it.
    """
    try:
        data = read(path)
    except OSError as error:
        raise Fatal(f"{name}: {error.strerror}", 2) from None
    if data is None:
        return None
    found = layer(name, _spelled, decode(data)[0])
    result: dict[str, Any] = {}
    for key, value in found.items():
        if key in _MAY_NOT or key not in DEFAULTS or _section(key) not in _MAY_SET:
            raise Fatal(
                f"{name}: {key} belongs to the run: give it as a flag, in the environment or in "
                "--config",
                2,
            )
        result[key] = tuple(value) if isinstance(value, list) else value
    for key, exists, what in (
        *((key, Path.is_file, "file") for key in _FILES),
        *((key, Path.is_dir, "folder") for key in _FOLDERS),
    ):
        if result.get(key):
            place = path.parent / Path(result[key]).expanduser()
            if not exists(place):
                raise Fatal(f"{name}: {key} {result[key]}: there is no such {what}", 2)
            result[key] = os.fspath(place)
    if result.get("prompt") and _is_file(path.parent, result["prompt"]):
        result["prompt"] = os.fspath(path.parent / Path(result["prompt"]).expanduser())
    for key in _MODELS:
        if result.get(key) and (path.parent / Path(result[key]).expanduser()).is_dir():
            result[key] = os.fspath(path.parent / Path(result[key]).expanduser())
    return result


def _is_file(folder: Path, text: str) -> bool:
    """Whether a prompt names a file; most are too long to."""
    try:
        return (folder / Path(text).expanduser()).is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _spelled(text: str) -> list[str]:
    try:
        return spelled(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise Fatal(f'{error}; write names and values, as in `anchor = "annika"`', 2) from None


def _section(name: str) -> str:
    return next(
        section
        for section, options in SECTIONS.items()
        if any(option.name == name for option in fields(options))
    )


def _told(value: Any) -> str:
    return f"({', '.join(map(str, value))})" if isinstance(value, tuple) else str(value)
