"""Paths and files that a stranger may name to the caption service."""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from doors import draw_scenes
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from serving import CANARY

# Of files that are there, outside the root: "{outside}" is their folder, "{root}" the root, which
# is called as the outside one begins.
OUTSIDE = [
    "../ds-secret/secret.png",
    "./../ds-secret/secret.png",
    "sub/../../ds-secret/secret.png",
    "sub/../../../{parent}/ds-secret/secret.png",
    "..//ds-secret///secret.png",
    "../ds-secret/./secret.png",
    "../ds/../ds-secret/secret.png",
    "../ds-secret/held.png",
    "ds-secret/secret.png",
    "ds/../ds-secret/secret.png",
    "{outside}/secret.png",
    "{outside}/held.png",
    "/{outside}/secret.png",
    "{root}-secret/secret.png",
    "{root}/../ds-secret/secret.png",
    "{root}/sub/../../ds-secret/secret.png",
    "/proc/self/root{outside}/secret.png",
    "/proc/self/root/{outside}/held.png",
    "/proc/self/cwd/../../../../../../../../../../..{outside}/secret.png",
    "/proc/1/root{outside}/secret.png",
    "/dev/fd/../../../..{outside}/secret.png",
    "link.png",
    "held.png",
    "chain.png",
    "absolute.png",
    "out/secret.png",
    "out/held.png",
    "out/../ds-secret/secret.png",
    "sub/up/ds-secret/secret.png",
    "sub/up/ds/../ds-secret/secret.png",
]
# Of nothing that could be opened, wherever it lies.
NOTHING = [
    *("no.png", "sub", ".", "..", "/", "//", "./", "../", "sub/", "{root}", "{outside}"),
    *("/etc/passwd", "//etc//passwd", "/etc/shadow", "/etc/hostname", "/etc/passwd\0.png"),
    *("/proc/self/environ", "/proc/self/cmdline", "/proc/self/maps", "/proc/self/mem"),
    *(f"/proc/self/fd/{number}" for number in range(8)),
    *("/proc/self/cwd", "/proc/self/root", "/proc/self/exe", "/proc/1/environ"),
    *("/dev/stdin", "/dev/stdout", "/dev/zero", "/dev/urandom", "/dev/tty", "/dev/fd/0"),
    *("file:///etc/passwd", "file://{outside}/secret.png", "FILE:{outside}/secret.png"),
    *("http://127.0.0.1/secret.png", "data:image/png;base64,aGk=", "ftp://x/y.png"),
    *("~/secret.png", "~root/secret.png", "$HOME/secret.png", "${{HOME}}/a.png", "%HOME%/a.png"),
    *("`id`.png", "$(id).png", "a;id.png", "a|id.png", "*.png", "?1.png", "[0-9]*.png"),
    *("%2e%2e/ds-secret/secret.png", "%2e%2e%2fds-secret%2fsecret.png"),
    *("..%2fds-secret/secret.png", "..%252fds-secret/secret.png", "..%c0%afds-secret/secret.png"),
    *("..%00/ds-secret/secret.png", "....//ds-secret/secret.png", "..././ds-secret/secret.png"),
    *("..\\ds-secret\\secret.png", "..\\/ds-secret/secret.png", ".. /ds-secret/secret.png"),
    *("../ds-secret/secret.png.", "../ds-secret/secret.png ", "../ds-secret/secret.png/"),
    *("../ds-secret/secret.png/.", "01.png/../link.png"),
    *("01.png\0", "\0", "01.png\0.png", "01.png ", "01.png.", " 01.png", "01.png\n", "01.png\r\n"),
    *("C:\\secret.png", "C:/secret.png", "\\\\server\\share\\secret.png", "//server/share/a.png"),
    *("\\\\?\\C:\\secret.png", "//./pipe/a.png", "CON.png", "nul", "01.png::$DATA"),
    *("\uff0e\uff0e/ds-secret/secret.png", "\u2024\u2024/ds-secret/secret.png"),
    *("..\u2215ds-secret\u2215secret.png", "..\u2044ds-secret/secret.png", "..\uff0fds-secret"),
    *("\u202e01.png", "01.png\u200b", "\ufeff01.png", "cafe\u0301.png", "\u2160\u2160.png"),
    *("\udcff.png", "\ud800.png", "\udc2e\udc2e/ds-secret/secret.png", "..\udcc0\udcaf/a.png"),
    *(
        "\n../ds-secret/secret.png",
        "a\nb.png",
        "\x1b[31m.png",
        "\x7f.png",
        "\x01",
        "{{0.__class__}}",
    ),
    *("a" * 255 + ".png", "a" * 5000 + ".png", "../" * 1300 + "etc/x.png", "a/" * 2000 + "b.png"),
    *("notes.txt", "loop.png", "loops/a.png", "folder.png", "pipe.png", "socket.png", "device.png"),
    *("dangling.png", "sub/.hidden", ".enhance", "text", "empty"),
]


