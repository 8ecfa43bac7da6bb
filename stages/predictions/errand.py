"""What a model is asked about one file, through all its tries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stages.answer import Attempt, Message
from stages.llm import Conversation, Manner

_FRAMES = 8  # of a video, about
_LONG = 256  # signs of an input that a list may leave out


@dataclass(slots=True)
class Errand:
    """What one file is asked, through all its tries."""

    message: Message
    attempt: Attempt
    manner: Manner
    key: str = ""
    input: dict[str, Any] = field(default_factory=dict)
    prediction: str = ""
    earlier: bool = False  # it was begun by a process that died
    since: float = 0.0  # when its creation was first asked for
    lost: int = 0  # answers to its creation
    doubtful: bool = False  # it may have been begun: that must be looked for
    by_name: bool = False  # no version was named
    again: bool = False  # the service asked to have it begun again
    ended: bool = False
    seconds: float = 0.0  # that the model computed

    def holds(self, theirs: object) -> bool:
        """True if an input holds all that is sent, perhaps beside defaults."""
        return _holds(theirs, self.input)

    def may_be(self, theirs: object) -> bool:
        """True if it may, where what is long, or all of it, is not told."""
        short = {name: value for name, value in self.input.items() if not _long(value)}
        return not theirs or _holds(theirs, short)

    @property
    def talk(self) -> Conversation:
        """What the model reads, for its weight; the frames of a video weigh as pictures do."""
        said, message = self.message.said, self.message
        texts = "\n".join((said.system, said.prompt, said.answer, said.reply))
        count = len(message.pictures) + (_FRAMES if message.film else 0)
        return [{"content": [{"type": "text", "text": texts}, *[{"type": "image"}] * count]}]


def digest_of(errand: Errand, *of_service: str) -> str:
    """What makes two requests the same, whichever process makes them. Raises OSError for a video
    that cannot be read."""
    message = errand.message
    digest = hashlib.blake2b(digest_size=16)
    about = [*of_service, repr(message.said), repr(errand.attempt), repr(errand.manner)]
    digest.update(json.dumps(about).encode())
    for picture in message.pictures:
        digest.update(hashlib.sha256(picture.data).digest())
    film = message.film
    if film:
        digest.update(repr((film.fps, film.start, film.end)).encode())
        with open(film.path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _holds(theirs: object, ours: Mapping[str, Any]) -> bool:
    if not isinstance(theirs, Mapping):
        return False
    return all(name in theirs and theirs[name] == value for name, value in ours.items())


def _long(value: object) -> bool:
    return len(value if isinstance(value, str) else json.dumps(value)) > _LONG
