"""What JoyCaption can be wished: types of caption, lengths, options; and the sentences for it.

JoyCaption was trained on prompts of this build: a type with its length, then options, a sentence
each. Other models read them as plain English.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from stages.policy import Policy
from stages.sample import Fatal
from stages.wordlists import SHIPPED

# Options for drafts of any LoRA type: what captions for training tell, and what they leave out.
FOR_TRAINING = ("shot_size", "vantage", "no_mood", "no_meta")
LENGTHS = ("any", "very short", "short", "medium-length", "long", "very long")


@dataclass(frozen=True, slots=True)
class Wish:
    """A caption as `--caption_type` and its like wish it. All empty: none is wished."""

    caption_type: str = ""
    length: str = ""
    options: tuple[str, ...] = ()
    name: str = ""

    def __bool__(self) -> bool:
        return bool(self.caption_type or self.length or self.options or self.name)

    def refuse(self, captioner: str) -> None:
        """Raises Fatal, status 2, if anything is wished of a captioner that takes no wishes."""
        if self:
            raise Fatal(
                "--caption_type, --caption_length, --extra_options and --name_input are for "
                f"models that are asked in words: {captioner} takes a task as --prompt",
                2,
            )


@dataclass(frozen=True, slots=True)
class Builder:
    """The wording: for each type three templates (any length, so many words, an adjective)."""

    types: Mapping[str, tuple[str, str, str]]
    styles: Mapping[str, tuple[str, str]]  # names of the older service: (type, length)
    options: Mapping[str, str]

    def prompt(self, wish: Wish, caption_type: str, length: str, options: tuple[str, ...]) -> str:
        """The prompt for a wish; the other values hold where it says nothing.

        Raises Fatal, status 2, for a type, length or option that is none.
        """
        kind, by_style = self._type(wish.caption_type or caption_type)
        length = _length(wish.length or (by_style if wish.caption_type else "") or length)
        by_any, by_count, by_word = self.types[kind]
        if length == "any":
            start = by_any
        elif length.isdigit():
            start = by_count.replace("{word_count}", length)
        else:
            start = by_word.replace("{length}", length)
        chosen = wish.options or options
        if wish.name and not any("{name}" in self._option(one) for one in chosen):
            chosen = (*chosen, "name")
        said = [self._option(one) for one in chosen]
        if not wish.name and any("{name}" in one for one in said):
            raise Fatal("--extra_options name: say which with --name_input", 2)
        # Nothing but the name is filled in: a user's own sentence may hold braces.
        return " ".join(one.replace("{name}", wish.name) for one in (start, *said))

    def _type(self, name: str) -> tuple[str, str]:
        folded = _folded(name)
        for style, (kind, length) in self.styles.items():
            if folded == _folded(style):
                return kind, length
        for kind in self.types:
            if folded == _folded(kind):
                return kind, ""
        known = ", ".join((*self.types, *self.styles))
        raise Fatal(f"--caption_type {name}: is none of {known}", 2)

    def _option(self, name: str) -> str:
        """The sentence of an option; a sentence of the user's own as it is."""
        for known, sentence in self.options.items():
            if _folded(name) == _folded(known):
                return sentence
        if len(name.split()) > 2:
            return name.strip()
        raise Fatal(
            f"--extra_options {name}: is none of {', '.join(self.options)}, nor a sentence", 2
        )


@cache
def builder() -> Builder:
    data = tomllib.loads((SHIPPED / "captioners" / "joycaption.toml").read_text(encoding="utf-8"))
    return Builder(
        {name: (one["any"], one["words"], one["length"]) for name, one in data["types"].items()},
        {name: (one["type"], one.get("length", "")) for name, one in data["styles"].items()},
        data["options"],
    )


def in_words(policy: Policy, wish: Wish) -> str:
    """The default prompt of models that are asked in words: by the wish if there is one, else what
    captions of the LoRA type tell and leave out. Raises Fatal, status 2, for what none takes."""
    if wish:
        text = builder().prompt(wish, "Descriptive", "any", FOR_TRAINING)
        return text.replace("image", "video") if policy.video else text
    return policy.draft()


def _folded(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _length(name: str) -> str:
    # Not "²", which is a digit to Python and no number, nor one that takes minutes to read.
    if name.isdecimal() and len(name) <= 4 and 1 <= int(name) <= 1000:
        return str(int(name))
    for known in LENGTHS:
        if _folded(name) in (_folded(known), _folded(known).removesuffix("length")):
            return known
    raise Fatal(
        f"--caption_length {name}: is none of {', '.join(LENGTHS)}, nor a number of "
        "words (1 to 1000)",
        2,
    )
