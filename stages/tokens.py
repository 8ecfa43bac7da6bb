"""How many tokens text encoders read of a caption, and about how many a text has."""

from __future__ import annotations

import re

# What is beyond is dropped without a word. CLIP takes 77 with its start and end.
TOKEN_LIMITS = {
    "clip": 75,
    "clip-225": 225,  # three windows, as sd-scripts joins them with max_token_length
    "ltx": 128,  # the early releases
    "cogvideox": 226,
    "sd3": 256,
    "hunyuan": 256,
    "t5": 512,
    "flux": 512,
    "wan": 512,
    "qwen-image": 1024,
}
# Of the limit: tokens are estimated, and some models fade before their end.
LONGEST = 0.9
# Of English captions, punctuation included: 24 of the policies and examples have 1.13.
TOKENS_PER_WORD = 1.25

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
)
_PIECE = re.compile(rf"[{_UNSPACED}]|\d|[^\W\d_{_UNSPACED}]+|[^\s\w]|_")


def token_limit(text: str) -> str | int:
    """A name of TOKEN_LIMITS, in any case, or a number of tokens. Raises ValueError."""
    name = text.strip().lower()
    if name in TOKEN_LIMITS:
        return name
    if name.isdecimal() and int(name) > 0:
        return int(name)
    known = ", ".join(TOKEN_LIMITS)
    raise ValueError(f"{text!r} is no number of tokens and none of {known}")


def limit_of(encoder: str | int) -> int:
    """How many tokens an encoder reads."""
    return TOKEN_LIMITS[encoder] if isinstance(encoder, str) else encoder


def most_tokens(encoder: str | int) -> int:
    """How many tokens by `about_tokens` a caption may have for an encoder."""
    exact = isinstance(encoder, str) and encoder.startswith("clip")
    return limit_of(encoder) if exact else int(limit_of(encoder) * LONGEST)


def most_words(encoder: str | int) -> int:
    """The same in English words, for people and language models, who count no tokens."""
    return max(1, int(most_tokens(encoder) / TOKENS_PER_WORD))


def about_tokens(text: str) -> int:
    """About how many tokens an encoder makes of a text: tokenizers differ, rare words cost more.

    A word is one token and one more for every six letters past six; a digit or a sign is one.
    Words with accents, in other alphabets and in scripts without spaces cost more. By CLIP's own
    vocabulary 24 captions of the policies and examples have 282 tokens, by this estimate 279; a
    sentence of long words 39 and 33, one in Russian 38 and 24.
    """
    return sum(map(_tokens, _PIECE.findall(text)))


def _tokens(piece: str) -> int:
    if piece.isascii():
        return 1 + max(0, len(piece) - 6) // 6
    if len(piece) == 1:
        return 2 if piece.isalpha() else 1
    latin = any(letter.isascii() for letter in piece)
    return 1 + len(piece) // (3 if latin else 2)
