"""Opens an image as a captioner wants it: upright, RGB, no larger than needed."""

from __future__ import annotations

import errno
import functools
import logging
import math
import os
import re
import stat
import struct
import warnings
import zlib
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from stages import extras
from stages.colour import to_rgb
from stages.contents import HEAD, image_name, what_it_holds
from stages.kinds import kind_of
from stages.sample import Unavailable, Unusable

log = logging.getLogger(__name__)

# What is opened, whatever the name: Pillow would start Ghostscript for a drawing named .png.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")

_SMALLEST = 32  # pixels: models look at patches of 14 to 28, and take 1 or 3 rows for colours
_LONGEST = 100  # times as long as wide; models refuse 200
_LARGE = 16_000_000  # pixels: a batch of larger ones would fill the memory
_AGAIN = "copy or download it again"

# The threads that open images share one list of filters, so it is set once. What Pillow warns of
# (a crooked EXIF block, odd transparency, a large image) we bear, or tell in words of our own.
warnings.filterwarnings("ignore", module=r"PIL\.|pillow_(heif|jxl)")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def reach(path: Path) -> os.stat_result:
    """The state of a file that may be an image or a video. Raises Unavailable, with a reason, where
    there is none that could be read: a pipe would be waited for, a device never ends."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise unreachable(path, error) from None
    a_kind = {"image": "an image", "video": "a video"}[kind_of(path)]
    for is_one, what in (
        (stat.S_ISDIR, f"a folder with {a_kind}'s name"),
        (stat.S_ISFIFO, f"a named pipe, not {a_kind} file"),
        (stat.S_ISSOCK, f"a socket, not {a_kind} file"),
        (stat.S_ISCHR, f"a device, not {a_kind} file"),
        (stat.S_ISBLK, f"a device, not {a_kind} file"),
    ):
        if is_one(status.st_mode):
            raise Unavailable(f"this is {what}")
    return status


def unreachable(path: Path, error: OSError) -> Unavailable:
    """Why a file cannot be read now."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if os.path.islink(path):
            return Unavailable(f"this is a link to {os.readlink(path)}, and nothing is there")
        return Unavailable(f"the {kind_of(path)} file is gone")
    if error.errno in (errno.EACCES, errno.EPERM):
        what = kind_of(path)
        return Unavailable(f"no permission to read the {what} file: allow it, then run again")
    if error.errno == errno.ELOOP:
        return Unavailable("this is a link that leads back to itself")
    if error.errno == errno.ENAMETOOLONG:
        return Unavailable("the name of the file is too long: shorten it")
    reason = f"the disk or network cannot read it ({error.strerror}): look after it, then run again"
    return Unavailable(reason)


