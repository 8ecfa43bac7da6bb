"""prompts/words/sentences.toml: words by which whole sentences and clauses are known."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from stages.wordlists import SHIPPED


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The lists of the file, which explains them."""

    judging: frozenset[str]
    missing: frozenset[str]
    named: frozenset[str]
    scenery: frozenset[str]
    said_of_scenery: frozenset[str]
    leading: frozenset[str]
    beginning: frozenset[str]


@cache
def read_vocabulary() -> Vocabulary:
    """As shipped."""
    path = SHIPPED / "words" / "sentences.toml"
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return Vocabulary(**{name: frozenset(words) for name, words in data.items()})
