"""What is wrong with a caption: found here, decided by the rooms."""

from __future__ import annotations

import re
from functools import lru_cache

import sentencex

from stages.policy import Policy
from stages.sample import Problem
from stages.text.anchor import holds_anchor, mask_anchor

# What servers and our captioners call the token limit.
LIMIT_REASONS = frozenset({"length", "max_tokens", "max_new_tokens"})

# At the start only: a caption may quote an apology or speak of one.
_REFUSAL = re.compile(
    r"\W*(?:unfortunately,? )?(?:"
    r"(?:i'm|i am|we're|we are) (?:(?:very|really|so|terribly) )?(?:sorry|unable|afraid|not able)\b"
    r"|(?:i|we) (?:apologi[sz]e|can't|cannot|can not|could not|couldn't|won't|will not|do not"
    r"|don't)"
    r" (?:\w+ ){0,3}?(?:see|view|access|assist|help|provide|describe|create|generate|fulfil|fulfill"
    r"|comply|process|analy[sz]e|identify|caption|do|have|merge|continue|write|for)\b"
    r"|sorry,? (?:but )?(?:i|we)\b"
    r"|as an ai\b"
    r"|my apologies\b"
    r")",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[^\W_]")
_FOLD = str.maketrans({"’": "'", "‘": "'", "ʼ": "'"})


def no_caption(text: str, *, raw: str, finish: str | None) -> Problem | None:
    """Why there is no caption in a peeled text, if so: nothing can be repaired then.

    `raw` is what the text was peeled from, `finish` what the model said of its end.
    """
    if not _LETTER.search(text):
        message = "nothing but wrapping or thinking" if raw.strip() else "the answer is empty"
        return Problem("empty", True, message=message)
    refusal = _REFUSAL.match(text.translate(_FOLD))
    if refusal:
        return Problem("refusal", True, refusal[0].strip(), "the model refused")
    if finish in LIMIT_REASONS:
        return Problem("truncated", True, message="cut off at the token limit")
    if finish == "content_filter":
        return Problem("refusal", True, message="stopped by the server's content filter")
    return None


def find_problems(text: str, *, policy: Policy, anchor: str) -> tuple[Problem, ...]:
    """The problems of a text that is a caption; an empty `anchor` means that none is wanted."""
    problems = []
    if anchor:
        if not holds_anchor(text, anchor):
            message = f'the anchor "{anchor}" is missing'
            problems.append(Problem("missing_anchor", True, message=message))
        elif not _LETTER.search(mask_anchor(text, anchor)):
            message = "nothing but the anchor"
            problems.append(Problem("anchor_only", True, anchor, message))
    forbidden = _forbidden(policy.forbidden)
    if forbidden:
        problems += [
            Problem("describes_style_words", False, word[0], f"{word[0]!r} belongs to the anchor")
            for word in forbidden.finditer(mask_anchor(text, anchor))
        ]
    count = len(list(sentencex.segment("en", text)))
    if count > policy.sentences[1]:
        message = f"{count} sentences, {policy.sentences[1]} at most"
        problems.append(Problem("too_long", False, message=message))
    return tuple(problems)


@lru_cache(maxsize=16)
def _forbidden(words: tuple[str, ...]) -> re.Pattern[str] | None:
    """Whole words in any case; longer entries first, so that "art style" is found before "art"."""
    if not words:
        return None
    longest_first = sorted(map(re.escape, words), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest_first)})\b", re.IGNORECASE)
