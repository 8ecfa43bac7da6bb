"""A server on loopback that sees: what it was shown, decoded, and what it says of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doors import run_here
from loopback import Answer, ChatServer
from PIL import Image

Look = Callable[[Image.Image, dict[str, Any]], Answer]
COLOURS = {
    "red": (220, 40, 40),
    "green": (0, 160, 0),
    "blue": (30, 60, 220),
    "yellow": (255, 220, 0),
    "orange": (255, 130, 0),
    "grey": (128, 128, 128),
    "white": (255, 255, 255),
}


def bytes_of(body: dict[str, Any]) -> bytes | None:
    """The picture of a request as it was sent, None without one."""
    for part in body["messages"][-1]["content"]:
        if isinstance(part, dict) and part["type"] == "image_url":
            kind, data = part["image_url"]["url"].split(";base64,")
            assert kind == "data:image/jpeg"
            return base64.b64decode(data)
    return None


def pictures_of(body: dict[str, Any]) -> list[Image.Image]:
    """All pictures of a request, in their order."""
    parts = [part for part in body["messages"][-1]["content"] if isinstance(part, dict)]
    uris = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(uri.split(";base64,")[1]))) for uri in uris]


def picture_of(body: dict[str, Any]) -> Image.Image:
    data = bytes_of(body)
    assert data is not None
    return Image.open(io.BytesIO(data))


def text_of(body: dict[str, Any], role: str = "user") -> str:
    """The text of the first message of that role, "" if there is none."""
    contents = [one["content"] for one in body["messages"] if one["role"] == role]
    if not contents or isinstance(contents[0], str):
        return contents[0] if contents else ""
    return "".join(part["text"] for part in contents[0] if part["type"] == "text")


def asks_colour(body: dict[str, Any]) -> bool:
    """True for the question by which a server is tried."""
    return "Which colour fills this picture?" in text_of(body)


def colour_at(image: Image.Image, x: float, y: float) -> str:
    """The colour of a pixel by name, its place as a share of width and height."""
    place = (int(x * (image.width - 1)), int(y * (image.height - 1)))
    found = image.convert("RGB").getpixel(place)
    assert isinstance(found, tuple)
    return min(
        COLOURS,
        key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], found, strict=True)),
    )


def describe(image: Image.Image, _: dict[str, Any]) -> Answer:
    return Answer(f"a {colour_at(image, 0.5, 0.5)} wall in a wide shot")


def drafts_of(server: ChatServer) -> list[dict[str, Any]]:
    """The requests for drafts, without those by which the server was tried."""
    return [
        body for body in server.requests if bytes_of(body) is not None and not asks_colour(body)
    ]


def seeing(look: Look = describe, then: Any = None) -> Callable[[int, dict[str, Any]], Answer]:
    """A script that names the colour it is tried with and answers of every other picture what
    `look` says; `then` is the script for requests without one."""

    def script(number: int, body: dict[str, Any]) -> Answer:
        if bytes_of(body) is None:
            return then(number, body) if then else Answer("I see no picture.")
        if asks_colour(body):
            return Answer(colour_at(picture_of(body), 0.5, 0.5).capitalize())
        return look(picture_of(body), body)

    return script


def paint(path: Path, colour: str, size: tuple[int, int] = (64, 48), **how: Any) -> Path:
    """A picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, COLOURS[colour]).save(path, **how)
    return path


def draft_on(server: ChatServer, folder: Path, *more: object, status: int = 0) -> None:
    """Drafts the folder on the server."""
    flags = ("--dataset_dir", folder, "--captioner_base_url", server.url, "--until", "generated")
    assert run_here(*flags, *more) == status
