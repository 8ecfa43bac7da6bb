"""What an answer of the merge is worth: a caption, of this picture, and true to its sources.

By the same functions as the last room publishes by, so that what is mended here is not listed
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from stages import text
from stages.policy import Options
from stages.sample import Problem
from stages.text.unrelated import unrelated
from stages.text.words import Phrases, words
from stages.wordlists import read_words

# What a person or the settings would have to change: no second answer mends it.
_NOT_THE_MODELS = frozenset({"generic_anchor", "too_short"})


@dataclass(frozen=True)
class Verdict:
    """An answer judged. `caption` is what would be cleaned out of it, None if it holds none."""

    caption: str | None
    problems: tuple[Problem, ...]
    ledger: text.Ledger | None = None

    @cached_property
    def useless(self) -> Problem | None:
        """Why it must not be used at all, or None."""
        if self.caption is None:
            return self.problems[0]
        return next((one for one in self.problems if one.label == "unrelated"), None)

    @cached_property
    def weight(self) -> int:
        """0 for a caption without fault; the larger, the worse."""
        if self.useless:
            return 10_000
        weight = sum(100 if one.blocking else 3 for one in self.problems if not _of_words(one))
        if self.ledger:
            weight += 2 * len(self.ledger.invented) + 3 * len(self.ledger.lost)
        return weight

    @property
    def for_the_file(self) -> tuple[Problem, ...]:
        """What the next room cannot find out by itself."""
        return (self.useless,) if self.useless else tuple(filter(_of_words, self.problems))

    def mendable(self, sources: str | None) -> tuple[Problem, ...]:
        """What another answer may mend: a framing only where a source tells one, or where the model
        sees the picture (None)."""
        return tuple(
            one
            for one in self.problems
            if one.label not in _NOT_THE_MODELS
            and (one.label != "no_camera_framing" or sources is None or _tells_framing(sources))
        )

    def better_than(self, other: Verdict) -> bool:
        """True if this answer may take the other's place: it has fewer faults, and no new words of
        its own."""
        if self.weight >= other.weight:
            return False
        if other.useless or not self.ledger or not other.ledger:
            return True
        known = {word.lower() for word in other.ledger.invented}
        return all(word.lower() in known for word in self.ledger.invented)


def judge(answer: str, finish: str | None, manual: str, draft: str, rules: Options) -> Verdict:
    """The verdict on what a chat model answered, given what it was shown."""
    options = text.CleanOptions.of(rules)
    kind, anchor = rules.lora_type, rules.anchor
    cleaned = text.clean(answer, lora_type=kind, anchor=anchor, finish=finish, options=options)
    if cleaned.text is None:
        return Verdict(None, cleaned.problems)
    if unrelated(cleaned.text, manual=manual, draft=draft, anchor=anchor):
        message = "it has next to nothing in common with its texts: another picture's caption?"
        return Verdict(cleaned.text, (Problem("unrelated", True, message=message),))
    ledger = text.trace(
        cleaned.text, manual=manual, draft=draft, lora_type=kind, anchor=anchor, options=options
    )
    return Verdict(cleaned.text, (*cleaned.problems, *_shown_by(ledger)), ledger)


def judge_seen(answer: str, finish: str | None, manual: str, rules: Options) -> Verdict:
    """The verdict on what a captioner wrote that saw the picture: what a person wrote must be in
    it; what else it tells nobody can trace."""
    options = text.CleanOptions.of(rules)
    kind, anchor = rules.lora_type, rules.anchor
    cleaned = text.clean(answer, lora_type=kind, anchor=anchor, finish=finish, options=options)
    if cleaned.text is None:
        return Verdict(None, cleaned.problems)
    ledger = text.trace(
        cleaned.text,
        manual=manual,
        draft=cleaned.text,
        lora_type=kind,
        anchor=anchor,
        options=options,
    )
    return Verdict(cleaned.text, (*cleaned.problems, *_shown_by(ledger)), ledger)


def _shown_by(ledger: text.Ledger) -> Sequence[Problem]:
    problems = []
    if ledger.invented:
        where = ", ".join(ledger.invented)
        message = f'"{where}" stands in neither the manual caption nor the draft'
        problems.append(Problem("invented", False, where, message))
    if ledger.lost:
        where = ", ".join(ledger.lost)
        problems.append(Problem("lost", False, where, f'"{where}" of the manual caption is gone'))
    return problems


def _of_words(problem: Problem) -> bool:
    return problem.label in ("invented", "lost")


def _tells_framing(sources: str) -> bool:
    return next(Phrases(read_words().framing).find(words(sources)), None) is not None
