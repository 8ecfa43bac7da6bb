"""Every decision about words, as pure functions of the text: no files, no network, no state.

`clean` makes a caption out of what a model wrote, `check` says what is wrong with one. The merge
judges its answers with the very functions that the last room publishes by.
"""

from __future__ import annotations

from dataclasses import dataclass

from stages.policy import read_policy
from stages.sample import Problem
from stages.text.anchor import make_exact
from stages.text.check import find_problems, no_caption
from stages.text.normalise import normalise
from stages.text.peel import peel

__all__ = ["VERSION", "CleanOptions", "Cleaned", "check", "clean", "not_a_caption"]

# Part of every final's fingerprint: raise it when the same caption would come out otherwise.
VERSION = 1

_ROUNDS = 10  # more than any text needs; a bound keeps hostile ones linear


@dataclass(frozen=True, slots=True)
class CleanOptions:
    """Settings of the cleaner."""

    prompts_dir: str = ""  # where a user's own policies lie


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of a text. `text` is None if there is no caption in it."""

    text: str | None
    problems: tuple[Problem, ...]
    edits: tuple[str, ...]

    @property
    def publishable(self) -> bool:
        return self.text is not None and not any(problem.blocking for problem in self.problems)


def clean(
    raw: str,
    *,
    lora_type: str,
    anchor: str,
    finish: str | None = None,
    options: CleanOptions = CleanOptions(),
) -> Cleaned:
    """One line of caption out of what a model or a person wrote.

    `finish` is what the model said of its end ("stop", "length", …); an empty `anchor` means that
    none is wanted. Raises Fatal only for an unknown `lora_type`.
    """
    policy = read_policy(lora_type, options.prompts_dir)
    text = raw
    edits: list[str] = []
    for _ in range(_ROUNDS):  # what one decision uncovers may be another's: "&quot;…&quot;"
        before = text
        for decision in (peel, normalise):
            text, more = decision(text)
            edits += more
        if anchor:
            text, more = make_exact(text, anchor, lora_type)
            edits += more
        if text == before:
            break
    done = tuple(dict.fromkeys(edits))
    lost = no_caption(text, raw=raw, finish=finish)
    if lost:
        return Cleaned(None, (lost,), done)
    return Cleaned(text, find_problems(text, policy=policy, anchor=anchor), done)


def not_a_caption(raw: str, finish: str | None = None) -> Problem | None:
    """Why a model's answer holds no caption at all (empty, refused, cut off), or None."""
    text, _ = peel(raw)
    return no_caption(text, raw=raw, finish=finish)


def check(
    caption: str, *, lora_type: str, anchor: str, options: CleanOptions = CleanOptions()
) -> list[Problem]:
    """What is wrong with a caption as it stands, whoever wrote it."""
    lost = no_caption(caption, raw=caption, finish=None)
    if lost:
        return [lost]
    return list(
        find_problems(caption, policy=read_policy(lora_type, options.prompts_dir), anchor=anchor)
    )
