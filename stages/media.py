"""Opens an image as a captioner wants it: upright, RGB, no larger than needed."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from stages.sample import Unusable

# By extension, as the older tools and the trainers do; Pillow's own table holds .pdf and .mpg.
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".gif"})

_SRGB = ImageCms.createProfile("sRGB")
_WHITE = (255, 255, 255, 255)


def open_image(path: Path, size: tuple[int, int] | None = None) -> Image.Image:
    """The first frame of `path`, upright, in sRGB, alpha flattened on white, mode RGB.

    `size` is (width, height) in pixels that the model looks at: a larger JPEG is decoded at
    reduced size, never below it (docs of `PIL.Image.Image.draft`).
    Raises Unusable with a reason if the file holds no readable image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if size is not None:
                    image.draft(None, size)
                image.load()
                return _rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise Unusable("the image file is gone (or a link to nothing)") from None
    except PermissionError:
        raise Unusable("no permission to read the image file") from None
    except IsADirectoryError:
        raise Unusable("this is a folder with an image's name") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unusable(
            f"too large to open safely: more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels"
        ) from None
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        raise Unusable(
            "the image file is empty" if empty else "not an image that can be read"
        ) from None
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError) as error:
        # Pillow's decoders raise all of these on damaged files.
        raise Unusable(f"the image is damaged: {error}") from None


def _rgb(image: Image.Image) -> Image.Image:
    """Colours as a screen shows them: the embedded profile applied, then flattened to RGB."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bit(image)
    elif profile and image.mode in {"RGB", "CMYK", "L"}:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
            image = converted or image
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile is ignored, as browsers do
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        flat = Image.new("RGBA", layer.size, _WHITE)
        return Image.alpha_composite(flat, layer).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scales 16-bit and 32-bit greys to 8 bits; `convert` alone clips them to white."""
    low, high = image.convert("F").getextrema()
    top = 65535.0 if float(high) > 255.0 or image.mode.startswith("I;16") else 255.0  # type: ignore[arg-type]
    if image.mode == "F" and float(high) <= 1.0 and float(low) >= 0.0:  # type: ignore[arg-type]
        top = 1.0
    return image.convert("F").point(lambda value: value * (255.0 / top) + 0.0).convert("L")
