"""Whether a caption fits the trainer's text encoder."""

from __future__ import annotations

from collections.abc import Iterator

from stages.sample import Problem
from stages.tokens import about_tokens, limit_of, most_tokens


def over_budget(caption: str, encoder: str | int) -> Iterator[Problem]:
    """That a caption has more tokens than the encoder reads, if so.

    `encoder` is a name of TOKEN_LIMITS or a number of tokens.
    """
    most = most_tokens(encoder)
    # No token is estimated below a byte: most captions are too short to be counted.
    if len(caption.encode("utf-8", "replace")) <= most:
        return
    count = about_tokens(caption)
    if count > most:
        limit = limit_of(encoder)
        reads = f"{encoder} reads {limit}" if isinstance(encoder, str) else f"of {limit}"
        message = f"about {count} tokens, {reads}; what is beyond is dropped"
        yield Problem("token_budget", False, message=message)
