"""What a file holds that is not what its name says: told by its first bytes."""

from __future__ import annotations

from stages import extras

HEAD = 1024  # bytes that tell
_ANEW = "save it as PNG or JPEG"

# Where the bytes stand, the bytes, what holds them, what to do about it.
_SIGNS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the image itself", "run git lfs pull"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image", _ANEW),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image", _ANEW),
    (0, b"8BPS", "a Photoshop document", _ANEW),
    (0, b"gimp xcf", "a GIMP document", _ANEW),
    (0, b"%!PS", "a PostScript drawing", _ANEW),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript drawing", _ANEW),
    (0, b"DDS ", "a DirectDraw texture", _ANEW),
    (0, b"v/1\x01", "an OpenEXR image", _ANEW),
    (0, b"#?RADIANCE", "a Radiance HDR image", _ANEW),
    (0, b"qoif", "a QOI image", _ANEW),
    (0, b"\x00\x00\x01\x00", "an icon", _ANEW),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw image", _ANEW),
    (4, b"ftypcrx", "a camera's raw image", _ANEW),
    (0, b"%PDF", "a PDF document, not an image", ""),
    (4, b"ftyp", "a video, not an image", ""),
    (4, b"moov", "a video, not an image", ""),
    (4, b"mdat", "a video, not an image", ""),
    (0, b"\x1a\x45\xdf\xa3", "a video, not an image", ""),
    (8, b"AVI ", "a video, not an image", ""),
    (0, b"FLV\x01", "a video, not an image", ""),
    (0, b"\x00\x00\x01\xba", "a video, not an image", ""),
    (8, b"WAVE", "a sound, not an image", ""),
    (0, b"ID3", "a sound, not an image", ""),
    (0, b"OggS", "a sound or video, not an image", ""),
    (0, b"PK\x03\x04", "a ZIP archive, not an image", "unpack it"),
    (0, b"Rar!\x1a", "a RAR archive, not an image", "unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive, not an image", "unpack it"),
    (0, b"\x1f\x8b", "a gzip archive, not an image", "unpack it"),
    (257, b"ustar", "a tar archive, not an image", "unpack it"),
    (0, b"SQLite format 3", "a database, not an image", ""),
    (0, b"\x7fELF", "a program, not an image", ""),
    (0, b"MZ", "a program, not an image", ""),
    (0, b"\x00\x05\x16\x07", "macOS's notes on another file, not an image", "delete it"),
    (0, b"bplist00", "settings of macOS, not an image", ""),
)
# Texts, by what stands in them, in lower case.
_TEXTS = (
    (b"<svg", "an SVG drawing", _ANEW),
    (b"<!doctype html", "a web page, not an image", "download the image itself"),
    (b"<html", "a web page, not an image", "download the image itself"),
    (b"<head", "a web page, not an image", "download the image itself"),
    (b"<script", "a web page, not an image", "download the image itself"),
    (b"<error", "a server's error message, not an image", "download the image itself"),
    (b"data:image/", "an image written as text (base64)", "decode it"),
)


def what_it_holds(head: bytes, kind: str = "image") -> str:
    """A reason that follows "it holds", with what to do where something can be done; "" if the
    bytes tell nothing. `kind` is what the file's name says: "image" or "video"."""
    if kind == "video":
        name = image_name(head)
        return f"a {name} image, not a video: rename it" if name else _not_a_video(head)
    return _not_an_image(head)


def _not_a_video(head: bytes) -> str:
    held = _not_an_image(head).replace("not an image", "not a video")
    return held.replace("the image itself", "the video itself")


def _not_an_image(head: bytes) -> str:
    for start, sign, what, advice in _SIGNS:
        if head[start : start + len(sign)] == sign:
            return _told(what, advice)
    if not head.strip(b"\x00"):
        return _told("nothing but zeros", "copy or download it again")
    text = _as_text(head)
    if text is None:
        return ""
    for sign, what, advice in _TEXTS:
        if sign.decode() in text.lower():
            return _told(what, advice)
    return "text, not an image"


def _as_text(head: bytes) -> str | None:
    """None unless it reads as a text, which has no control characters."""
    utf_16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    # The last character may be cut.
    text = head.decode("utf-16" if utf_16 else "utf-8-sig", "ignore")
    return (
        text if text and all(letter.isprintable() or letter.isspace() for letter in text) else None
    )


def _told(what: str, advice: str) -> str:
    return f"{what}: {advice}" if advice else what


def image_name(head: bytes) -> str:
    """The image format whose signature the file has, "" if it is none that we read."""
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return "AVIF"
    if head[:4] == b"RIFF":
        return "WebP" if head[8:12] == b"WEBP" else ""
    names = (name for sign, name in _SIGNATURES.items() if head.startswith(sign))
    return next(names, extras.people_say(extras.format_of(head)))


_SIGNATURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
}
