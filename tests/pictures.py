"""One scene that the tiny captioner knows, in any format and any position."""

from __future__ import annotations

import importlib.util
import io
import random

from PIL import Image
from scenes import MORE_DETAILED, Scene, caption, draw

SCENE = Scene("red", "circle", "above", "blue", "square")
DRAFT = caption(SCENE, MORE_DETAILED)
HEIC = importlib.util.find_spec("pillow_heif") is not None
JXL = importlib.util.find_spec("pillow_jxl") is not None
if HEIC:
    import pillow_heif

    pillow_heif.register_heif_opener()
if JXL:
    import pillow_jxl  # noqa: F401 - registers itself


def picture() -> Image.Image:
    """The scene that every file shows in which one can be seen; no two rotations are alike."""
    return draw(SCENE, random.Random(4), 2)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(orientation: int) -> tuple[Image.Image, Image.Exif]:
    """The scene stored otherwise, and the EXIF block that says how to turn it upright."""
    methods = Image.Transpose
    back = {
        2: methods.FLIP_LEFT_RIGHT,
        3: methods.ROTATE_180,
        4: methods.FLIP_TOP_BOTTOM,
        5: methods.TRANSPOSE,
        6: methods.ROTATE_90,
        7: methods.TRANSVERSE,
        8: methods.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = picture()
    return image.transpose(back[orientation]) if orientation in back else image, exif
