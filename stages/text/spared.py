"""Where the anchor's letters stand in another case and are not the anchor: they stay as they are.

What can be read in the picture ("ANNIKA LARSSON" on a badge), a name of something else ("Pinot
Noir") and, where the anchor stands exactly elsewhere, the common word that it looks like (a bell
beside the Bell).
"""

from __future__ import annotations

import re

from stages.text.words import words

_QUOTED = re.compile(r"(?<!\d)\"[^\"]*\"|“[^”]*”|«[^»]*»|„[^“”]*[“”]|「[^」]*」|『[^』]*』")
_MARKS = re.compile(r"[\"“«„「『]")
# Before lettering: "the word ANNIKA in neon".
_READS = re.compile(
    r"\b(?:words?|letters|lettering|names?|text|titles?|reads?|reading|says|saying|spells?|spelling"
    r"|spelled|label(?:led|ed)?|sign|written|writing|printed|inscription|inscribed)[:,]?"
    r" (?:\w+ )?\Z",
    re.IGNORECASE,
)
_NAME_BEFORE = re.compile(r"(?<=[^\s.!?] )[A-Z][\w'’]+ \Z")  # not the first word of a sentence
_NAME_AFTER = re.compile(r" [A-Z][\w'’]+")
_NEAR = 80  # characters: the word or two before
_TITLE_CASE = 0.6  # of the words begin with a capital: there it means nothing


def spared(found: re.Match[str], anchor: str, exact: bool) -> bool:
    """True if these words are to stay; `exact` tells whether the anchor itself stands in the text.

    They equal the anchor but for case, spacing or an article.
    """
    text, said = found.string, found[0].strip()
    if _MARKS.search(text) and _quoted(found, anchor):
        return True
    if said.isupper() and len(said) > 1 and not anchor.isupper():
        return (
            _READS.search(text[max(found.start() - _NEAR, 0) : found.start()]) is not None
            and not text.isupper()
        )
    if exact and said.islower() and not anchor.islower() and anchor.replace(" ", "").isalpha():
        return True
    if not (said[:1].isupper() and anchor[:1].islower()):
        return False
    before = _NAME_BEFORE.search(text[max(found.start() - _NEAR, 0) : found.start()])
    after = exact and _NAME_AFTER.match(text, found.end())
    return bool(before or after) and not _title_case(text)


def _quoted(found: re.Match[str], anchor: str) -> bool:
    """True for letters within a quotation that says more, or beside an anchor outside of it."""
    for quotation in _QUOTED.finditer(found.string):
        if quotation.start() < found.start() and found.end() < quotation.end():
            if len(words(quotation[0])) > len(words(found[0])):
                return True
            rest = found.string[: quotation.start()] + found.string[quotation.end() :]
            return re.search(rf"(?<!\w){re.escape(anchor)}(?!\w)", rest) is not None
    return False


def _title_case(text: str) -> bool:
    found = [text[word.start] for word in words(text)]
    return sum(letter.isupper() for letter in found) >= _TITLE_CASE * len(found)
