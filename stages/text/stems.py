"""What a word says, whatever its form: "stood" says "stand", "couch" says "sofa", a puppy is a dog.

Stems are the Snowball library's; what they miss is data, in prompts/words/synonyms.toml.
"""

from __future__ import annotations

import importlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import cache, lru_cache
from typing import Any, NamedTuple

from stages.text.vocabulary import read_synonyms
from stages.wordlists import read_words

ENGLISH = "english"

# A longer "word" is no word, and stemming takes its time.
_LONGEST = 40  # letters
_CONTRACTED = re.compile(r"(?:(?<=n)['’]t|['’](?:s|ll|re|ve|d|m)|['’])\Z")
_NEGATED = re.compile(r"n['’]t\Z")
# "colour" and "harbours" are "color" and "harbors"; "realised" is "realized".
_BRITISH_OR = re.compile(r"(?<=[a-z]{3})our(?=\Z|s\Z|ed\Z|ing\Z|ful|less|ite)")
_BRITISH_IZE = re.compile(r"(?<=[a-z]{3})is(?=e[ds]?\Z|ing\Z|ation)")
_ADVERB_OF_Y = re.compile(r"(?<=[a-z]{3})ily\Z")
_ADVERB = re.compile(r"(w|ep|rp|ff|ief|ss)ly\Z")  # "slowly": the stemmer takes off the others


class Kind(IntEnum):
    """What a word is worth to the ledger."""

    EMPTY = 0  # grammar: never judged
    STRUCTURE = 1  # "shot", "view": asked for, claims nothing
    REMARK = 2  # "photo", "masterpiece": a claim in a caption, none to miss in a source
    AIMED = 3  # "up", "down": content after some words
    UNDER = 4  # content, but not before the sky
    CONTENT = 5


class Meaning(NamedTuple):
    """What a word says: itself under one `key` for all its forms and synonyms, and what follows."""

    word: str  # folded
    lemma: str
    key: str
    says: frozenset[str]  # keys
    kind: Kind
    script: str = ""  # where it is a letter or two of a script without words


@lru_cache(maxsize=1 << 15)
def meaning(word: str, language: str = ENGLISH) -> Meaning:
    """The meaning of a word as it stands in a caption."""
    folded = _folded(word)
    if len(folded) > _LONGEST:
        return Meaning(folded, folded, folded, frozenset((folded,)), Kind.CONTENT)
    if language != ENGLISH:
        return _foreign(folded, language)
    if _NEGATED.search(folded):
        folded = "not"
    folded = _CONTRACTED.sub("", folded)
    if not folded.isalnum():  # "close up", "close-up": `joined` has the list
        folded = folded.replace(" ", "").replace("-", "")
    lemma = _lemma(folded)
    data = synonyms()
    key = data.canonical.get(lemma, lemma)
    return Meaning(
        folded, lemma, key, data.implies.get(key, frozenset((key,))), _kind(folded, lemma)
    )


def _foreign(folded: str, language: str) -> Meaning:
    folded = _CONTRACTED.sub("", folded)
    stem = _stem(folded, language)
    small = len(folded) < 3 and not folded.isdigit()
    empty = small or folded in synonyms().languages.get(language, ())
    return Meaning(folded, stem, stem, frozenset((stem,)), Kind.EMPTY if empty else Kind.CONTENT)


def _kind(folded: str, lemma: str) -> Kind:
    data = synonyms()
    if folded in ("up", "down"):
        return Kind.AIMED
    if folded in data.telling:
        return Kind.UNDER if folded == "under" else Kind.CONTENT
    if folded in data.structure:
        return Kind.STRUCTURE
    if folded in data.remarks or lemma in data.remarks:
        return Kind.REMARK
    if len(folded) < 2 and not folded.isdigit():
        return Kind.EMPTY
    empty = folded in data.empty or folded in read_words().function
    return Kind.EMPTY if empty else Kind.CONTENT


