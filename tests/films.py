"""Videos drawn for tests: moving shapes, in any container and codec that PyAV writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from moves import DIRECTIONS
from PIL import Image, ImageDraw
from scenes import COLOURS as SCENE_COLOURS
from scenes import outline
from seeing import COLOURS

Draw = Callable[[float], Image.Image]  # a frame by how far the video is, from 0 to 1
SIZE = (128, 96)


def moving(colour: str = "red", size: tuple[int, int] = SIZE, rightward: bool = False) -> Draw:
    """A circle that moves from the right to the left, or the other way."""

    def draw(progress: float) -> Image.Image:
        width, height = size
        image = Image.new("RGB", size, COLOURS["white"])
        radius = height // 5
        share = progress if rightward else 1 - progress
        x, y = radius + share * (width - 2 * radius), height / 2
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(image).ellipse(box, fill=COLOURS[colour])
        return image

    return draw


def crossing(
    colour: str, shape: str, direction: str, size: tuple[int, int] = SIZE, background: int = 235
) -> Draw:
    """A shape of the scenes that moves in one of the directions of the moves."""
    width, height = size
    right, down = DIRECTIONS[direction]
    corners = outline(shape, 0.2 * min(size), 0.0)

    def draw(progress: float) -> Image.Image:
        way = 0.3 * (2 * progress - 1)
        x, y = (0.5 + right * way) * width, (0.5 + down * way) * height
        image = Image.new("RGB", size, (background,) * 3)
        pen = ImageDraw.Draw(image)
        pen.polygon([(x + dx, y + dy) for dx, dy in corners], fill=SCENE_COLOURS[colour])
        return image

    return draw


def backwards(draw: Draw) -> Draw:
    """The same frames in the other order."""
    return lambda progress: draw(1 - progress)


def colours(*names: str, size: tuple[int, int] = SIZE) -> Draw:
    """The whole picture in one colour after the other."""

    def draw(progress: float) -> Image.Image:
        name = names[min(int(progress * len(names)), len(names) - 1)]
        return Image.new("RGB", size, COLOURS[name])

    return draw


def pictures(images: Sequence[Image.Image], size: tuple[int, int]) -> Draw:
    """Pictures one after the other, each for as long."""

    def draw(progress: float) -> Image.Image:
        return images[min(int(progress * len(images)), len(images) - 1)].resize(size)

    return draw


def film(
    path: Path,
    draw: Draw,
    *,
    count: int = 20,
    rate: int = 10,
    codec: str = "libx264",
    times: Sequence[float] | None = None,
    steps: int = 1000,
    kind: str | None = None,
    rotation: int = 0,
    aspect: Fraction | None = None,
    sound: bool = False,
    options: dict[str, str] | None = None,
    tuning: dict[str, str] | None = None,
) -> Path:
    """`count` frames at `rate` a second, or at `times` in seconds, counted in `steps` of a second;
    `kind` is the container, where the name does not say it; `options` are its, `tuning` the
    codec's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    base = Fraction(1, steps) if times else Fraction(1, rate)
    with av.open(str(path), "w", format=kind, options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=tuning or {})
        first = draw(0.0)
        stream.width, stream.height = first.size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        audio: Any = container.add_stream("aac", rate=16000) if sound else None
        for number in range(count):
            frame = av.VideoFrame.from_image(draw(number / max(count - 1, 1)))
            frame.pts = round(times[number] * steps) if times else number
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio:
            silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            silence.sample_rate = 16000
            for number in range(int(16000 * count / rate / 1024)):
                silence.pts = number * 1024
                container.mux(audio.encode(silence))
            container.mux(audio.encode())
    return path
