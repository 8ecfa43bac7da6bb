"""A folder of more than a hundred odd and broken image files, and what must become of each.

python tests/odd_images.py FOLDER
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from odd_bytes import BROKEN, MISLABELLED, NO_IMAGES, png_of
from pictures import DRAFT, HEIC, JXL, encoded, picture, turned
from PIL import Image, ImageCms


@dataclass(frozen=True)
class Odd:
    """One file and its outcome: captioned, or explained with `reason` in the explanation."""

    name: bytes
    make: Callable[[Path], object]
    reason: str = ""
    draft: str = ""  # where the picture can be recognised


def everything() -> list[Odd]:
    """All of them; without the packages for HEIC and JPEG XL fewer."""
    return [*_formats(), *_orientations(), *_modes(), *_profiles(), *_frames(), *_names(), *_odd()]


def make(folder: Path) -> list[Odd]:
    """Makes the files; those that this machine cannot make are left out. Each stands in a folder
    where none of the others has its stem."""
    made: list[Odd] = []
    stems = Counter[bytes]()
    for odd in [*everything(), *_broken()]:
        stem = os.path.splitext(odd.name)[0].lower()
        stems[stem] += 1
        if stems[stem] > 1:
            odd = replace(odd, name=b"%d/%s" % (stems[stem], odd.name))
        path = Path(os.fsdecode(os.path.join(os.fsencode(folder), odd.name)))
        path.parent.mkdir(exist_ok=True)
        try:
            odd.make(path)
        except (OSError, AttributeError):  # a disk or system without such names or things
            continue
        made.append(odd)
    return made


def _bytes(name: str | bytes, data: bytes, reason: str = "", draft: str = "") -> Odd:
    encoded_name = name if isinstance(name, bytes) else name.encode()
    return Odd(encoded_name, lambda path: path.write_bytes(data), reason, draft)


def _seen(name: str | bytes, data: bytes) -> Odd:
    return _bytes(name, data, draft=DRAFT)


def _formats() -> Iterator[Odd]:
    image = picture()
    for name, kind, options in (
        ("plain.png", "PNG", {}),
        ("plain.jpg", "JPEG", {"quality": 95}),
        ("loud.JPEG", "JPEG", {"quality": 95}),
        ("saved.jfif", "JPEG", {"quality": 95}),
        ("progressive.JpG", "JPEG", {"quality": 95, "progressive": True}),
        ("plain.webp", "WEBP", {"quality": 95}),
        ("lossless.WebP", "WEBP", {"lossless": True}),
        ("plain.bmp", "BMP", {}),
        ("plain.gif", "GIF", {}),
        ("plain.avif", "AVIF", {"quality": 95}),
        ("plain.tif", "TIFF", {}),
        ("packed.TIFF", "TIFF", {"compression": "tiff_lzw"}),
        ("big.tiff", "TIFF", {"big_tiff": True}),
        ("png.jpg", "PNG", {}),
        ("jpeg.png", "JPEG", {"quality": 95}),
        ("webp.jpg", "WEBP", {}),
        ("gif.png", "GIF", {}),
        ("avif.jpeg", "AVIF", {}),
        ("tiff.jpg", "TIFF", {}),
        *((name, "HEIF", {}) for name in ("plain.heic", "plain.HEIF", "heic.jpg") if HEIC),
        *((name, "JXL", {}) for name in ("plain.jxl", "jxl.png") if JXL),
    ):
        yield _seen(name, encoded(image, kind, **options))
    png, jpeg = encoded(image, "PNG"), encoded(image, "JPEG", quality=95)
    yield _seen("more behind.png", png + b"something else" * 500)
    yield _seen("more behind.jpg", jpeg + b"\xff\x00something else" * 500)
    yield _seen("zeros behind.jpg", jpeg + bytes(5000))
    yield _seen("more behind.webp", encoded(image, "WEBP") + bytes(5000))
    yield _seen("no end.png", png[:-12])
    huge = Image.new("RGB", (12_000, 8_000), (40, 90, 200))
    yield Odd(b"panorama.jpg", lambda path: huge.save(path, quality=30))


def _orientations() -> Iterator[Odd]:
    for number in range(1, 9):
        image, exif = turned(number)
        yield _seen(f"turned {number}.jpg", encoded(image, "JPEG", quality=95, exif=exif))
    image, exif = turned(6)
    for kind in ("PNG", "WEBP", "TIFF", "AVIF", *(["HEIF"] if HEIC else [])):
        extension = "heic" if kind == "HEIF" else kind.lower()
        yield _seen(f"turned.{extension}", encoded(image, kind, exif=exif.tobytes()))
    if JXL:
        yield Odd(b"turned jpeg.jxl", _recompressed, draft=DRAFT)
    crooked = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\xff" * 200
    yield _seen("crooked EXIF.jpg", encoded(picture(), "JPEG", quality=95, exif=crooked))
    circle = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00"
    yield _seen("circling EXIF.webp", encoded(picture(), "WEBP", exif=circle))


def _recompressed(path: Path) -> None:
    """A JPEG as JPEG XL keeps it, every byte of it."""
    image, exif = turned(6)
    with tempfile.TemporaryDirectory() as folder:
        image.save(f"{folder}/a.jpg", quality=95, exif=exif)
        with warnings.catch_warnings(), Image.open(f"{folder}/a.jpg") as jpeg:
            warnings.simplefilter("ignore")
            jpeg.save(path)


def _modes() -> Iterator[Odd]:
    image = picture()
    for mode in ("1", "L", "P", "LA", "RGBA"):
        yield _bytes(f"mode {mode}.png", encoded(image.convert(mode), "PNG"))
    yield _seen("cmyk.jpg", encoded(image.convert("CMYK"), "JPEG", quality=95))
    yield _seen("cmyk.tif", encoded(image.convert("CMYK"), "TIFF"))
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    in_lab = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    assert in_lab is not None
    yield _seen("lab.tif", encoded(in_lab, "TIFF"))
    yield _seen("video colours.tif", encoded(image, "TIFF", compression="jpeg", quality=95))
    grey = image.convert("L")
    deep = grey.convert("I").point(lambda value: value * 257 + 0)
    yield _bytes("grey of 16 bits.png", encoded(deep.convert("I;16"), "PNG"))
    yield _bytes("grey of 16 bits.tif", encoded(deep.convert("I;16"), "TIFF"))
    yield _bytes("grey of 32 bits.tif", encoded(deep, "TIFF"))
    yield _bytes("grey of fractions.tif", encoded(grey.convert("F"), "TIFF"))
    rows = b"".join(
        b"\x00" + bytes(part for value in row for part in (value, 0))
        for row in _rows(image.tobytes(), image.width * 3)
    )
    yield _seen("colours of 16 bits.png", png_of(image.size, rows, depth=16, colour=2))
    clear = image.convert("RGBA")
    clear.putalpha(grey.point(lambda value: 255 if value != grey.getpixel((2, 2)) else 0))
    yield _bytes("cut out.png", encoded(clear, "PNG"))
    yield _bytes("cut out.webp", encoded(clear, "WEBP", lossless=True))
    palette = image.quantize(16)
    yield _bytes("see-through palette.png", encoded(palette, "PNG", transparency=bytes(range(16))))
    yield _bytes("see-through colour.gif", encoded(palette, "GIF", transparency=0))
    yield _bytes("see-through grey.png", encoded(grey, "PNG", transparency=128))
    yield _bytes("black.png", encoded(Image.new("RGB", (64, 64)), "PNG"))


def _rows(data: bytes, width: int) -> Iterator[bytes]:
    return (data[start : start + width] for start in range(0, len(data), width))


def _profiles() -> Iterator[Odd]:
    image = picture()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield _seen("profile.jpg", encoded(image, "JPEG", quality=95, icc_profile=srgb))
    yield _seen("broken profile.png", encoded(image, "PNG", icc_profile=b"no profile"))
    yield _seen("cut profile.jpg", encoded(image, "JPEG", quality=95, icc_profile=srgb[:200]))
    yield _bytes("foreign profile.png", encoded(image.convert("L"), "PNG", icc_profile=srgb))
    palette = image.quantize(64)
    yield _seen("palette and profile.png", encoded(palette, "PNG", icc_profile=srgb))


def _frames() -> Iterator[Odd]:
    image = picture()
    other = [Image.new("RGB", image.size, (0, 255, 0))] * 2
    for extension, kind in (
        *(("gif", "GIF"), ("webp", "WEBP"), ("png", "PNG"), ("avif", "AVIF")),
        *(("tif", "TIFF"), ("jpg", "MPO")),
        *([("heic", "HEIF")] if HEIC else []),
    ):
        data = encoded(image, kind, save_all=True, append_images=other)
        yield _seen(f"several.{extension}", data)
    moving = encoded(image, "GIF", save_all=True, append_images=other)
    yield _seen("second frame cut.gif", moving[: len(encoded(image, "GIF")) + 30])


def _names() -> Iterator[Odd]:
    png = encoded(picture(), "PNG")
    for name in (
        b"caf\xe9.png",
        b"\xff\xfe.png",
        "été.png".encode(),
        "e\u0301te\u0301 2.png".encode(),
        "日本 🎨.png".encode(),
        "\u202egnp.exe.png".encode(),
        b" spaces .png",
        b"two\nlines.png",
        b"-rf.png",
        b"100% {0} %s $HOME.png",
        b"a.b.c..png",
        b"'quoted\".png",
        b"con.png",
    ):
        yield _seen(name, png)
    long = "the name of the file is too long"
    yield _bytes("n" * 250 + ".png", png, long)
    yield _bytes("m" * 243 + ".png", png, long)
    yield Odd(b"link.png", lambda path: path.symlink_to("plain.png"), draft=DRAFT)
    yield _seen("folder.png/inside.png", png)


def _odd() -> Iterator[Odd]:
    blue = (40, 90, 200)
    for width, height in ((1, 1), (1, 60), (60, 1), (3, 3), (2, 200)):
        name = f"{width} by {height}.png"
        yield _bytes(name, encoded(Image.new("RGB", (width, height), blue), "PNG"))
    for width, height in ((1, 5000), (5000, 1), (20_000, 150)):
        image = Image.new("RGB", (width, height), blue)
        yield _bytes(f"{width} by {height}.png", encoded(image, "PNG"), "too narrow")
    text = b"x\x00" + b"a" * 5_000_000
    row = zlib.compress(b"\x00" + bytes(3))
    yield _bytes("long text.png", png_of((1, 1), row, chunks=[(b"tEXt", text)], packed=True))


def _broken() -> Iterator[Odd]:
    png, jpeg = encoded(picture(), "PNG"), encoded(picture(), "JPEG")
    whole = {
        "jpg": jpeg,
        "progressive.jpg": encoded(picture(), "JPEG", progressive=True),
        "png": png,
        **{kind: encoded(picture(), kind) for kind in ("gif", "webp", "bmp", "tiff", "avif")},
        **({"heic": encoded(picture(), "HEIF")} if HEIC else {}),
        **({"jxl": encoded(picture(), "JXL")} if JXL else {}),
    }
    for extension, data in whole.items():
        yield _bytes(f"half.{extension}", data[: len(data) // 2], "copy or download it again")
        yield _bytes(f"start.{extension}", data[:24], "copy or download it again")
    for extension in ("jpg", "png", "webp", "avif"):
        data = whole[extension]
        rest = bytes(len(data) - len(data) // 2)
        again = "copy or download it again"
        yield _bytes(f"rest zeros.{extension}", data[: len(data) // 2] + rest, again)
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 1
    yield _bytes("flipped bit.png", bytes(flipped), "damaged")
    for name, (data, reason) in {**NO_IMAGES, **MISLABELLED, **BROKEN}.items():
        yield _bytes(name, data, reason)
    size = jpeg.find(b"\xff\xc0") + 5
    huge = jpeg[:size] + struct.pack(">HH", 65_500, 65_500) + jpeg[size + 4 :]
    yield _bytes("huge.jpg", huge, "too many")
    yield Odd(b"dangling.png", lambda path: path.symlink_to("nothing.png"), "nothing is there")
    yield Odd(b"loop.png", lambda path: path.symlink_to("loop.png"), "leads back to itself")
    yield Odd(b"pipe.png", os.mkfifo, "named pipe")
    yield Odd(b"socket.png", _socket, "socket")
    yield Odd(b"endless.png", lambda path: path.symlink_to("/dev/zero"), "device")
    if Path("/proc/self/mem").exists():  # reading its first byte is an input/output error
        yield Odd(b"sick disk.png", lambda path: path.symlink_to("/proc/self/mem"), "cannot read")
    yield Odd(b"private.png", _private, "no permission")


def _private(path: Path) -> None:
    path.write_bytes(encoded(picture(), "PNG"))
    path.chmod(0)


def _socket(path: Path) -> None:
    """Bound under a short name: the system takes no long ones."""
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{short}/s")
        os.rename(f"{short}/s", path)


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(exist_ok=True)
    print(len(make(Path(sys.argv[1]))), "files")
