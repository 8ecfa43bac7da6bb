"""What `enhance init` asks, and what it takes a folder's name for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from enhance.console import say
from stages import policy
from stages.sample import Fatal
from stages.tokens import TOKEN_LIMITS, token_limit
from stages.wordlists import read_words

_REPEATS = re.compile(r"\A\d+_(?=\S)")  # "10_annika woman": kohya's repeats, trigger and class
_NO_NAMES = frozenset(
    {
        *(
            "images",
            "image",
            "img",
            "imgs",
            "pictures",
            "picture",
            "pics",
            "photos",
            "photo",
            "raw",
        ),
        *("data", "dataset", "datasets", "train", "training", "src", "source", "input", "set"),
        *("new", "test", "tmp", "temp"),
    }
)
_STYLES = frozenset({"style", "aesthetic", "art", "look"})
_MOTIONS = frozenset(
    {"walk", "run", "dance", "jump", "spin", "motion", "movement", "pose", "gesture", "step"}
)


class Guess(NamedTuple):
    """What a folder's name tells of its concept."""

    anchor: str  # "" if it tells none
    lora_type: str


def guess(folder: str) -> Guess:
    """ "10_annika woman" is annika, a character; "illustration style" is a style."""
    bare = _REPEATS.sub("", folder)
    words = bare.replace("_", " ").split()
    people = read_words().people
    if len(words) > 1 and words[-1].lower() in people:
        words = words[:-1]
        return Guess(" ".join(words), "character")
    anchor = " ".join(words)
    if bare.isdecimal() or anchor.lower() in _NO_NAMES | people:
        anchor = ""
    return Guess(anchor, type_of(anchor))


def type_of(anchor: str) -> str:
    """The LoRA type that an anchor sounds like; a name may be anything, and is a character."""
    last = anchor.lower().split()[-1:]
    if last and last[0] in _STYLES:
        return "style"
    return "motion" if last and last[0] in _MOTIONS else "character"


def ask(folder: str, images: int, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings of a folder: those that are given, the others asked for on the terminal. None
    if the folder is to be left out. Raises EOFError if nobody answers."""
    guessed = guess(folder)
    say(f"{folder}/: {images} image{'s' * (images != 1)}")
    anchor = _answer(
        "the anchor: the words by which you will prompt it (- leaves this folder out)",
        guessed.anchor,
        _one_line,
    )
    if anchor == "-":
        return None
    result: dict[str, Any] = {"anchor": anchor, **given}
    if "lora_type" not in given:

        def known(text: str) -> str:
            policy.policy_of(policy.Options(**{**result, "lora_type": text}))
            return text

        kind = guessed.lora_type if anchor == guessed.anchor else type_of(anchor)
        what = "what it is: character, style, motion, object"
        result["lora_type"] = _answer(what, kind, known)
    rules = policy.policy_of(policy.Options(**result))
    if anchor.lower() in rules.generic:
        say(f"  {anchor} is a common word: models know it as everything; a rarer one binds better")
    if "clothing" in rules.omits and "tag_clothing" not in given:
        result["tag_clothing"] = _answer("outfits vary, so captions should tell them", "no", _yes)
    if "target_tokens" not in given:
        what = f"the trainer's text encoder, or the tokens it reads ({', '.join(TOKEN_LIMITS)})"
        encoder = _answer(what, "any", lambda text: "" if text == "any" else token_limit(text))
        if encoder:
            result["target_tokens"] = encoder
    return result


def _answer(question: str, default: str, read: Callable[[str], Any]) -> Any:
    """Asks until `read` takes the answer, an empty one being the default."""
    shown = f" [{default}]" if default else ""
    while True:
        text = input(f"  {question}{shown}: ").strip() or default
        try:
            return read(text)
        except (ValueError, Fatal) as error:
            say(f"  {error}")


def _one_line(text: str) -> str:
    if not text:
        raise ValueError("this one is needed")
    return text


def _yes(text: str) -> bool:
    if text.lower() not in ("y", "yes", "n", "no"):
        raise ValueError("yes or no, please")
    return text.lower().startswith("y")
