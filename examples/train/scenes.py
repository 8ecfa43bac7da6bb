"""Draw the scenes that the demo model is trained and tried on.

A scene is two coloured shapes on grey, one above or to the left of the other. There are 3,200 of
them; a tenth is held out, so that what the model says about those was never shown to it.

    python examples/train/scenes.py examples/shapes --count 12 --seed 7
"""

from __future__ import annotations

import argparse
import math
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

COLOURS: dict[str, Colour] = {
    "red": (214, 38, 40),
    "orange": (247, 139, 20),
    "yellow": (242, 222, 48),
    "green": (44, 158, 66),
    "blue": (38, 84, 212),
    "purple": (142, 46, 172),
    "black": (24, 24, 26),
    "white": (244, 244, 244),
}
SHAPES = ("circle", "square", "triangle", "star", "cross")
ABOVE = "above"
LEFT = "to the left of"
RELATIONS = (ABOVE, LEFT)

CAPTION = "<CAPTION>"
DETAILED = "<DETAILED_CAPTION>"
MORE_DETAILED = "<MORE_DETAILED_CAPTION>"
TASKS = (CAPTION, DETAILED, MORE_DETAILED)

# Names and formats as people have them, none of which gives the picture away.
DEMO_NAMES = (
    "01.png",
    "02 morning walk.jpg",
    "03 été.webp",
    "04 日本.png",
    "05.v2.final.png",
    "06_IMG_0042.JPG",
    "07-scan.bmp",
    "08 sticker.gif",
    "09 café.avif",
    "10 (copy).PNG",
    "11_Straße.jpeg",
    "12 Otto's pick.webp",
)


@dataclass(frozen=True)
class Scene:
    """What is in a picture; the first object is the upper or the left one."""

    first_colour: str
    first_shape: str
    relation: str
    second_colour: str
    second_shape: str


def all_scenes() -> list[Scene]:
    """Return every scene there is, in a fixed order."""
    return [Scene(*parts) for parts in product(COLOURS, SHAPES, RELATIONS, COLOURS, SHAPES)]


def held_out(scene: Scene) -> bool:
    """Tell whether a scene is kept from training.

    The phrase decides, by a checksum that is the same in every process and Python version.
    """
    return zlib.crc32(phrase(scene).encode()) % 10 == 0


def phrase(scene: Scene) -> str:
    """Name the scene: ``a red circle above a blue square``."""
    first = _object(scene.first_colour, scene.first_shape)
    second = _object(scene.second_colour, scene.second_shape)
    return f"{first} {scene.relation} {second}"


def caption(scene: Scene, task: str) -> str:
    """Return what the model should answer to a task token."""
    if task == CAPTION:
        return phrase(scene)
    if task == DETAILED:
        first = _object(scene.first_colour, scene.first_shape)
        second = _object(scene.second_colour, scene.second_shape)
        return f"{first[0].upper()}{first[1:]} is {scene.relation} {second}."
    if task == MORE_DETAILED:
        return f"The image shows {phrase(scene)} on a grey background."
    raise ValueError(f"unknown task: {task}")


def draw(scene: Scene, rng: random.Random, scale: int = 1) -> Image.Image:
    """Draw the scene with places, sizes, tones and aspect of its own.

    Across the axis of the relation the objects stay close to the middle: further out, "above"
    and "to the left of" would both be true. Everything is drawn at twice the size and reduced,
    which smooths the edges. ``scale`` multiplies the canvas of 80 to 128 pixels a side.
    """
    width, height = (2 * scale * rng.randint(80, 128) for _ in range(2))
    grey = rng.randint(95, 185)
    background = tone((grey, grey, grey), rng, 5)
    image = Image.new("RGB", (width, height), background)
    pen = ImageDraw.Draw(image)
    objects = (
        (scene.first_colour, scene.first_shape, rng.uniform(0.22, 0.30)),
        (scene.second_colour, scene.second_shape, rng.uniform(0.70, 0.78)),
    )
    for colour, shape, along in objects:
        across = rng.uniform(0.38, 0.62)
        x, y = (across, along) if scene.relation == ABOVE else (along, across)
        radius = rng.uniform(0.155, 0.195) * min(width, height)
        fill = tone(COLOURS[colour], rng, 10)
        corners = outline(shape, radius, math.radians(rng.uniform(-6, 6)))
        pen.polygon([(x * width + dx, y * height + dy) for dx, dy in corners], fill=fill)
    return image.reduce(2)


