"""Bytes that are no image, or a broken one, with what is to be said of them."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Sequence

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    right = zlib.crc32(kind + data)
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", right if checksum is None else checksum)
    )


def header(size: tuple[int, int], depth: int = 8, colour: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))


def png_of(
    size: tuple[int, int],
    rows: bytes,
    depth: int = 8,
    colour: int = 2,
    chunks: Sequence[tuple[bytes, bytes]] = (),
    packed: bool = False,
) -> bytes:
    """A PNG by hand: with what no library writes."""
    more = b"".join(chunk(kind, data) for kind, data in chunks)
    pixels = chunk(b"IDAT", rows if packed else zlib.compress(rows))
    return SIGNATURE + header(size, depth, colour) + more + pixels + chunk(b"IEND", b"")


def tiff_of(*tags: tuple[int, int, int, int], behind: bytes = b"") -> bytes:
    """A TIFF by hand: (tag, type, count, value or place)."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(tags)) + entries + bytes(4) + behind


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a" * 100)
    return buffer.getvalue()


def _tags(width: int = 8, height: int = 8, compression: int = 1) -> list[tuple[int, int, int, int]]:
    return [
        *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression)),
        *((262, 3, 1, 1), (273, 4, 1, 200), (277, 3, 1, 1), (278, 4, 1, height)),
        (279, 4, 1, min(width * height, 2**32 - 1)),
    ]


_BOMB = zlib.compress(bytes(20_000_000))
_ROW = b"\x00" + bytes(3)
_AGAIN = "copy or download it again"

# Files without an image in them.
NO_IMAGES = {
    "empty.png": (b"", "empty"),
    "empty.jpg": (b"", "empty"),
    "one byte.png": (b"\x89", "not an image"),
    "zeros.jpg": (bytes(20_000), "nothing but zeros"),
    "noise.png": (random.Random(1).randbytes(3000), "not an image"),
    "noise.heic": (b"\xee" + random.Random(2).randbytes(3000), "not an image"),
    "note.png": (b"this is no picture", "text, not an image"),
    "note.jpg": ("kein Bild, nur Wörter".encode("utf-16"), "text, not an image"),
}

# Files of other kinds.
_PAGE = b"<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head></html>"
_BOX = b"\x00\x00\x00\x20ftyp"
MISLABELLED = {
    "page.png": (_PAGE, "a web page"),
    "page.jpg": (b"\xef\xbb\xbf\r\n  <html lang='en'><body>Sign in</body></html>", "a web page"),
    "denied.jpg": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a server's"),
    "drawing.png": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
    "base64.png": (b"data:image/png;base64,iVBORw0KGgo=", "base64"),
    "pointer.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "paper.png": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(900), "a PDF"),
    "letter.jpg": (_zip(), "a ZIP archive"),
    "packed.png": (b"\x1f\x8b\x08\x00" + bytes(900), "a gzip archive"),
    "rar.png": (b"Rar!\x1a\x07\x01\x00" + bytes(900), "a RAR archive"),
    "seven.jpg": (b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(900), "a 7z archive"),
    "film.png": (_BOX + b"isom\x00\x00\x02\x00isomiso2avc1mp41" + bytes(900), "a video"),
    "phone film.jpg": (_BOX + b"qt  \x00\x00\x02\x00qt  " + bytes(900), "a video"),
    "web film.webp": (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01" + bytes(900), "a video"),
    "old film.png": (b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(900), "a video"),
    "song.gif": (b"ID3\x04" + bytes(900), "a sound"),
    "voice.webp": (b"RIFF\x00\x10\x00\x00WAVEfmt " + bytes(900), "a sound"),
    "layers.png": (b"8BPS\x00\x01" + bytes(900), "a Photoshop document"),
    "print.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PostScript"),
    "icon.png": (b"\x00\x00\x01\x00\x01\x00" + bytes(900), "an icon"),
    "2000.jpg": (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(900), "a JPEG 2000 image"),
    "raw.jpg": (b"FUJIFILMCCD-RAW " + bytes(900), "a camera's raw image"),
    "setup.jpg": (b"MZ\x90\x00" + bytes(900), "a program"),
    "tool.png": (b"\x7fELF\x02\x01" + bytes(900), "a program"),
    "data.png": (b"SQLite format 3\x00" + bytes(900), "a database"),
    "fork.jpg": (b"\x00\x05\x16\x07\x00\x02" + bytes(900), "macOS's notes"),
}

# Images that cannot be decoded, or must not be.
BROKEN = {
    "header alone.png": (SIGNATURE + header((9, 9)), _AGAIN),
    "signature alone.png": (SIGNATURE, _AGAIN),
    "wrong checksum.png": (SIGNATURE + chunk(b"IHDR", bytes(13), 7), _AGAIN),
    "no pixels.png": (SIGNATURE + header((9, 9)) + chunk(b"IEND", b""), _AGAIN),
    "no width.png": (png_of((0, 9), b""), _AGAIN),
    "no such colours.png": (png_of((1, 1), _ROW, colour=7), _AGAIN),
    "wrong pixels.png": (png_of((9, 9), b"no zlib stream", packed=True), _AGAIN),
    "few pixels.png": (png_of((90, 90), _ROW), _AGAIN),
    "huge.png": (png_of((60_000, 60_000), b""), "too many"),
    "large.png": (png_of((13_000, 13_000), b"", depth=1, colour=0), "too many"),
    "text bomb.png": (png_of((1, 1), _ROW, chunks=[(b"zTXt", b"x\0\0" + _BOMB)]), "metadata"),
    "profile bomb.png": (png_of((1, 1), _ROW, chunks=[(b"iCCP", b"x\0\0" + _BOMB)]), "metadata"),
    "no scan.jpg": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(9) + b"\xff\xd9", _AGAIN),
    "huge.gif": (
        b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\0\0\0\0\xff\xff\xff\xff\0\x02\0;",
        "too many",
    ),
    "no frame.gif": (b"GIF89a\x08\x00\x08\x00\x00\x00\x00;", _AGAIN),
    "huge.bmp": (
        b"BM" + struct.pack("<IHHIIiiHHIIIIII", 0, 0, 0, 54, 40, 65_000, 65_000, 1, 24, *[0] * 6),
        "too many",
    ),
    "page.webp": (b"RIFF\x00\x00\x00\x00WEBPVP8 ", _AGAIN),
    "huge.tif": (tiff_of(*_tags(100_000, 100_000)), "too many"),
    "far away.tif": (tiff_of(*_tags()), _AGAIN),
    "odd packing.tif": (tiff_of(*_tags(compression=7777), behind=bytes(300)), _AGAIN),
    "absurd tags.tif": (
        tiff_of(*((tag, 4, 2**32 - 1, 2**31) for tag in range(256, 296))),
        _AGAIN,
    ),
    "no directory.tif": (b"II*\x00\xff\xff\xff\x7f", _AGAIN),
    "bad boxes.avif": (b"\x00\x00\x00\x1cftypavif\0\0\0\0avifmif1" + bytes(300), _AGAIN),
    "bad boxes.heic": (b"\x00\x00\x00\x18ftypheic\0\0\0\0mif1heic" + bytes(300), _AGAIN),
    "bad stream.jxl": (b"\xff\x0a" + random.Random(3).randbytes(300), _AGAIN),
}