def open_image(
    path: Path, size: tuple[int, int] | None = None, background: str = "white"
) -> Image.Image:
    """The first picture in `path`, upright, in sRGB, flattened on `background`, mode RGB.

    `size` is (width, height) in pixels that the model looks at: a larger JPEG is decoded at
    reduced size, never below it (docs of `PIL.Image.Image.draft`). None: as much as is there, of
    very large images some millions of pixels.
    Raises Unusable with a reason if the file holds no readable image, Unavailable if it cannot be
    read now.
    """
    reach(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            try:
                return _opened(path, file, head, size, background)
            except (Unusable, Unavailable, MemoryError):
                raise
            except OSError as error:
                if error.errno is not None:  # of the disk; decoders give no number
                    raise
                raise Unusable(_why(error, head)) from None
            except Exception as error:  # decoders raise whatever comes to them on damaged files
                raise Unusable(_why(error, head)) from None
    except OSError as error:
        raise unreachable(path, error) from None
    except MemoryError:
        raise Unavailable("not enough memory to open it: make it smaller") from None


def open_picture(
    file: IO[bytes], size: tuple[int, int] | None = None, background: str = "white"
) -> Image.Image:
    """As `open_image`, of bytes that lie in no file."""
    head = file.read(HEAD)
    try:
        return _opened(Path("picture"), file, head, size, background)
    except (Unusable, Unavailable):
        raise
    except MemoryError:
        raise Unavailable("not enough memory to open it: make it smaller") from None
    except Exception as error:  # decoders raise whatever comes to them on damaged files
        raise Unusable(_why(error, head)) from None


def _opened(
    path: Path, file: IO[bytes], head: bytes, size: tuple[int, int] | None, background: str
) -> Image.Image:
    if not head:
        raise Unusable(f"the file is empty: {_AGAIN}")
    extra = extras.format_of(head)
    if extra:
        extras.load(extra, path)
        _check_size(extras.jxl_size(head) if extra == "JXL" else None)
    with Image.open(file, formats=(extra,) if extra else _FORMATS) as image:
        if image.width > _LONGEST * image.height or image.height > _LONGEST * image.width:
            raise Unusable(
                f"{image.width} x {image.height} pixels are too narrow for captioners, which take "
                f"at most {_LONGEST} times as long as wide: cut it into pieces"
            )
        factor = _factor(image)
        image.draft(None, size or (image.width // factor, image.height // factor))
        _check_size(image.size)
        image.load()
        turn = _TURNS.get(_orientation(image))
        picture = _reduced(image, size) if image.mode in _REDUCIBLE else image
        picture = _reduced(to_rgb(picture, background), size)
        if turn is not None:
            picture = picture.transpose(turn)
        _check_whole(file, image.format)
        _tell_of_more(image)
    return _enlarged(picture)


def _check_size(size: tuple[int, int] | None) -> None:
    most = Image.MAX_IMAGE_PIXELS
    if size is not None and most is not None and size[0] * size[1] > most:
        raise Unusable(_too_large(f"{size[0]} x {size[1]}"))


def _too_large(pixels: str) -> str:
    most = Image.MAX_IMAGE_PIXELS or 0
    return (
        f"{pixels} pixels are too many to open safely: at most {most:,}, twice as many of a JPEG; "
        "make it smaller"
    )


_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _orientation(image: Image.Image) -> int:
    """How the image is to be turned, as EXIF says. Not ImageOps.exif_transpose, which writes the
    rest of the block anew, and fails where that is crooked."""
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        return 1  # its decoder has turned it
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # crooked metadata costs no picture
        return 1


_REDUCIBLE = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"})


def _reduced(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    """A very large image by a whole factor, never below the size that the model looks at."""
    factor = _factor(image)
    if size is not None:
        factor = min(factor, image.width // size[0], image.height // size[1])
    return image.reduce(factor) if factor > 1 else image


def _factor(image: Image.Image) -> int:
    """By which both sides are to be divided for the image not to be very large."""
    return math.ceil(math.sqrt(image.width * image.height / _LARGE))


def _enlarged(image: Image.Image) -> Image.Image:
    shorter = min(image.size)
    if shorter >= _SMALLEST:
        return image
    width, height = (max(_SMALLEST, round(side * _SMALLEST / shorter)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _check_whole(file: IO[bytes], format_name: str | None) -> None:
    """Raises Unusable for what decoders let pass: a download that was cut, its rest still zeros."""
    if format_name == "PNG":
        whole = _sums_hold(file)
    elif format_name == "WEBP":
        file.seek(4)
        end = 8 + int.from_bytes(file.read(4), "little")
        file.seek(max(end - 64, 0))
        whole = bool(file.read(min(64, end)).strip(b"\x00"))
    else:
        return
    if not whole:
        raise Unusable(f"the image is damaged: {_AGAIN}")


def _sums_hold(file: IO[bytes]) -> bool:
    """True if the checksums of a PNG's pixel data are right; Pillow does not look at them."""
    file.seek(8)
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind == b"IEND":
            break
        if kind != b"IDAT":
            file.seek(length + 4, os.SEEK_CUR)
            continue
        data = file.read(length)
        if zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(file.read(4)):
            return False
    return True


def _tell_of_more(image: Image.Image) -> None:
    if image.format in ("MPO", "JPEG"):  # a second view or a preview of the same
        return
    try:
        several = bool(getattr(image, "is_animated", False))
    except Exception:  # a damaged second frame
        several = True
    if several:
        _tell_once(image.format in ("TIFF", "HEIF"))


@functools.cache
def _tell_once(pages: bool) -> None:
    what = "files of several images" if pages else "animated images"
    log.info("of %s the first %s is captioned", what, "one" if pages else "frame")


def _why(error: Exception, head: bytes) -> str:
    """What a decoder's error means to the person who has the file."""
    said = " ".join(str(error).split())
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\d+", said)
        return _too_large(f"{int(pixels[0]):,}" if pixels else "its")
    if "MAX_TEXT" in said or "text memory" in said:
        return "the text or profile in it unpacks to megabytes: save it anew without metadata"
    if not isinstance(error, UnidentifiedImageError):
        if re.search(r"truncat|premature|end of file|create decoder", said, re.IGNORECASE):
            return f"the file is cut off: {_AGAIN}"
        plain = 0 < len(said) < 80 and "(" not in said  # else it is for programmers
        return f"the image is damaged{f' ({said})' if plain else ''}: {_AGAIN}"
    name = image_name(head)
    if name:
        return f"the {name} is damaged, or of a kind that is not read: {_AGAIN}, or save it as PNG"
    held = what_it_holds(head)
    return f"it holds {held}" if held else "not an image, or of a kind that is not read"
