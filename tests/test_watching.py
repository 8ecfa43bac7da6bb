"""A tiny trained Qwen2.5-VL, which watches: videos as such and as pictures, through the door."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import moves
import pytest
from doors import REPOSITORY, finals, run_here
from films import backwards, crossing, film
from moves import Move, caption
from scenes import save
from with_torchvision import FOLDER

QWEN = REPOSITORY / "examples" / "models" / "qwen-shapes"
SCRIPT = REPOSITORY / "tests" / "with_torchvision.py"
FORMATS = {"mp4": "libx264", "webm": "libvpx-vp9", "mov": "libx264"}
THINGS = (("red", "circle"), ("blue", "square"), ("green", "triangle"), ("purple", "star"))
# One of them has none of the colours, shapes and directions of another.
MOVES = [Move(*thing, way) for thing, way in zip(THINGS, reversed(moves.DIRECTIONS), strict=True)]
TORCHVISION = pytest.mark.skipif(
    not (FOLDER / "torchvision").is_dir(), reason="no torchvision beside the environment: make test"
)
PICTURES, VIDEO = "as pictures", "as a video"
WAYS = [PICTURES, pytest.param(VIDEO, marks=TORCHVISION)]
# Where several pictures come in one question, this template fails.
ONE_PICTURE = "{{ raise_exception('one picture only') if image_count.value > 1 }}"


def watch(way: str, folder: Path, *more: object, model: Path = QWEN) -> tuple[int, str]:
    """The door, where transformers finds torchvision, or here, where it does not: the status, and
    what was told on stderr of the first."""
    arguments = ("--dataset_dir", folder, "--model_id", model, *more)
    if way == PICTURES:
        return run_here(*arguments), ""
    done = subprocess.run(
        [sys.executable, *map(str, (SCRIPT, *arguments))],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stderr


def told_of(folder: Path) -> dict[str, str]:
    """What was drafted of each file, by its name without the ending."""
    ending = "_generated.txt"
    return {
        path.name.removesuffix(ending): path.read_text("utf-8")
        for path in folder.glob(f"*{ending}")
    }


def drafts(way: str, folder: Path, *more: object, model: Path = QWEN) -> dict[str, str]:
    status, told = watch(way, folder, "--until", "generated", *more, model=model)
    assert status == 0, told
    return told_of(folder)


def shoot(folder: Path, *shown: Move, container: str = "mp4") -> dict[str, str]:
    """A video of each move; what is right, by name."""
    right = {}
    for number, move in enumerate(shown):
        name = f"{container} {number}"
        draw = crossing(move.colour, move.shape, move.direction)
        film(folder / f"{name}.{container}", draw, codec=FORMATS[container])
        right[name] = caption(move)
    return right


def paint(folder: Path, *shown: Move) -> dict[str, str]:
    """A picture of each thing; what is right, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, move in enumerate(shown):
        size = ((128, 96), (90, 90), (300, 420))[number % 3]
        still = Move(move.colour, move.shape, moves.STILL)
        (picture,) = moves.draw(still, random.Random(number), 1, size).frames
        save(picture, folder / f"picture {number}.{('png', 'jpg', 'webp')[number % 3]}")
    return {
        f"picture {number}": caption(Move(move.colour, move.shape, moves.STILL))
        for number, move in enumerate(shown)
    }


@pytest.mark.parametrize("way", WAYS)
def test_of_videos_of_every_kind_is_told_what_moves_and_where_to(tmp_path: Path, way: str) -> None:
    right: dict[str, str] = {}
    for container in FORMATS:
        right |= shoot(tmp_path, *MOVES, container=container)
    assert drafts(way, tmp_path) == right


@pytest.mark.parametrize("way", WAYS)
def test_a_video_backwards_is_told_the_other_way_round(tmp_path: Path, way: str) -> None:
    for number, move in enumerate(MOVES):
        draw = crossing(move.colour, move.shape, move.direction)
        film(tmp_path / f"{number}.mp4", backwards(draw))
    right = {str(number): caption(move.reversed) for number, move in enumerate(MOVES)}
    assert drafts(way, tmp_path) == right


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 6])
def test_in_a_folder_of_both_each_picture_and_each_video_gets_its_own_in_batches_of_any_size(
    tmp_path: Path, way: str, size: int
) -> None:
    right = {**shoot(tmp_path, *MOVES), **paint(tmp_path, *MOVES)}
    assert drafts(way, tmp_path, "--batch_size", size) == right


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wish", [("--frames", 5), ("--fps", 6)], ids=lambda one: one[0])
def test_a_few_frames_tell_as_much(tmp_path: Path, way: str, wish: Sequence[object]) -> None:
    right = shoot(tmp_path, *MOVES)
    assert drafts(way, tmp_path, *wish) == right


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lora_type", ["style", "motion"])
def test_the_default_prompts_of_other_types_are_answered(
    tmp_path: Path, way: str, lora_type: str
) -> None:
    right = {**shoot(tmp_path, *MOVES[:2]), **paint(tmp_path, *MOVES[:2])}
    assert drafts(way, tmp_path, "--lora_type", lora_type) == right


@pytest.mark.parametrize("way", WAYS)
def test_a_video_may_get_its_caption_in_one_step(tmp_path: Path, way: str) -> None:
    right = shoot(tmp_path, *MOVES)
    # The tiny model learns no anchor, so it is a word that it says.
    more = ("--no_merge", "--anchor", "moves", "--lora_type", "motion")
    status, told = watch(way, tmp_path, *more)
    assert status == 0, told
    assert finals(tmp_path) == right


def template(tmp_path: Path, old: str, new: str) -> Path:
    """The model with another chat template."""
    model = tmp_path / "model"
    shutil.copytree(QWEN, model)
    path = model / "chat_template.jinja"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return model


@pytest.mark.parametrize("way", WAYS)
def test_a_video_is_shown_as_such_where_transformers_can(tmp_path: Path, way: str) -> None:
    mark = "{% if add_vision_id %}Picture"
    model = template(tmp_path, mark, ONE_PICTURE + mark)
    folder = tmp_path / "films"
    right = {**shoot(folder, MOVES[0]), **paint(folder, MOVES[1])}
    status, _ = watch(way, folder, "--until", "generated", model=model)
    if way == VIDEO:
        assert status == 0
        assert told_of(folder) == right
    else:
        assert "mp4 0" not in told_of(folder)


@TORCHVISION
def test_a_chat_template_that_knows_no_videos_is_shown_pictures_and_one_line_says_so(
    tmp_path: Path,
) -> None:
    old = (
        "{% elif content['type'] == 'video' or 'video' in content %}"
        "{% set video_count.value = video_count.value + 1 %}"
        "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}"
        "<|vision_start|><|video_pad|><|vision_end|>"
    )
    model = template(tmp_path, old, "")
    folder = tmp_path / "films"
    right = shoot(folder, *MOVES[:2])
    more = ("--until", "generated", "--log_level", "info")
    status, told = watch(VIDEO, folder, *more, model=model)
    assert status == 0
    lines = [line for line in told.splitlines() if "as pictures" in line]
    assert len(lines) == 1
    assert lines[0].startswith("videos are shown to this model as pictures: ")
    assert told_of(folder) == right


def test_the_example_is_small() -> None:
    assert sum(path.stat().st_size for path in QWEN.iterdir()) <= 2_500_000
