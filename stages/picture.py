"""A picture as it is sent to a server: bounded in size, JPEG, without metadata."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

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
