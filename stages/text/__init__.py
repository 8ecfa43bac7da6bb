"""Every decision about words, as pure functions of the text: no files, no network, no state.

`clean` makes a caption out of what a model wrote, `check` says what is wrong with one, `trace`
where the words of a merged one come from. The merge judges its answers with the very functions
that the last room publishes by.
"""

from __future__ import annotations

from dataclasses import dataclass

from stages import policy
from stages.policy import Policy, read_policy
from stages.sample import Problem
from stages.text.anchor import PLACEHOLDER, as_spelled, make_exact, variants
from stages.text.check import find_problems, generic_anchor
from stages.text.insert import insert_anchor
from stages.text.ledger import Claim, Counts, Ledger, account
from stages.text.normalise import normalise
from stages.text.omit import without_omitted
from stages.text.peel import LONGEST, peel
from stages.text.reject import cut_off, no_caption
from stages.text.thoughts import without_thoughts
from stages.text.unrelated import unrelated

__all__ = [
    "VERSION",
    "Claim",
    "CleanOptions",
    "Cleaned",
    "Counts",
    "Ledger",
    "check",
    "clean",
    "not_a_caption",
    "trace",
    "unrelated",
    "whole",
]

# Part of every final's fingerprint: raise it when the same caption would come out otherwise.
VERSION = 5

_REMARKS = frozenset({"removed a preamble", "removed a label", "removed closing remarks"})


@dataclass(frozen=True, slots=True)
class CleanOptions:
    """Settings of the cleaner."""

    prompts_dir: str = ""  # where a user's own policies lie
    allow: tuple[str, ...] = ()  # traits that captions may describe all the same
    never: tuple[str, ...] = ()  # words that they must not hold
    tag_clothing: bool = False  # clothing may be described
    max_sentences: int = 0  # 0: as the LoRA type says
    target_tokens: str | int = ""  # the text encoder that captions must fit; "": any

    @classmethod
    def of(cls, options: policy.Options) -> CleanOptions:
        """Those of a run or job."""
        return cls(
            options.prompts_dir,
            options.allow,
            options.never,
            options.tag_clothing,
            options.max_sentences,
            options.target_tokens,
        )


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
    none is wanted. A caption that is clean comes back byte for byte, and cleaning twice is cleaning
    once. Raises Fatal only for an unknown `lora_type` or trait.
    """
    rules = _policy(lora_type, options)
    anchor = as_spelled(anchor)
    text, edits = _cleaned(raw, rules, anchor)
    lost = no_caption(text, raw=raw, finish=finish, edits=edits, anchor=anchor, policy=rules)
    if lost:
        return Cleaned(None, (lost,), edits)
    whole, cut = cut_off(text, finish)
    if whole is None:
        return Cleaned(None, (cut,) if cut else (), edits)
    if whole != text:
        whole, more = _cleaned(whole, rules, anchor)  # only now may it begin and end in quotes
        edits = tuple(dict.fromkeys((*edits, *more, "cut back to whole sentences")))
        lost = no_caption(whole, raw=raw, edits=edits, anchor=anchor, policy=rules)
        if lost:
            return Cleaned(None, (lost,), edits)
    problems = find_problems(whole, policy=rules, anchor=anchor)
    return Cleaned(whole, (cut, *problems) if cut else problems, edits)


def not_a_caption(raw: str, finish: str | None = None) -> Problem | None:
    """Why a model's answer holds no caption at all (empty, refused, cut off), or None."""
    text, edits = peel(raw)
    if len(text) <= LONGEST:
        text, _ = normalise(text)
    lost = no_caption(text, raw=raw, finish=finish, edits=edits)
    if lost:
        return lost
    _, cut = cut_off(text, finish)
    return Problem("truncated", True, message="cut off at the token limit") if cut else None


