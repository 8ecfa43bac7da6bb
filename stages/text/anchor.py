"""The anchor, exact: the same letters, case and spacing every time it stands in a caption."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from stages.text.spared import spared
from stages.text.words import words
from stages.wordlists import article_for, read_words

# Where trainers and prompt templates leave a place for the anchor.
PLACEHOLDER = re.compile(
    r"\[(?:trigger|name|anchor|trigger[ _]word)\]|\{\{? ?(?:character_name|style_name|motion_name"
    r"|object_name|trigger|trigger_word|anchor|name) ?\}?\}|<(?:trigger|anchor)>",
    re.IGNORECASE,
)
_OPENS = re.compile(r"[\[{<]")
_SPELLED = "spelled the anchor exactly"
MASK = "\0"  # no caption holds it, and it ends every word and phrase

# Scripts without spaces between words: there the anchor may touch its neighbours.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7af\uff66-\uff9f"
)
_KATAKANA = "\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # a word is one run of it
_WORD = rf"[^\W{_UNSPACED}]"
_ROLES = r"(?:character|person|woman|man|girl|boy|figure|subject|protagonist)"
_ARTICLE = re.compile(r"(?:the|an?)\s+", re.IGNORECASE)
_AN_ARTICLE = r"\b(?i:the|an?)\s+"
_BEFORE_A_NAME = r"(?<=\bof )|(?<=\bwith )|(?<=\bby )|(?<=\band )|(?<=\bas )|(?<=, )"
_A_SHOT = r"(?:\w+[ -]){0,3}(?:shot|close[ -]?up|portrait|view|photo)\b"
_PARTS = (
    r"(?:hand|face|head|arm|leg|hair|eye|shoulder|back|body|side|friend|finger|foot|feet|lap|mouth"
    r"|knee)s?"
)
_DOUBLED = re.compile(r"(.)\1{1,2}")
# What may follow an anchor that stands for a person: elsewhere it describes the next noun, as in
# "an annika poster", and the article belongs to that.
_ENDS = r"(?=\s*(?:[,.;:!?)]|['’]s\b|\Z|(?:is|and|with|in|on|at|from|who|as|\w+ing|\w+ed)\b))"


class Repair(NamedTuple):
    """What is wrong about an anchor, as a pattern, and what stands there when it is right."""

    name: str
    pattern: re.Pattern[str]
    right: Callable[[re.Match[str]], str]

    def __call__(self, text: str) -> str:
        return self.pattern.sub(self.right, text)

    def finds(self, text: str) -> str:
        """The first words that are wrong, as they stand, or ""."""
        found = (match for match in self.pattern.finditer(text) if self.right(match) != match[0])
        return next((match[0].strip() for match in found), "")


def as_spelled(anchor: str) -> str:
    """The anchor as it will stand in captions: NFC, single spaces."""
    return unicodedata.normalize("NFC", " ".join(anchor.split()))


def holds_anchor(text: str, anchor: str) -> bool:
    """True if the anchor stands in the text exactly and whole: "annika's", not "planning"."""
    return _exact(anchor).search(text) is not None


def holds_plural(text: str, anchor: str) -> bool:
    """True if the anchor stands in the text with the ending of several: "two zorvex lamps"."""
    return (
        anchor[-1:].isalpha()
        and re.search(_whole(f"{re.escape(anchor)}(?:s|es)", anchor), text) is not None
    )


def begins_with_anchor(text: str, anchor: str) -> bool:
    """True if the first words of a text are the anchor, exactly."""
    return _exact(anchor).match(text) is not None


def mask_anchor(text: str, anchor: str) -> str:
    """The text with each anchor blotted out at its length, for lists of words that the anchor
    itself may hold."""
    return _exact(anchor).sub(lambda found: MASK * len(found[0]), text) if anchor else text


def anchor_spans(text: str, anchor: str) -> list[tuple[int, int]]:
    """Where the anchor stands, however it is spelled, or a place for it that nothing filled."""
    pattern, right, bare = _loose(anchor)
    spans = [
        found.span() for found in pattern.finditer(text) if bare != anchor or right(found) == bare
    ]
    if _OPENS.search(text):
        spans += [found.span() for found in PLACEHOLDER.finditer(text)]
    if spans or any(part not in _sound(text.lower()) for part in _sounds(anchor)):
        return sorted(spans)
    if slip := misspelled(text, anchor):
        spans = [found.span() for found in re.finditer(re.escape(slip), text)]
    return sorted(spans)


@lru_cache(maxsize=64)
def _loose(anchor: str) -> tuple[re.Pattern[str], Callable[[re.Match[str]], str], str]:
    """(pattern, what is right there, anchor without its article)."""
    article = _ARTICLE.match(anchor)
    bare = anchor[article.end() :] if article else anchor
    spelled = _spelling(bare)
    return spelled.pattern, spelled.right, bare


def make_exact(text: str, anchor: str, lora_type: str) -> tuple[str, tuple[str, ...]]:
    """(text, edits): variants spelled as the anchor, placeholders filled, doubles joined."""
    edits = []
    for repair in _all_repairs(text, anchor, lora_type):
        changed = repair(text)
        if changed != text:
            edits.append(repair.name)
            text = changed
    return text, tuple(edits)


def variants(text: str, anchor: str, lora_type: str) -> list[str]:
    """What `make_exact` would mend, as it stands in the text; placeholders are not among it."""
    repairs = _all_repairs(text, anchor, lora_type)
    found = (repair.finds(text) for repair in repairs if repair.pattern is not PLACEHOLDER)
    return list(dict.fromkeys(wrong for wrong in found if wrong))


def _all_repairs(text: str, anchor: str, lora_type: str) -> list[Repair]:
    if not anchor:
        return []
    slip = misspelled(text, anchor)
    slips = []
    if slip:
        right = _unless_spared(anchor, lambda _: anchor)
        slips.append(Repair(_SPELLED, re.compile(_name(slip)), right))
    return [*slips, *_repairs(anchor, lora_type)]


def misspelled(text: str, anchor: str) -> str:
    """The words of a text, as they stand, that can only be the anchor with a letter doubled or not
    or an accent left out; "" if there are none or several. "anika" is "annika"; "walked" is not
    "walker"."""
    wanted = _sounds(anchor)
    if (
        len("".join(wanted)) < 4
        or anchor.lower() in read_words().names_too
        or holds_anchor(text, anchor)
    ):
        return ""
    found = words(text)
    runs = (found[place : place + len(wanted)] for place in range(len(found) - len(wanted) + 1))
    close = {
        text[run[0].start : run[-1].end]
        for run in runs
        if tuple(_sound(word.text) for word in run) == wanted
    }
    return close.pop() if len(close) == 1 else ""


@lru_cache(maxsize=64)
def _sounds(anchor: str) -> tuple[str, ...]:
    return tuple(_sound(word.text) for word in words(anchor))


@lru_cache(maxsize=1 << 12)  # words come again and again
def _sound(word: str) -> str:
    if not word.isascii():
        word = "".join(
            letter
            for letter in unicodedata.normalize("NFKD", word)
            if not unicodedata.combining(letter)
        )
    return _DOUBLED.sub(r"\1", word)


@lru_cache(maxsize=64)
def _exact(anchor: str) -> re.Pattern[str]:
    return re.compile(_name(anchor))


def _name(anchor: str) -> str:
    return _whole(re.escape(anchor), anchor)


def _whole(pattern: str, anchor: str) -> str:
    """`pattern` where no word goes on before or after; an anchor in Katakana ends with its run."""
    left = f"(?<![{_KATAKANA}])" if re.match(f"[{_KATAKANA}]", anchor) else ""
    right = f"(?![{_KATAKANA}])" if re.match(f"[{_KATAKANA}]", anchor[-1:]) else ""
    return rf"(?<!{_WORD}){left}(?:{pattern})(?!{_WORD}){right}"


@lru_cache(maxsize=64)
def _repairs(anchor: str, lora_type: str) -> tuple[Repair, ...]:
    name = _name(anchor)
    article = _ARTICLE.match(anchor)
    repairs = [
        Repair("filled a placeholder", PLACEHOLDER, lambda _: anchor),
        _spelling(anchor),
        *_doubled(anchor, name, lora_type),
    ]
    if article:  # "a the red knight", "a Red Knight": the anchor brings its own
        rest = f"(?i:{re.escape(anchor[article.end() :])})"
        bare = _whole(rf"(?:{_AN_ARTICLE}|(?<=\A)|{_BEFORE_A_NAME}){rest}", rest)
        repairs.append(_put("removed an article", rf"{_AN_ARTICLE}{name}", anchor))
        repairs.append(Repair(_SPELLED, re.compile(bare), _unless_spared(anchor, lambda _: anchor)))
    if lora_type == "character":
        repairs += _of_a_person(anchor, name, own_article=article is not None)
    elif not article:
        fitting = f"{article_for(anchor)} {anchor}"
        repairs.append(_put("fitted an article", rf"\b[Aa]n?\s+{name}", fitting))
    return tuple(repairs)


def _doubled(anchor: str, name: str, lora_type: str) -> list[Repair]:
    """Joins an anchor that older tools put beside itself. Listed it is meant: "moonstep, moonstep,
    moonstep, then a jump", "annika, annika and annika"."""
    gap = r"\s*" if re.search(f"[{_UNSPACED}]\\Z", anchor) else r"\s+"
    listed = rf"(?<!{re.escape(anchor)}, )(?<!{re.escape(anchor)} and )"
    goes_on = rf"(?!,?\s+(?:and\s+|&\s+|or\s+)?{name})"
    times = "+" if lora_type == "character" else ""
    repairs = [rf"{listed}{name}(?:{gap}{name}){times}{goes_on}"]
    if lora_type == "character":
        repairs.append(rf"{listed}{name},\s+{name}(?=\s+(?!(?:and|or)\b)\w){goes_on}")
    return [
        Repair("joined a doubled anchor", re.compile(one), _unless_spared(anchor, lambda _: anchor))
        for one in repairs
    ]


