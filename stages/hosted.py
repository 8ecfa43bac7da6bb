"""A captioner behind a server: pictures are opened and encoded here, and drafted there."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages import llm
from stages.asking import Asked
from stages.captioners import Answer, Attempt, Hosted, Message, Shown
from stages.drafter import Options
from stages.joy import Wish
from stages.kinds import is_video
from stages.media import open_image, reach
from stages.picture import Film, encoded
from stages.policy import Policy
from stages.reel import Sampling
from stages.video import FEW, SEVERAL, open_video, read_reel, type_of

_SENT = (8, 16)  # frames of a video in one question: each is paid for
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
    def in_words(self) -> bool:
        return self._captioner.in_words

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

    def open(self, media: Path, background: str, sampling: Sampling) -> list[Shown]:
        side, quality = self._options.max_side, self._options.jpeg_quality
        with _OPENING:
            if is_video(media):
                return self._video(media, sampling)
            picture = encoded(open_image(media, (side, side), background), side, quality)
            return [Shown((picture,))]

    def _video(self, media: Path, sampling: Sampling) -> list[Shown]:
        kind, size = type_of(media), reach(media).st_size
        taken = self._captioner.takes(kind, size)
        reel = read_reel(media, sampling) if taken else None  # what is no video is not paid for
        if reel and (reel.whole or self._captioner.cuts):
            rate = sampling.rate(reel.seconds, *SEVERAL)
            end = None if reel.whole else reel.seconds
            return [Shown(Film(media, kind, size, rate, 0.0, end), video=True, pictures=0)]
        most = self._captioner.most_pictures
        least, best = (min(_SENT[0], most), min(_SENT[1], most)) if most > 1 else FEW
        frames = open_video(media, sampling, least, best, most if most > 1 else 0)
        side, quality = self._options.max_side, self._options.jpeg_quality
        pictures = tuple(encoded(frame.image, side, quality) for frame in frames)
        times = tuple(frame.seconds for frame in frames)
        if most > 1 and len(frames) > 1:
            return [Shown(pictures, times, video=True, pictures=len(pictures))]
        return [Shown((one,), (at,)) for one, at in zip(pictures, times, strict=True)]

    def request(self, shown: Shown, asked: Asked) -> Message:
        if isinstance(shown.given, Film):
            return Message(asked, film=shown.given)
        return Message(asked, shown.given)

    def again(self, request: Message, asked: Asked) -> Message:
        return replace(request, said=asked)

    def check(self, request: Message) -> None:
        """Takes any text."""

    def __call__(self, requests: Sequence[Message], attempt: Attempt) -> list[Answer]:
        return [self._captioner(request, attempt) for request in requests]

    def let_go(self, requests: Sequence[Message]) -> None:
        for request in requests:
            self._captioner.let_go(request)

    def close(self) -> None:
        self._captioner.close()
