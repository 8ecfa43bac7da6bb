"""What a captioner is given, and what it answers, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from stages.asking import Asked
from stages.llm import Manner
from stages.picture import Film, Picture
from stages.sample import Unusable


@dataclass(frozen=True, slots=True)
class Settings:
    """What a captioner needs to know, whichever it is."""

    device: str
    dtype: str = "auto"
    max_new_tokens: int = 512
    temperature: float | None = None  # None: as the family's authors advise; 0: no sampling
    top_p: float | None = None
    top_k: int | None = None
    quantize: str = "none"  # or "8bit", "4bit"
    attn_implementation: str = ""  # "": the one that transformers takes
    compile: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One picture and what is asked about it; or the frames of a video, for those who take them
    together."""

    image: Image.Image  # upright, RGB; of a video the first frame
    prompt: str
    frames: tuple[Image.Image, ...] = ()  # of a video, all of them; or several pictures,
    seconds: tuple[float, ...] = ()  # of which none has a time


@dataclass(frozen=True, slots=True)
class Shown:
    """What is opened of a file to be shown in one question: a picture, a video, or one frame."""

    given: Any  # as the one who opened it wants it back
    seconds: tuple[float, ...] = ()  # of a video: when each of its frames is shown
    video: bool = False  # it is a whole video
    pictures: int = 1  # that it is shown as; 0: as the video that it is


@dataclass(frozen=True, slots=True)
class Message:
    """What a server is shown, and what is said about it."""

    said: Asked
    pictures: tuple[Picture, ...] = ()  # one; or the frames of a video, in their order
    film: Film | None = None  # or the video itself


class Fewer(RuntimeError):
    """It takes fewer pictures in one question, and knows how many by now: open the file anew."""


class TooLong(Unusable):
    """What is asked leaves no room for an answer in what the model reads at once."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How it is asked: at first plainly, again with more room or by other settings."""

    room: int = 1  # times `max_new_tokens`
    otherwise: bool = False  # the first answer ran in circles
    manner: Manner | None = None  # in place of what the captioner was loaded with


@dataclass(frozen=True, slots=True)
class Answer:
    """One draft. `finish` is "stop", or "length" if the model ran into its token limit."""

    text: str
    finish: str
    tokens: int = 0  # that stand in the text
    padding: int = 0  # that were generated beside it, since the batch's longest answer took longer
    read: int = 0  # tokens that were read before it, those of the picture too
    spent: Mapping[str, Any] = field(default_factory=dict)  # a server's other counts: requests …
