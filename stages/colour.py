"""Colours as a screen shows them: eight bits, sRGB, transparency flattened on a background."""

from __future__ import annotations

import io
import math

from PIL import Image, ImageCms, ImageColor

_SRGB = ImageCms.createProfile("sRGB")
# Which images a profile of a colour space is meant for; another one is ignored, as browsers do.
_SPACES = {"RGB": "RGB", "CMYK": "CMYK", "GRAY": "L"}
_ALPHA = frozenset({"LA", "RGBA"})


def background(text: str) -> str:
    """A colour as settings name it. Raises ValueError if it is none."""
    name = text.strip().lower()
    try:
        opaque = len(ImageColor.getrgb(name)) == 3
    except ValueError:
        opaque = False
    if not opaque:
        raise ValueError(f"{text!r} is no colour: say white, grey, black or #rrggbb")
    return name


def hexadecimal(colour: str) -> str:
    """#rrggbb, the same for all names of a colour."""
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return f"#{red:02x}{green:02x}{blue:02x}"


def to_rgb(image: Image.Image, on: str) -> Image.Image:
    """The image in sRGB, mode RGB, its transparent parts showing the colour `on`."""
    profile = image.info.get("icc_profile")
    layer = _in_sight(image)
    if isinstance(profile, bytes):
        layer = _in_srgb(layer, profile)
    if layer.mode not in _ALPHA:
        return layer.convert("RGB")
    alpha = layer.getchannel("A")
    flat = Image.new("RGB", layer.size, hexadecimal(on))
    flat.paste(layer.convert("RGB"), mask=alpha)
    return flat


def _in_sight(image: Image.Image) -> Image.Image:
    """The image as L, LA, RGB, RGBA or CMYK of eight bits."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bit(image)
    if image.mode in ("La", "RGBa"):  # colours multiplied by alpha
        return image.convert("LA" if image.mode == "La" else "RGBA")
    if image.has_transparency_data and image.mode not in _ALPHA:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK") else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The embedded profile applied, its own way of rendering left to it; a broken one, or one for
    other colours, is ignored, as browsers do."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        plain = image.convert(image.mode.removesuffix("A")) if image.mode in _ALPHA else image
        if _SPACES.get(source.profile.xcolor_space.strip()) != plain.mode:
            return image
        converted = ImageCms.profileToProfile(plain, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    if converted is None:
        return image
    if image.mode in _ALPHA:
        converted.putalpha(image.getchannel("A"))
    return converted


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scales greys of 16 and 32 bits to 8 bits; `convert` alone clips them to white."""
    values = image.convert("F")
    low, high = (float(value) for value in values.getextrema())  # type: ignore[arg-type]
    if image.mode.startswith("I;16"):
        top = 65535.0
    elif image.mode == "F" and low >= 0 and high <= 1:
        top = 1.0
    else:
        top = next((top for top in (255.0, 65535.0) if high <= top), high)
    if not math.isfinite(top):
        raise ValueError("its brightest point is infinitely bright")
    grey = values.point(lambda value: value * (255.0 / top) + 0.0).convert("L")
    grey.info.pop("transparency", None)  # of 16 bits: it names no grey any more
    return grey
