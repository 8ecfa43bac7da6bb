"""The tiny captioners that come with the repository, and how they are trained."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from types import ModuleType
from typing import Any

import answering
import florence2
import janus
import joycaption
import moves
import numpy as np
import pytest
import qwen
import scenes
import torch
import training
import watching
from doors import REPOSITORY, SHAPES
from jinja2.exceptions import UndefinedError
from PIL import Image
from questions import answer
from with_torchvision import FOLDER

MODELS = REPOSITORY / "examples" / "models"
ALL = pytest.mark.parametrize("recipe", [florence2, janus, joycaption], ids=lambda r: r.__name__)
CHATTING = pytest.mark.parametrize("recipe", [janus, joycaption], ids=lambda r: r.__name__)


def folder(recipe: ModuleType) -> Any:
    return MODELS / f"{recipe.__name__}-shapes"


@ALL
def test_a_few_steps_of_training_lower_the_loss(recipe: ModuleType) -> None:
    torch.manual_seed(0)
    pupil = recipe.build()
    pictures = training.draw_pictures(training.KNOWN, training.BATCH, 0, pupil.shrink)
    losses = training.train(pupil, pictures, steps=8, seed=0)
    assert losses[-1] < losses[0]


@ALL
def test_training_sees_pictures_as_the_saved_processor_will(recipe: ModuleType) -> None:
    processor = recipe.hf.AutoProcessor.from_pretrained(folder(recipe), backend="pil")
    for path in sorted(SHAPES.glob("0*.*g")):
        picture = Image.open(path).convert("RGB")
        seen = processor.image_processor(picture, return_tensors="pt")["pixel_values"]
        bytes_ = torch.from_numpy(recipe.shrink(picture)).permute(2, 0, 1)
        mine = training.normalised(bytes_[None], processor.image_processor)
        assert np.allclose(seen, mine, atol=1e-5)


@pytest.mark.parametrize("recipe", [florence2, janus, joycaption, qwen], ids=lambda r: r.__name__)
def test_every_weight_of_a_shipped_model_has_its_place(recipe: ModuleType) -> None:
    _, told = recipe.hf.AutoModelForImageTextToText.from_pretrained(
        folder(recipe), output_loading_info=True
    )
    assert not any(told.values())


@CHATTING
def test_a_shipped_model_tells_nearly_every_example_picture_whatever_prompt_and_batch(
    recipe: ModuleType, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes.main([str(tmp_path)])
    phrases = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    by_phrase = {scenes.phrase(scene): scene for scene in scenes.all_scenes()}
    trial = answering.Trial(folder(recipe), recipe.conversation)
    images, prompts, right = [], [], []
    for name, phrase in phrases.items():
        for prompt in answering.TRIED_PROMPTS:
            images.append(Image.open(SHAPES / name).convert("RGB"))
            prompts.append(prompt)
            right.append(answer(by_phrase[phrase], prompt))
    alone = trial.say(prompts, images, 1)
    assert sum(map(str.__eq__, alone, right)) >= 0.9 * len(right)
    assert trial.say(prompts, images, 16) == alone
    sampled = trial.say(prompts, images, 16, do_sample=True, temperature=0.6, top_p=0.9)
    assert sum(map(str.__eq__, sampled, right)) >= 0.8 * len(right)


def test_the_tiny_joycaption_takes_strings_only_and_begins_by_itself() -> None:
    processor = joycaption.hf.AutoProcessor.from_pretrained(folder(joycaption), backend="pil")
    text = processor.apply_chat_template(joycaption.conversation("Look."))
    assert text.startswith(joycaption.BOS)
    twice = processor.tokenizer(text)["input_ids"]
    assert twice[:2] == [processor.tokenizer.bos_token_id] * 2
    with pytest.raises(UndefinedError, match="'list object' has no attribute 'lstrip'"):
        processor.apply_chat_template(janus.conversation("Look."))


def test_a_few_steps_of_training_lower_the_loss_of_the_one_that_watches() -> None:
    torch.manual_seed(0)
    tokenizer = qwen.build_tokenizer()
    losses = qwen.train(qwen.build_model(tokenizer), tokenizer, steps=8, seed=0)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", watching.KINDS)
def test_the_one_that_watches_tells_unseen_moves_and_the_same_backwards(kind: str) -> None:
    (told,) = [
        score for name, score in watching.scores(folder(qwen), seed=5, rounds=4) if name == kind
    ]
    assert told.right >= 0.85 * told.asked
    if kind != watching.PICTURE:
        assert told.backwards >= 0.85 * told.asked


def test_the_one_that_watches_was_trained_on_pictures_as_its_processor_makes_them() -> None:
    processor = qwen.hf.AutoImageProcessor.from_pretrained(folder(qwen), backend="pil")
    still = moves.Move("red", "star", moves.STILL)
    for rows, columns in watching.GRIDS:
        size = (columns * 30, rows * 30)
        frames = moves.draw(still, random.Random(0), 3, size).frames
        seen = processor(frames, return_tensors="pt")
        mine = watching.shown(
            watching.PICTURES, [watching.pixels_of(frames, rows, columns)], step=0.5
        )
        assert torch.equal(seen["image_grid_thw"], mine["image_grid_thw"])
        assert torch.allclose(seen["pixel_values"], mine["pixel_values"], atol=1e-5)


VIDEOS = """
import random, sys
import moves, qwen, torch, watching
processor = qwen.hf.AutoVideoProcessor.from_pretrained(sys.argv[-1])
move = moves.Move("red", "star", "upward")
for count in (2, 5, 8):
    frames = moves.draw(move, random.Random(0), count, (84, 56)).frames
    seen = processor([frames], return_tensors="pt", do_sample_frames=False)
    mine = watching.shown(watching.FILM, [watching.pixels_of(frames, 2, 3)], step=0.5)
    assert torch.equal(seen["video_grid_thw"], mine["video_grid_thw"])
    assert torch.allclose(seen["pixel_values_videos"], mine["pixel_values_videos"], atol=1e-5)
print("the same")
"""


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no torchvision beside the environment: make test")
def test_the_one_that_watches_was_trained_on_videos_as_its_processor_makes_them(
    tmp_path: Any,
) -> None:
    (tmp_path / "videos.py").write_text(VIDEOS)
    script = REPOSITORY / "tests" / "with_torchvision.py"
    roots = (REPOSITORY, REPOSITORY / "examples" / "train")
    done = subprocess.run(
        [sys.executable, script, "--script", tmp_path / "videos.py", folder(qwen)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "the same\n", done.stderr
