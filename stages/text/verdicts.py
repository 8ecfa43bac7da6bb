"""Sentences that judge a picture, or say what is not in it, and tell nothing of what is.

Every word of such a sentence is known: one word that may be a fact ("blurry", "watermark in a
corner", "upside down") and it stays. Patterns that match its beginning alone took such facts away.
"""

from __future__ import annotations

import re

from stages.text.vocabulary import read_vocabulary
from stages.text.words import words
from stages.wordlists import read_words

_PICTURE = r"(?:image|picture|photo(?:graph)?|scene|video|clip|frame|artwork)"
_JUDGES = re.compile(
    r"(?:(?:overall|in summary|in conclusion|all in all|altogether),? )?(?:the|this) (?:overall )?"
    rf"(?:{_PICTURE}|mood|atmosphere|feeling|vibe|tone|composition|quality|resolution|style"
    r"|aesthetic|effect|impression)\b",
    re.IGNORECASE,
)
_MISSES = re.compile(
    rf"(?:there (?:is|are) no |no |(?:the|this) {_PICTURE} (?:does not|doesn['’]t)"
    r" (?:contain|include|have|show) (?:any )?)",
    re.IGNORECASE,
)
# What is felt is no fact, whatever it is called: "a sense of calm and wonder".
_FELT = re.compile(
    r"\b(?:sense|feelings?|air|aura|mood|atmosphere|impression|emotions?) of (?:[\w-]+,? ){0,2}?"
    r"(?:and )?[\w-]+\W*\Z",
    re.IGNORECASE,
)
_MOOD = re.compile(
    rf"(?:the|this) (?:overall )?(?:mood|vibe|feeling)(?: of (?:the|this) {_PICTURE})?"
    r" (?:is|feels|seems|appears) (?:one of )?[\w-]+(?:(?:,| and|, and) [\w-]+){0,3}\W*\Z",
    re.IGNORECASE,
)
_HERE = re.compile(rf"visible|present|discernible|\b(?:the|this) {_PICTURE}", re.IGNORECASE)


def tells_nothing(sentence: str) -> bool:
    """True if a sentence holds a judgement of the picture, or the lack of something, and no word
    besides."""
    if _MISSES.match(sentence):
        return _HERE.search(sentence) is not None and _all_of(sentence, read_vocabulary().missing)
    if not _JUDGES.match(sentence):
        return False
    if _MOOD.match(sentence):
        return True
    return _all_of(_FELT.sub(" feeling", sentence), read_vocabulary().judging)


def _all_of(sentence: str, known: frozenset[str]) -> bool:
    empty = read_words().function | read_vocabulary().named
    content = [word.text for word in words(sentence) if word.text not in empty]
    return bool(content) and all(word in known for word in content)
