"""Puts a missing anchor in, only where a careful trainer would put it.

Never in front: "annika, a woman …" teaches that annika is beside a woman. Which way is safe depends
on the LoRA type, so the policy names it (`insert`); all else is left to a repair turn or a person.
"""

from __future__ import annotations

import re
from functools import lru_cache

from stages.policy import Policy, read_words
from stages.text.anchor import article_for, holds_anchor
from stages.text.words import words

# What may follow a noun that stands for the whole subject: "a woman walks", not "a woman doctor"
# or "a woman with red hair", whose traits would be tied to the anchor's place.
_STOP = r"(?=\s*(?:[,.;:!?)]|['’]s\b|\Z)"
_GOES_ON = (
    r"|\s+(?:is|and|in|on|at|from|to|as|by|near|behind|beside|against|down|up|\w+ing|\w+s)\b)"
)
_TRAIT_FOLLOWS = re.compile(
    r"\s*(?:,\s+(?:an?|the)\b|(?:with|wearing|in) (?:\w+ ){0,3}?(?:hair|eyes|skin|dress|shirt"
    r"|jacket|coat|suit|jeans|clothes|uniform|outfit|hat|beard|glasses)\b|who\b)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:she|he|they|her|his|him|their|them)\b", re.IGNORECASE)
# "a statue of a woman" shows a statue.
_LIKENESS = re.compile(
    r"\b(?:statue|sculpture|shadow|reflection|poster|painting|drawing|mural|doll|figurine|mannequin"
    r"|group|crowd) of \Z",
    re.IGNORECASE,
)
_HE, _SHE = {"he", "him", "his", "himself"}, {"she", "her", "hers", "herself"}
# Words that speak of somebody else.
_OTHERS = {
    **dict.fromkeys(("woman", "girl", "lady", "mother", "sister"), _HE),
    **dict.fromkeys(("man", "boy", "guy", "gentleman", "father", "brother"), _SHE),
}
_STYLE_NOUN = re.compile(r"(?:style|aesthetic|look|manner|technique|art)s?\Z", re.IGNORECASE)
_SAYS_STYLE = re.compile(r"\bstyle[ds]?\b|\baesthetic\b|\bin the manner of\b", re.IGNORECASE)
_MEDIUM_OPENER = re.compile(
    r"\A(?:this is )?(?:an? )?(?:[\w-]+ ){0,3}?(?:painting|illustration|drawing|sketch|artwork"
    r"|rendering|digital art(?:work)?|digital painting|cartoon|print|watercolou?r)"
    r" (?:of|showing|depicting) (?=\w)",
    re.IGNORECASE,
)
_FRAMED = re.compile(
    r",? (?:in|from|as) (?:an? |the )?(?:[\w-]+ ){0,3}?(?:shot|close[- ]?up|view|angle|above|below"
    r"|behind|side|portrait)\Z",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[,.;:!?]")


def insert_anchor(text: str, anchor: str, policy: Policy) -> str:
    """The text with the anchor in its place, or as it was where no place is safe."""
    if not anchor or holds_anchor(text, anchor) or not _english(text):
        return text
    way = {"subject": _as_subject, "head": _as_head, "in": _as_style}.get(policy.insert)
    return way(text, anchor) if way else text


def _as_subject(text: str, anchor: str) -> str:
    """ "a woman walks" to "annika walks": exactly one person, said without traits."""
    vocabulary = read_words()
    found = [word.text.removesuffix("'s") for word in words(text)]
    people = {word for word in found if word in vocabulary.people}
    if len(people) != 1 or any(word in vocabulary.many_people for word in found):
        return text
    (who,) = people
    article = "" if who in ("someone", "somebody") else r"(?:an?|the|one|this)\s+"
    subjects = list(_mention(article, who).finditer(text))
    mentions = found.count(who)
    # "a woman and another woman" is two; "a woman … the woman" is one.
    if not subjects or mentions != len(subjects) or _indefinite(subjects) > 1:
        return text
    first = subjects[0]
    if _PRONOUN.search(text[: first.start()]) or _TRAIT_FOLLOWS.match(text, first.end()):
        return text
    if _LIKENESS.search(text[: first.start()]) or not _OTHERS.get(who, set()).isdisjoint(found):
        return text
    return f"{text[: first.start()]}{anchor}{text[first.end() :]}"


@lru_cache(maxsize=256)
def _mention(article: str, who: str) -> re.Pattern[str]:
    return re.compile(rf"\b{article}{who}{_STOP}{_GOES_ON}", re.IGNORECASE)


def _indefinite(subjects: list[re.Match[str]]) -> int:
    return sum(not found[0].lower().startswith(("the", "this")) for found in subjects)


def _as_head(text: str, anchor: str) -> str:
    """ "a sword on a table" to "a crystal sword on a table": the head noun, once, with an
    article."""
    parts = anchor.split()
    if len(parts) < 2 or parts[0].lower() in ("the", "a", "an"):
        return text
    head = re.escape(parts[-1])
    if len(re.findall(rf"\b{head}(?:s|es)?\b", text, re.IGNORECASE)) != 1:
        return text
    found = re.search(rf"\b(an?|the)\s+{head}{_STOP}{_GOES_ON}", text, re.IGNORECASE)
    if not found:
        return text
    article = found[1] if found[1].lower() == "the" else article_for(anchor)
    return f"{text[: found.start()]}{article} {anchor}{text[found.end() :]}"


def _as_style(text: str, anchor: str) -> str:
    """ "a painting of a cat, close up" to "a cat in illustration style, close up"."""
    if not _STYLE_NOUN.search(anchor):
        return text
    scene = _MEDIUM_OPENER.sub("", text)
    mediums = read_words().traits["medium"].alone
    if _SAYS_STYLE.search(scene) or any(word.text in mediums for word in words(scene)):
        return text
    stop = _CLAUSE_END.search(scene)
    clause, rest = (scene[: stop.start()], scene[stop.start() :]) if stop else (scene, "")
    if len(words(clause)) < 2:
        return text
    framed = _FRAMED.search(clause)
    place = framed.start() if framed else len(clause)
    return f"{clause[:place].rstrip()} in {anchor}{clause[place:]}{rest}"


def _english(text: str) -> bool:
    """True if enough of the words are English function words: the rules here know no other
    grammar."""
    found = words(text)
    return text.isascii() or sum(word.text in read_words().function for word in found) * 8 >= len(
        found
    )