def _of_a_person(anchor: str, name: str, own_article: bool) -> list[Repair]:
    """Repairs of an anchor that is somebody's name."""
    title = rf"{_AN_ARTICLE}(?i:{_ROLES})\s+(?:(?:named|called|known\s+as)\s+)?"
    # Older tools glued it in front of captions that held it already.
    quoted = rf"[“«\"][^”»\"]*?{name}[^”»\"]*[”»\"]\Z"
    whole = rf"{_AN_ARTICLE}{_A_SHOT}[^.]*?{name}|(?i:(?:final )?(?:caption|description):)|{quoted}"
    glued = rf"\A{name}[,:]?\s+(?={whole})"
    possessive = rf"(?<!{_WORD})(?i:{re.escape(anchor)})s(?=\s+(?:\w+\s+)?{_PARTS}\b)"
    repairs = [
        _put("removed what named the anchor twice", rf"{title}{name}", anchor),
        _put("removed an anchor glued in front", glued, ""),
        _put("mended a possessive", possessive, f"{anchor}'s"),
    ]
    if not own_article:
        repairs.append(_put("removed an article", rf"{_AN_ARTICLE}{name}{_ENDS}", anchor))
    return repairs


def _spelling(anchor: str) -> Repair:
    """Another case, spaces for hyphens or none at all."""
    parts = (re.escape(part) for part in re.split(r"[\s_-]+", anchor) if part)
    pattern = re.compile(_whole(r"[\s_-]*".join(parts), anchor), re.IGNORECASE)
    lowered = anchor.lower()
    careful = lowered in read_words().names_too and anchor != lowered

    def exact(found: re.Match[str]) -> str:
        return found[0] if careful and found[0] == lowered else anchor

    return Repair(_SPELLED, pattern, _unless_spared(anchor, exact))


def _unless_spared(
    anchor: str, right: Callable[[re.Match[str]], str]
) -> Callable[[re.Match[str]], str]:
    """`right`, but for words that only look like the anchor."""

    def put(found: re.Match[str]) -> str:
        wanted = right(found)
        same = wanted == found[0] or spared(found, anchor, holds_anchor(found.string, anchor))
        return found[0] if same else wanted

    return put


def _put(name: str, pattern: str, right: str) -> Repair:
    return Repair(name, re.compile(pattern), lambda _: right)