def world(parent: Path) -> tuple[Path, Path]:
    """(the root, the folder outside it), whose names begin alike."""
    root, outside = parent / "ds", parent / "ds-secret"
    draw_scenes(root, ["01.png", "02.png", "caf\u00e9.png", "sub/03.png"], seed=5)
    outside.mkdir()
    info = PngInfo()
    info.add_text("Comment", CANARY)
    Image.new("RGB", (64, 64), "red").save(outside / "secret.png", pnginfo=info)
    (outside / "secret.txt").write_text(CANARY)
    os.mkfifo(outside / "held.png")  # whoever opens it waits for ever
    for name, target in {
        "link.png": "../ds-secret/secret.png",
        "held.png": "../ds-secret/held.png",
        "chain.png": "chain2.png",
        "chain2.png": "sub/chain3.png",
        "sub/chain3.png": "../link.png",
        "absolute.png": str(outside / "secret.png"),
        "out": "../ds-secret",
        "sub/up": "../..",
        "loop.png": "loop.png",
        "loops": "loops/loops",
        "dangling.png": str(outside / "none.png"),
        "device.png": "/dev/zero",
    }.items():
        (root / name).symlink_to(target)
    (root / "folder.png").mkdir()
    (root / "notes.txt").write_text("not for you")
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as one:
        here = os.open(root, os.O_RDONLY)
        one.bind(f"/proc/self/fd/{here}/socket.png")  # a path of its own may be too long
        os.close(here)
    for name, data in pictures().items():
        (root / name).write_bytes(data)
    return root, outside


def pictures() -> Mapping[str, bytes]:
    """Files with an image's name that are none, or more than they seem."""
    good = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(good, "PNG")
    entities = '<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return {
        "text.png": f"{CANARY[:3]} is no picture".encode(),
        "empty.png": b"",
        "cut.png": good.getvalue()[:2000],
        "bomb.png": _png(60_000, 60_000, zlib.compress(b"\0" * 1000)),
        "huge.png": _png(2**31 - 1, 2**31 - 1, b""),
        "flat.png": _png(0, 0, b""),
        "profile.png": _png(8, 8, b"", _chunk(b"iTXt", _compressed(b"k\0\1\0\0\0"))),
        "svg.png": f'<?xml version="1.0"?>{entities}<svg>&a;</svg>'.encode(),
        "laughs.png": f'<?xml version="1.0"?><!DOCTYPE l [{lol}]><l>&l9;</l>'.encode(),
        "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file",
        "page.png": b"%PDF-1.7\n1 0 obj",
        "zip.png": b"PK\3\4" + b"\0" * 100,
        "movie.gif": b"GIF89a" + b"\xff" * 40,
    }


def many_frames(count: int) -> bytes:
    """A GIF of so many frames of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", 40, 40, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    return head + frame * count + b"\x3b"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _compressed(head: bytes) -> bytes:
    return head + zlib.compress(b"\0" * 80_000_000)


def _png(width: int, height: int, pixels: bytes, *more: bytes) -> bytes:
    size = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rest = (*more, _chunk(b"IDAT", pixels), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + size + b"".join(rest)
