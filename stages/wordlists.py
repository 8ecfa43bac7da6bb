"""The words by which a caption shows what it describes: `prompts/words.toml`, read once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# The wheel ships the folder inside the package `enhance`; a checkout has it beside the packages.
_ROOT = Path(__file__).resolve().parent.parent
SHIPPED = next(
    (path for path in (_ROOT / "enhance" / "prompts", _ROOT / "prompts") if path.is_dir()),
    _ROOT / "prompts",
)

WORDS = "words.toml"
_VOWEL = re.compile(r"(?!uni|use|usu|eu|one\b|once)[aeiou]|hour|honest|heir", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Trait:
    """What a caption may say of a subject, a scene or a picture, and the words that show it.

    The fields are those of a `[traits.…]` table in prompts/words.toml, which explains them.
    """

    name: str
    label: str  # of the problem, where a policy leaves the trait out
    ask: str  # what the prompt asks for, where a user allows the trait
    nouns: tuple[str, ...] = ()
    worn: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    say: bool = False
    of_anchor: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """prompts/words.toml: the vocabulary that all policies share."""

    looks: frozenset[str]
    degrees: frozenset[str]
    moving: frozenset[str]
    people: frozenset[str]
    many_people: frozenset[str]
    framing: frozenset[str]
    function: frozenset[str]
    motions: frozenset[str]
    carriers: frozenset[str]
    names_too: frozenset[str]
    traits: Mapping[str, Trait]


@cache
def read_words() -> Words:
    """The shared vocabulary, as shipped."""
    data = tomllib.loads((SHIPPED / WORDS).read_text(encoding="utf-8"))
    traits = {
        name: Trait(name, **{key: _frozen(value) for key, value in table.items()})
        for name, table in data["traits"].items()
    }
    lists = {name: frozenset(words) for name, words in data.items() if name != "traits"}
    return Words(traits=traits, **lists)


def article_for(words: str) -> str:
    """ "a" or "an", by the sound that the words begin with."""
    return "an" if _VOWEL.match(words) else "a"


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
