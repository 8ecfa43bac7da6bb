"""prompts/words/: words by which sentences and clauses are known, and words that say the same."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from stages.wordlists import SHIPPED


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The lists of sentences.toml, which explains them."""

    judging: frozenset[str]
    missing: frozenset[str]
    named: frozenset[str]
    scenery: frozenset[str]
    said_of_scenery: frozenset[str]
    leading: frozenset[str]
    beginning: frozenset[str]
    painting_people: frozenset[str]
    drawing_things: frozenset[str]
    painted_things: frozenset[str]


@cache
def read_vocabulary() -> Vocabulary:
    """As shipped."""
    data = _read("sentences.toml")
    return Vocabulary(**{name: frozenset(words) for name, words in data.items()})


@cache
def read_synonyms() -> Mapping[str, Any]:
    """synonyms.toml as shipped; stems.py makes tables of it."""
    return _read("synonyms.toml")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((SHIPPED / "words" / name).read_text(encoding="utf-8"))
