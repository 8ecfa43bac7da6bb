"""Removes what a policy leaves out, by whole sentences only.

Within a clause, grammar would break: that is left to a repair turn.
"""

from __future__ import annotations

import re

from stages.policy import Policy, read_words
from stages.text.anchor import holds_anchor
from stages.text.traits import described
from stages.text.words import sentences, words

_BACKGROUND = re.compile(
    r"(?:in the (?:back ?ground|distance)\b|the (?:background|backdrop|setting)\b"
    r"|behind (?:her|him|them|it),)",
    re.IGNORECASE,
)


def without_omitted(text: str, anchor: str, policy: Policy) -> str:
    """The text without the sentences that describe nothing but what the policy leaves out; one with
    the anchor stays, and so does the last one."""
    if not policy.omits:
        return text
    found = sentences(text)
    if len(found) < 2:
        return text
    kept = [one for one in found if not _only_omitted(one, anchor, policy)]
    return text if len(kept) in (0, len(found)) else " ".join(kept)


def _only_omitted(sentence: str, anchor: str, policy: Policy) -> bool:
    if anchor and holds_anchor(sentence, anchor):
        return False
    if "background" in policy.omits and _BACKGROUND.match(sentence):
        return True
    spans = [(one.start, one.end) for one in described(sentence, anchor, policy.omits)]
    vocabulary = read_words()
    empty = vocabulary.function | vocabulary.carriers
    return bool(spans) and all(
        word.text in empty or any(start <= word.start < end for start, end in spans)
        for word in words(sentence)
    )
