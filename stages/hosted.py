"""A captioner behind a server: pictures are opened and encoded here, and drafted there."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages import llm
from stages.asking import Asked
from stages.captioners import Answer, Attempt, Hosted, Message
from stages.drafter import Options
from stages.joy import Wish
from stages.media import open_image
from stages.picture import encoded
from stages.policy import Policy

# Pictures opened at once: more threads than that wait for answers, and decoded ones are large.
_OPENING = threading.BoundedSemaphore(4)


class Served:
    """A model on a server, which is asked about as many pictures at once as it bears."""

    always: tuple[str, ...] = ("max_new_tokens",)
    telling: tuple[str, ...] = (
        "temperature",
        "top_p",
        "top_k",
        "max_side",
        "jpeg_quality",
        "detail",
    )
    in_words = True
    notice = ""

    def __init__(self, options: Options, server: llm.Options, captioner: Hosted) -> None:
        """`server` is the one that `captioner` asks."""
        self._options = options
        self.server: llm.Options | None = server
        self._captioner = captioner
        self.workers = captioner.workers
        self._named = captioner.origin  # "" until it is asked, if the user names none
        self._prepared = False

    @property
    def model(self) -> object:
        effort = self.server.reasoning_effort if self.server else ""
        return (self._captioner.name, effort) if effort else self._captioner.name

    @property
    def origin(self) -> str:
        return self._captioner.origin

    def wording(self, policy: Policy, wish: Wish) -> object | None:
        """Which model answers, and so how it is asked, may show only later."""
        if not self._named:
            return (policy.draft(), wish)
        return self._captioner.prompt(policy, wish, self._named)

    def prompt(self, policy: Policy, wish: Wish) -> str:
        return self._captioner.prompt(policy, wish, self._captioner.origin)

    def prepare(self) -> Mapping[str, Any]:
        """Once, whichever concepts share it."""
        if self._prepared:
            return {}
        self._prepared = True
        return self._captioner.prepare()

    def load(self) -> None:
        """Nothing to load."""

    def batch_size(self, wished: int) -> int:
        return 1

    def request(self, media: Path, background: str, asked: Asked) -> Message:
        side, quality = self._options.max_side, self._options.jpeg_quality
        with _OPENING:
            picture = encoded(open_image(media, (side, side), background), side, quality)
        return Message(asked, (picture,))

    def again(self, request: Message, asked: Asked) -> Message:
        return replace(request, said=asked)

    def check(self, request: Message) -> None:
        """Takes any text."""

    def __call__(self, requests: Sequence[Message], attempt: Attempt) -> list[Answer]:
        return [self._captioner(request, attempt) for request in requests]

    def close(self) -> None:
        self._captioner.close()
