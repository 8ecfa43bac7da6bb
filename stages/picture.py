"""What is sent to a server: a picture, bounded in size, JPEG, no metadata; or a whole video."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture."""

    data: bytes
    kind: str = "image/jpeg"

    @property
    def uri(self) -> str:
        """As a data URI, which needs no place that a server could fetch it from."""
        return f"data:{self.kind};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True, slots=True)
class Film:
    """A video file as it stands, for a service that takes videos."""

    path: Path
    kind: str  # "video/mp4", …
    size: int  # bytes
    fps: float  # frames of each second that the model shall look at
    start: float = 0.0  # seconds: the part of it that is described,
    end: float | None = None  # None: to its end


def encoded(image: Image.Image, side: int, quality: int) -> Picture:
    """An upright RGB image, at most `side` pixels long and wide."""
    if max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    # Its comment would be written too; where and by whom it was taken is nobody's business.
    image.info = {}
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Picture(buffer.getvalue())
