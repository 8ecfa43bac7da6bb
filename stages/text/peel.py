"""Takes off what a model wrapped around its caption.

The layers nest (a thought, a preamble, a bold label, quotes, a note), so the rules run until none
applies.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from stages.text.alternatives import first_with, one_of_several, without_timestamps
from stages.text.anchor import begins_with_anchor, holds_anchor
from stages.text.opener import without_opener
from stages.text.remarks import without_closing, without_label, without_preamble
from stages.text.thoughts import within_answer, without_thoughts, without_tokens
from stages.text.wrapping import without_fence, without_json, without_markup, without_quotes

LONGEST = 10_000  # characters: nobody's caption is longer, and a bound keeps every rule quick

_LINES = re.compile(r"\n{3,}")

_Rule = tuple[str, Callable[[str], str]]


def peel(raw: str, anchor: str = "") -> tuple[str, tuple[str, ...]]:
    """(what is left, what was taken off). Nothing is taken from a caption that has no wrapping.

    Of several captions the first that holds the `anchor` stays. A text that is longer than LONGEST
    without its thoughts is left as it is.
    """
    text, edits = raw, []
    choose = first_with(lambda caption: bool(anchor) and holds_anchor(caption, anchor))

    def spare(rule: Callable[[str], str]) -> Callable[[str], str]:
        """`rule`, but for a text that begins with the anchor: "yes!man" agrees to nothing."""
        return lambda text: text if anchor and begins_with_anchor(text, anchor) else rule(text)

    # In this order: each rule may uncover what the next one looks for.
    rules: tuple[_Rule, ...] = (
        ("joined spaces", _without_gaps),
        ("removed reasoning", without_thoughts),
        ("unwrapped the answer", within_answer),
        ("removed special tokens", without_tokens),
        ("removed a code fence", without_fence),
        ("unwrapped JSON", lambda text: without_json(text, choose)),
        ("removed a preamble", spare(without_preamble)),
        ("removed a label", spare(without_label)),
        ("removed closing remarks", lambda text: without_closing(text, anchor)),
        ("removed timestamps", without_timestamps),
        ("unwrapped a list", lambda text: one_of_several(text, choose, anchor)),
        ("removed markup", lambda text: without_markup(text, anchor)),
        ("removed quotes", without_quotes),
        ("removed an opener", spare(without_opener)),
    )
    before = None
    while text != before:
        before = text
        for name, rule in rules:
            while (changed := rule(text)) != text:  # each one shortens it, so this ends
                edits.append(name)
                text = changed.strip()
            if rule is without_tokens and len(text) > LONGEST:
                return text, tuple(dict.fromkeys(edits))
    return text, tuple(dict.fromkeys(edits))


def _without_gaps(text: str) -> str:
    """No space around line breaks, and at most two of these in a row: no rule crosses deserts."""
    if "\n" not in text:
        return text
    return _LINES.sub("\n\n", "\n".join(line.strip() for line in text.split("\n")))
