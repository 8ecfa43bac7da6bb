"""Puts a missing anchor in, only where a careful trainer would put it.

Never in front: "annika, a woman …" teaches that annika is beside a woman. Which way is safe depends
on the LoRA type, so the policy names it (`insert`); all else is left to a repair turn or a person.
"""

from __future__ import annotations

import re
from functools import lru_cache

from stages.policy import Policy
from stages.text.anchor import holds_anchor, holds_plural
from stages.text.clauses import first_clause_end
from stages.text.words import words
from stages.wordlists import article_for, read_words

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
# "a statue of a woman" shows a statue, "without a person" nobody, "dressed as a man" somebody else.
_LIKENESS = re.compile(
    r"\b(?:(?:statue|sculpture|shadow|silhouette|reflection|poster|painting|drawing|mural|doll"
    r"|figurine|mannequin|bust|symbol|outline|costume|mask|size|height|instead) of"
    r"|(?<=[a-z] )(?:an?|the|his|her|its|their) (?:\w+ ){0,2}(?:picture|photo|image|portrait)"
    r" of"
    r"|without|as|like|than|not|never|resembling|for|unlike) \Z",
    re.IGNORECASE,
)
# "the woman in the mirror" is there twice, or not at all.
_WITHIN = re.compile(
    r"\s+(?:in|on|from) (?:an?|the|his|her|its|their) (?:\w+ ){0,2}?(?:mirror|reflection|screen"
    r"|poster|painting|picture|photo(?:graph)?|portrait|drawing|mural|tv|television|magazine|book|moon|sign"
    r"|billboard|advert|ad|cover|label|stamp|coin)\b",
    re.IGNORECASE,
)
# "a figure skating rink" names no one.
_OF_A_THING = re.compile(r"\s+(?:skat\w+|drawing|eating|train|railway|car)\b", re.IGNORECASE)
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
# "a drawing of a house held by a child" shows the drawing.
_HANDLED = re.compile(
    r"\b(?:held|hung|hangs|hanging|pinned|taped|framed|mounted|easel|fridge|carried|shown to|stuck"
    r"|in (?:an?|the|his|her|their|one|both) hands?|(?:drawn|made|painted|created|signed) by"
    r"|by (?:an?|the|his|her) (?:child|boy|girl|man|woman|person|artist|student|kid|toddler))\b",
    re.IGNORECASE,
)


def insert_anchor(text: str, anchor: str, policy: Policy) -> str:
    """The text with the anchor in its place, or as it was where no place is safe."""
    if not anchor or holds_anchor(text, anchor) or not _english(text):
        return text
    if policy.insert == "head" and holds_plural(text, anchor):
        return text
    way = {"subject": _as_subject, "head": _as_head, "in": _as_style}.get(policy.insert)
    return way(text, anchor) if way else text


def _as_subject(text: str, anchor: str) -> str:
    """ "a woman walks" to "annika walks": exactly one person, said without traits."""
    vocabulary = read_words()
    found = [word.text.removesuffix("'s") for word in words(text)]
    people = {word for word in found if word in vocabulary.people}
    if len(people) != 1 or not vocabulary.many_people.isdisjoint(found):
        return text
    (who,) = people
    article = "" if who in ("someone", "somebody") else r"(?:an?|the|one|this)\s+"
    subject = _mention(article, who).search(text)
    # Put in once and said twice, "the woman" would be another one.
    if not subject or found.count(who) != 1:
        return text
    before = text[: subject.start()]
    if _PRONOUN.search(before) or _LIKENESS.search(before):
        return text
    if any(rule.match(text, subject.end()) for rule in (_TRAIT_FOLLOWS, _WITHIN, _OF_A_THING)):
        return text
    if not _OTHERS.get(who, set()).isdisjoint(found):
        return text
    return f"{before}{anchor}{text[subject.end() :]}"


@lru_cache(maxsize=256)
def _mention(article: str, who: str) -> re.Pattern[str]:
    return re.compile(rf"\b{article}{who}{_STOP}{_GOES_ON}", re.IGNORECASE)


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
    scene = text if _HANDLED.search(text) else _MEDIUM_OPENER.sub("", text)
    mediums = read_words().traits["medium"].alone
    if _SAYS_STYLE.search(scene) or any(word.text in mediums for word in words(scene)):
        return text
    place = first_clause_end(scene)
    return text if place is None else f"{scene[:place]} in {anchor}{scene[place:]}"


def _english(text: str) -> bool:
    """True if enough of the words are English function words: the rules here know no other
    grammar."""
    found = words(text)
    return text.isascii() or sum(word.text in read_words().function for word in found) * 8 >= len(
        found
    )