def whole(raw: str, finish: str | None) -> str:
    """A draft without its thinking and, if it hit the token limit, without what the limit cut: the
    last sentence, or the last item of a list; "" if nothing whole is left."""
    text = without_thoughts(raw).strip()
    kept, cut = cut_off(text, finish)
    if kept is None and cut:
        return text.rpartition(", ")[0]
    return kept or ""


def check(
    caption: str, *, lora_type: str, anchor: str, options: CleanOptions = CleanOptions()
) -> list[Problem]:
    """What is wrong with a caption as it stands, whoever wrote it; also what `clean` would mend.

    Raises Fatal only for an unknown `lora_type` or trait.
    """
    rules = _policy(lora_type, options)
    anchor = as_spelled(anchor)
    peeled, edits = peel(caption, anchor)
    lost = no_caption(peeled, raw=caption, edits=edits, anchor=anchor, policy=rules)
    if lost:
        return [lost]
    problems = [generic] if anchor and (generic := generic_anchor(anchor, rules)) else []
    bare, characters = normalise(peeled)
    remarks = [edit for edit in edits if edit in _REMARKS]
    if remarks:
        problems.append(Problem("preamble", False, message=_would(remarks)))
    others = [edit for edit in (*edits, *characters) if edit not in _REMARKS]
    if (others and peeled != caption.strip()) or bare != peeled:
        problems.append(Problem("unclean", False, message=_would(others or list(characters))))
    exact, _ = make_exact(bare, anchor, lora_type)
    if exact != bare:
        for found in PLACEHOLDER.findall(bare):
            message = "a place for the anchor that nothing filled"
            problems.append(Problem("placeholder", False, found, message))
        for wrong in variants(bare, anchor, lora_type):
            message = f'"{wrong}" should be "{anchor}", spelled alike everywhere'
            problems.append(Problem("anchor_variant", False, wrong, message))
    # With the anchor as it should be: a misspelled one is neither missing nor a word to judge.
    problems += find_problems(exact, policy=rules, anchor=anchor)
    return list(dict.fromkeys(problems))


def trace(
    merged: str,
    *,
    manual: str,
    draft: str,
    lora_type: str,
    anchor: str,
    options: CleanOptions = CleanOptions(),
) -> Ledger:
    """The source of each word of a merged caption, what it invents and what it loses.

    An empty text is a source that says nothing; an empty `anchor` means that none is wanted.
    Raises Fatal only for an unknown `lora_type` or trait.
    """
    return account(merged, manual, draft, as_spelled(anchor), _policy(lora_type, options))


def _cleaned(raw: str, rules: Policy, anchor: str) -> tuple[str, tuple[str, ...]]:
    """(text, edits): every repair that code can make."""
    text = raw
    edits: list[str] = []
    seen: set[str] = set()
    while text not in seen:  # what one decision uncovers may be another's: "&quot;…&quot;"
        seen.add(text)
        text, more = peel(text, anchor)
        edits += more
        if len(text) > LONGEST:
            break
        text, more = normalise(text)
        edits += more
        text, more = make_exact(text, anchor, rules.lora_type)
        edits += more
        for name, repaired in (
            ("removed a sentence that should be left out", without_omitted(text, anchor, rules)),
            ("inserted the anchor", _with_anchor(text, anchor, rules)),
        ):
            if repaired != text:
                text = repaired
                edits.append(name)
                break
    return text, tuple(dict.fromkeys(edits))


def _with_anchor(text: str, anchor: str, rules: Policy) -> str:
    """The text with a missing anchor put in, unless it is no caption: "I'm sorry in illustration
    style, I can't help" would be taken for one."""
    put = insert_anchor(text, anchor, rules)
    return text if put != text and no_caption(text, raw=text, anchor=anchor, policy=rules) else put


def _policy(lora_type: str, options: CleanOptions) -> Policy:
    return read_policy(
        lora_type,
        options.prompts_dir,
        options.allow,
        options.never,
        options.tag_clothing,
        options.max_sentences,
        options.target_tokens,
    )


def _would(edits: list[str]) -> str:
    return f"`enhance clean` would mend this: {', '.join(edits)}"
