""" "The image shows", "This is a photograph of": what captioners say before the caption begins.

An opener goes only where what remains is grammatical: before a noun phrase, never before "her
sitting" or "how".
"""

from __future__ import annotations

import re

_PICTURE = (
    r"(?:image|picture|photo|photograph|snapshot|scene|artwork|video|video clip|clip|frame"
    r"|screenshot|footage)"
)
_ADJECTIVES = r"(?:(?:color|colour|black[- ]and[- ]white|high[- ]quality|digital|given|provided) )?"
_THE = (
    rf"(?:the|this|our|your) {_ADJECTIVES}{_PICTURE}"
    r"(?: (?:that )?you(?:['’]ve| have)? (?:provided|shared|uploaded|sent|attached))?"
)
_SHOWS = (
    r"(?:shows|depicts|features|displays|captures|portrays|presents|showcases|contains|illustrates"
    r"|is (?:of|showing|depicting|featuring)|appears to (?:show|depict|feature|be of)"
    r"|seems to show)"
)
_NO_NOUN = (
    r"(?!(?:that|how|what|where|when|why|who|which|her|him|them|it|us|me|she|he|they|signs?|no|nothing"
    r"|off|up|in|on|at|to|from|by|with|as|and|or|is|are|was)\b)"
)
_OPENER = re.compile(
    rf"(?:(?:in|within) {_THE},? (?:(?:we|you|one|i) can see |(?:we|you) see |there (?:is|are) )"
    rf"|(?:in|within) {_THE}, "
    rf"|(?:in|within) {_THE} (?=(?:an?|the|one|two|three|four|several|some) )"
    rf"|{_THE} {_SHOWS},? (?:that (?=(?:[^\s,.]+ ){{1,4}}(?:is|are|was|were|has|have)\b))?"
    rf"|(?:this|it) is (?:an?|the) {_ADJECTIVES}{_PICTURE} (?:of|showing|depicting|featuring) "
    rf"|{_THE} is (?:an?|the) {_ADJECTIVES}{_PICTURE} (?:of|showing|depicting|featuring) "
    rf"|{_THE} is (?=(?:an?|the) (?:\w+[- ]){{0,2}}(?:shot|close[- ]?up|portrait|view)\b)"
    rf"|this is (?=(?:an?|the) (?:\w+[- ]){{0,2}}(?:shot|close[- ]?up|portrait|view)\b)"
    r"|(?:we|you|one|i) can see |(?:we|you|i) see |it (?:appears|seems) that "
    r"|i (?:think|believe) (?:that )?(?:this|it) (?:is|shows) "
    rf"){_NO_NOUN}",
    re.IGNORECASE,
)


def without_opener(text: str) -> str:
    """The text from where the caption begins; a text that is nothing but an opener stays."""
    found = _OPENER.match(text)
    return text[found.end() :] if found and text[found.end() :].strip() else text
