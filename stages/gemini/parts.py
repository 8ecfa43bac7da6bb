"""What Gemini is shown and told, part by part, and how many tokens that makes, about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stages.answer import Message
from stages.gemini.uploads import Upload
from stages.gemini.videos import kind_of
from stages.picture import Film

if TYPE_CHECKING:
    from google.genai.types import Content, Part

_LETTERS = 4  # a token
_PICTURE = 1200  # tokens, where no answer has told: 258 for each tile of a large one
_FRAME = 258  # of a video, at most
_UNTOLD = 32  # frames of a video whose end is not told
_FASTEST, _SLOWEST = 24.0, 0.05  # frames a second


def contents(message: Message, folds: bool, upload: Upload | None) -> list[Content]:
    """The turns of a conversation; `folds`: the system's words stand in the first."""
    from google.genai.types import Content, Part

    said = message.said
    # What is looked at comes first, as Google advises.
    parts = [Part.from_bytes(data=one.data, mime_type=one.kind) for one in message.pictures]
    if message.film:
        parts.append(_film(message.film, upload))
    if folds and said.system:
        parts.append(Part(text=said.system))
    parts.append(Part(text=said.prompt))
    turns = [Content(role="user", parts=parts)]
    if said.reply:
        turns.append(Content(role="model", parts=[Part(text=said.answer)]))
        turns.append(Content(role="user", parts=[Part(text=said.reply)]))
    return turns


def _film(film: Film, upload: Upload | None) -> Part:
    from google.genai.types import Blob, FileData, Part, VideoMetadata

    looked: dict[str, Any] = {"fps": min(max(film.fps, _SLOWEST), _FASTEST)}
    looked["start_offset"] = f"{film.start:.3f}s"
    if film.end is not None:
        looked["end_offset"] = f"{film.end:.3f}s"
    part = Part(video_metadata=VideoMetadata(**looked))
    if upload:
        part.file_data = FileData(file_uri=upload.uri, mime_type=kind_of(film))
    else:
        part.inline_data = Blob(data=film.path.read_bytes(), mime_type=kind_of(film))
    return part


class Weights:
    """How much a message weighs; what a picture weighs is learned from the answers."""

    def __init__(self) -> None:
        self._picture = self._film = 0

    def tokens(self, message: Message) -> int:
        seen = len(message.pictures) * (self._picture or _PICTURE)
        film = self._film or _frames(message.film) * _FRAME
        return _texts(message) + seen + (film if message.film else 0)

    def learn(self, message: Message, prompt_tokens: int) -> None:
        """The heaviest picture, or video, is what the next one may weigh."""
        told = max(prompt_tokens - _texts(message), 0)
        if told and message.film:
            self._film = max(self._film, told)
        elif told and message.pictures:
            self._picture = max(self._picture, told // len(message.pictures), 1)


def _texts(message: Message) -> int:
    said = message.said
    texts = (said.system, said.prompt, said.answer, said.reply)
    return sum(len(text) for text in texts) // _LETTERS


def _frames(film: Film | None) -> int:
    if film is None:
        return 0
    if film.end is None:
        return _UNTOLD
    return int(max(film.end - film.start, 1.0) * film.fps) + 1