def varied(scenes: Sequence[Scene], count: int, rng: random.Random) -> list[Scene]:
    """Choose scenes so that even a few of them show every colour and shape."""
    pool = rng.sample(scenes, len(scenes))
    chosen: list[Scene] = []
    seen: set[str] = set()
    for _ in range(count):
        best = max(pool, key=lambda scene: len(_words(scene) - seen))
        pool.remove(best)
        chosen.append(best)
        seen |= _words(best)
    return rng.sample(chosen, len(chosen))


def save(image: Image.Image, path: Path) -> None:
    """Write a picture in the format of its extension, as good as that format allows."""
    if path.suffix.lower() in {".jpg", ".jpeg", ".webp", ".avif"}:
        image.save(path, quality=95)
    else:
        image.save(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw held-out scenes into a folder; captions that lie there are left alone."""
    parser = argparse.ArgumentParser(description="Draw demo scenes that no model was trained on.")
    parser.add_argument("out", type=Path, help="folder to draw into")
    parser.add_argument("--count", type=int, default=12, help="number of pictures (default: 12)")
    parser.add_argument("--seed", type=int, default=7, help="which pictures (default: 7)")
    arguments = parser.parse_args(argv)

    rng = random.Random(arguments.seed)
    scenes = [scene for scene in all_scenes() if held_out(scene)]
    if not 0 <= arguments.count <= len(scenes):
        parser.error(f"--count must be between 0 and {len(scenes)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(varied(scenes, arguments.count, rng), start=1):
        name = DEMO_NAMES[number - 1] if number <= len(DEMO_NAMES) else f"{number:02}.png"
        save(draw(scene, rng), arguments.out / name)
        print(f"{name}: {phrase(scene)}")


def _object(colour: str, shape: str) -> str:
    article = "an" if colour[0] in "aeiou" else "a"
    return f"{article} {colour} {shape}"


def _words(scene: Scene) -> set[str]:
    return {
        scene.first_colour,
        scene.first_shape,
        scene.relation,
        scene.second_colour,
        scene.second_shape,
    }


def tone(colour: Colour, rng: random.Random, spread: int) -> Colour:
    """Shift a colour a little, as no two reds are the same."""
    red, green, blue = (min(255, max(0, value + rng.randint(-spread, spread))) for value in colour)
    return red, green, blue


def outline(shape: str, radius: float, turn: float) -> list[Point]:
    """Return the corners of a shape around the origin, by eye equally large for all shapes."""
    if shape == "circle":
        return _spokes([0.92 * radius] * 48, turn)
    if shape == "square":
        return _spokes([1.15 * radius] * 4, turn + math.pi / 4)
    if shape == "triangle":
        return _spokes([1.15 * radius] * 3, turn)
    if shape == "star":
        return _spokes([1.2 * radius, 0.48 * radius] * 5, turn)
    if shape == "cross":
        # Twelve corners: two at the end of each arm, and one between each two arms.
        arm, half = 1.05 * radius, 0.34 * radius
        corners = [(half, -arm), (half, -half), (arm, -half)]
        return [
            _turned(point, turn + quarter * math.pi / 2)
            for quarter in range(4)
            for point in corners
        ]
    raise ValueError(f"unknown shape: {shape}")


def _spokes(lengths: Sequence[float], turn: float) -> list[Point]:
    """Return points at even angles, the first one straight up, each at its own distance."""
    step = 2 * math.pi / len(lengths)
    return [_turned((0, -length), turn + index * step) for index, length in enumerate(lengths)]


def _turned(point: Point, angle: float) -> Point:
    x, y = point
    sine, cosine = math.sin(angle), math.cos(angle)
    return x * cosine - y * sine, x * sine + y * cosine


if __name__ == "__main__":
    main()
