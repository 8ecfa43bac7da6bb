"""In which script and language a text is written: nothing can be traced between two of them."""

from __future__ import annotations

import re
from collections.abc import Set
from functools import cache

from stages.text.stems import ENGLISH, synonyms
from stages.wordlists import read_words

HAN, HANGUL = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff", "\uac00-\ud7af\u1100-\u11ff"
KATAKANA, HIRAGANA = "\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9f", "\u3041-\u309f"
STACKED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
UNSPACED = HAN + HANGUL + KATAKANA + HIRAGANA + STACKED
SCRIPTS = {
    "cyrillic": re.compile("[\u0400-\u052f]"),
    "greek": re.compile("[\u0370-\u03ff\u1f00-\u1fff]"),
    "arabic": re.compile("[\u0600-\u06ff\u0750-\u077f]"),
    "hebrew": re.compile("[\u0590-\u05ff]"),
    "indic": re.compile("[\u0900-\u0dff]"),
    "stacked": re.compile(f"[{STACKED}]"),
    "cjk": re.compile(f"[{HAN}{KATAKANA}{HIRAGANA}]"),
    "hangul": re.compile(f"[{HANGUL}]"),
    "latin": re.compile("[A-Za-z\u00c0-\u024f]"),
}
_BEYOND_LATIN = re.compile("[\u0370-\u1dff\u3040-\ud7af\uf900-\ufaff\uff66-\uff9f]")
_STEMMED = {"cyrillic": "russian", "greek": "greek", "arabic": "arabic", "indic": "hindi"}


def script_of(text: str) -> str:
    if text.isascii() or not _BEYOND_LATIN.search(text):
        return "latin"
    counts = {name: len(letters.findall(text)) for name, letters in SCRIPTS.items()}
    return max(counts, key=lambda name: counts[name])


def language_of(script: str, words: Set[str]) -> str:
    """The language that a text of these words shows by its alphabet or small words, or ""."""
    if script != "latin":
        return _STEMMED.get(script, ENGLISH)
    english, foreign, languages = _small_words()
    if words.isdisjoint(foreign):
        return "" if words.isdisjoint(english) else ENGLISH
    counts = {name: len(words & small) for name, small in languages.items()}
    best = max(counts, key=lambda name: counts[name])
    ours = len(words & english)
    if counts[best] <= ours:
        return ENGLISH
    return best if counts[best] > 1 else ""


@cache
def _small_words() -> tuple[frozenset[str], frozenset[str], dict[str, frozenset[str]]]:
    """Small words that are English alone, those of other languages, and these by language."""
    both = read_words().function
    languages = {name: small - both for name, small in synonyms().languages.items()}
    foreign = frozenset().union(*synonyms().languages.values())
    return both - foreign, foreign - both, languages