def _folded(word: str) -> str:
    """Lower case, and without accents where the alphabet is Latin."""
    if word.isascii():
        return word.lower()
    folded = word.casefold().replace("’", "'")
    if folded[:1] < "\u0250":
        parts = unicodedata.normalize("NFKD", folded)
        return "".join(letter for letter in parts if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", folded)


def _lemma(word: str) -> str:
    table = synonyms().irregular
    known = table.get(word)
    if known is None:
        stem = _stem(_plain(word), ENGLISH)
        known = table.get(stem, stem)
    return known


def _plain(word: str) -> str:
    """American, and no adverb."""
    word = _BRITISH_IZE.sub("iz", _BRITISH_OR.sub("or", word))
    return _ADVERB.sub(r"\1", _ADVERB_OF_Y.sub("y", word))


def _stem(word: str, language: str) -> str:
    # The library's own choice would take a C twin where one is installed: other stems on other
    # machines. A stemmer keeps its word in itself, so threads cannot share one.
    return str(_stemmer(language)().stemWord(word))


@cache
def _stemmer(language: str) -> Any:
    module = importlib.import_module(f"snowballstemmer.{language}_stemmer")
    return getattr(module, f"{language.capitalize()}Stemmer")


class Synonyms(NamedTuple):
    """prompts/words/synonyms.toml. Words are lemmas where a table is looked up by them."""

    irregular: Mapping[str, str]  # a form to its lemma
    canonical: Mapping[str, str]  # a lemma to the key that its synonyms share
    implies: Mapping[str, frozenset[str]]  # a key to all that it says
    phrases: tuple[tuple[str, ...], ...]
    joined: tuple[str, ...]
    empty: frozenset[str]
    telling: frozenset[str]
    structure: frozenset[str]
    remarks: frozenset[str]
    common: frozenset[str]
    aimed: tuple[str, ...]
    skies: tuple[str, ...]
    places: tuple[str, ...]
    asked: Mapping[str, tuple[str, ...]]
    languages: Mapping[str, frozenset[str]]


@cache
def synonyms() -> Synonyms:
    """The shared lists, as tables."""
    data = read_synonyms()
    irregular: dict[str, str] = {}
    for base, forms in data["irregular"].items():
        stem = _stem(base, ENGLISH)
        irregular.update(dict.fromkeys((base, *forms), stem))

    def lemma(word: str) -> str:
        word = _folded(word)
        stem = _stem(_plain(word), ENGLISH)
        return irregular.get(word) or irregular.get(stem, stem)

    canonical: dict[str, str] = {}
    for several in data["same"]:
        first = lemma(several[0])
        first = canonical.get(first, first)
        canonical.update({lemma(word): first for word in several})

    def key(word: str) -> str:
        return canonical.get(lemma(word), lemma(word))

    implies: dict[str, set[str]] = {}
    for word, broader in data["implies"].items():
        own = key(word)
        implies.setdefault(own, {own}).update(map(key, broader))
    return Synonyms(
        irregular=irregular,
        canonical=canonical,
        implies={own: frozenset(says) for own, says in implies.items()},
        phrases=tuple(map(tuple, data["phrases"])),
        joined=tuple(data["joined"]),
        empty=_folded_all(data["empty"]),
        telling=_folded_all(data["telling"]),
        structure=_folded_all(data["structure"]),
        remarks=_folded_all(data["remarks"]),
        common=frozenset(map(key, data["common"])),
        aimed=tuple(map(key, data["aimed"])),
        skies=tuple(map(key, data["skies"])),
        places=tuple(map(key, data["places"])),
        asked={way: tuple(map(key, words)) for way, words in data["asked"].items()},
        languages={name: _folded_all(words) for name, words in data["languages"].items()},
    )


def _folded_all(several: Iterable[str]) -> frozenset[str]:
    return frozenset(map(_folded, several))
