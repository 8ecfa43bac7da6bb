"""Draw the short videos that the tiny Qwen is trained and tried on, and single pictures of them.

In a video one coloured shape moves over a light background: to the left, to the right, up or down.
Only the order of its frames tells which. There are 128 such moves, of which 14 are held out, and so
are 5 of the 32 things that single pictures show.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from PIL import Image, ImageDraw
from scenes import COLOURS, outline, tone

SHAPES = ("circle", "square", "triangle", "star")

# Where to, as steps to the right and down.
DIRECTIONS = {
    "to the left": (-1, 0),
    "to the right": (1, 0),
    "upward": (0, -1),
    "downward": (0, 1),
}
STILL = ""
_REVERSED = {
    **dict(zip(DIRECTIONS, ("to the right", "to the left", "downward", "upward"), strict=True)),
    STILL: STILL,
}

Point = tuple[float, float]  # shares of width and height


@dataclass(frozen=True)
class Move:
    """What is seen: a thing that moves, or one in a single picture (`STILL`)."""

    colour: str
    shape: str
    direction: str

    @property
    def reversed(self) -> Move:
        """The same with its frames in the other order."""
        return Move(self.colour, self.shape, _REVERSED[self.direction])


@dataclass(frozen=True)
class Clip:
    """The frames of a video, or one picture, and where the thing is in each."""

    frames: list[Image.Image]
    places: list[Point]


def all_moves() -> list[Move]:
    """Return every move there is, in a fixed order."""
    return [Move(*parts) for parts in product(COLOURS, SHAPES, DIRECTIONS)]


def all_stills() -> list[Move]:
    """Return everything that a single picture may show, in a fixed order."""
    return [Move(*parts, STILL) for parts in product(COLOURS, SHAPES)]


def held_out(move: Move) -> bool:
    """Tell whether a move is kept from training, by a checksum of its caption."""
    return zlib.crc32(caption(move).encode()) % 6 == 0


def caption(move: Move) -> str:
    """Return what the model should answer."""
    thing = f"{'An' if move.colour[0] in 'aeiou' else 'A'} {move.colour} {move.shape}"
    return f"{thing} moves {move.direction}." if move.direction else f"{thing}."


def draw(move: Move, rng: random.Random, count: int, size: tuple[int, int]) -> Clip:
    """Draw a video of `count` frames, or one picture, with a path, tones and a size of its own."""
    width, height = size
    background = tone((rng.randint(170, 255 if move.colour != "white" else 212),) * 3, rng, 6)
    fill = tone(COLOURS[move.colour], rng, 14)
    shape = outline(
        move.shape, rng.uniform(0.2, 0.28) * min(size), math.radians(rng.uniform(-6, 6))
    )
    result = Clip([], _path(move.direction, rng, count))
    for x, y in result.places:
        image = Image.new("RGB", size, background)
        corners = [(x * width + dx, y * height + dy) for dx, dy in shape]
        ImageDraw.Draw(image).polygon(corners, fill=fill)
        result.frames.append(image)
    return result


def _path(direction: str, rng: random.Random, count: int) -> list[Point]:
    """Return where the thing is in each frame: along one axis it goes at least a third of the
    way, across it hardly at all, and its speed varies a little."""
    if direction == STILL:
        return [(rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8)) for _ in range(count)]
    right, down = DIRECTIONS[direction]
    length = rng.uniform(0.35, 0.7)
    start = rng.uniform(0.15, 0.85 - length)
    across, drift = rng.uniform(0.25, 0.75), rng.uniform(-0.05, 0.05)
    shares = _shares(rng, count)
    if right + down < 0:
        shares = [1 - share for share in shares]
    ways = [(start + length * share, across + drift * (share - 0.5)) for share in shares]
    return [(along, side) if right else (side, along) for along, side in ways]


def _shares(rng: random.Random, count: int) -> Sequence[float]:
    steps = [rng.uniform(0.6, 1.4) for _ in range(count - 1)]
    done = [sum(steps[:number]) for number in range(count)]
    return [share / done[-1] for share in done]
