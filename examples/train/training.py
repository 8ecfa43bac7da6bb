"""What the trainings of the tiny captioners share: pictures, tokens, the loop and its schedule."""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from scenes import COLOURS, RELATIONS, SHAPES, Scene, all_scenes, draw, held_out
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional

hf: Any = transformers  # only half of it is annotated, so its classes are taken as they come
BATCH = 24
WARM_UP = 200
KNOWN = [scene for scene in all_scenes() if not held_out(scene)]
UNSEEN = [scene for scene in all_scenes() if held_out(scene)]
Shrink = Callable[[Image.Image], np.ndarray]  # to bytes of shape (height, width, 3)
# What a model is asked about some scenes, and what it should answer: arguments of its `forward`.
Ask = Callable[[Sequence[Scene], random.Random], dict[str, Tensor]]


@dataclass(frozen=True)
class Pupil:
    """A model to train, and how its family wants it."""

    model: Any
    processor: Any
    projector: nn.Module  # its output, the image features, is what the language model sees
    features: int  # numbers that tell one picture
    shrink: Shrink
    ask: Ask
    rate: float  # of learning, at its peak


@dataclass(frozen=True)
class Pictures:
    """Scenes, and their drawings as bytes of shape (count, 3, side, side)."""

    scenes: list[Scene]
    pixels: Tensor


def begin(
    description: str, argv: Sequence[str] | None, steps: int, images: int
) -> argparse.Namespace:
    """Read the flags, and make what follows depend on nothing else."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=steps, help=f"default: {steps}")
    parser.add_argument(
        "--images", type=int, default=images, help=f"drawn to train on (default: {images})"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--check", action="store_true", help="only try the checkpoint that is in the folder"
    )
    arguments = parser.parse_args(argv)
    hf.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # the matrices are too small to be worth sharing
    torch.manual_seed(arguments.seed)
    return arguments


def draw_pictures(scenes: Sequence[Scene], count: int, seed: int, shrink: Shrink) -> Pictures:
    """Draw scenes in turn, in a new order each round, made small as the processor will do it.

    Some canvases are large: reducing them more leaves slightly sharper edges.
    """
    rng = random.Random(seed)
    chosen: list[Scene] = []
    while len(chosen) < count:
        chosen += rng.sample(scenes, len(scenes))
    del chosen[count:]
    drawn = []
    for scene in chosen:
        image = draw(scene, rng, scale=rng.choice((1, 1, 1, 4)))
        drawn.append(torch.from_numpy(shrink(image)).permute(2, 0, 1))
    return Pictures(chosen, torch.stack(drawn))


def byte_level_bpe(
    texts: Sequence[str], vocabulary: int, special_tokens: Sequence[str]
) -> Tokenizer:
    """Learn a small vocabulary from texts.

    All single bytes are in it, so any text can be written, if not understood.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


class SceneHead(nn.Module):
    """Names the parts of a scene straight from the image features, during training only.

    Captions alone teach the grammar first and leave the colours to chance for a long time. This
    head tells the vision tower from the start what is worth seeing, and is then thrown away.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        words = (tuple(COLOURS), SHAPES, RELATIONS, tuple(COLOURS), SHAPES)
        self.indices = [{word: index for index, word in enumerate(part)} for part in words]
        self.linear = nn.Linear(features, sum(map(len, words)))

    def forward(self, features: Tensor, scenes: Sequence[Scene]) -> Tensor:
        """Return the sum of the cross-entropies of the five parts."""
        rows = [
            (s.first_colour, s.first_shape, s.relation, s.second_colour, s.second_shape)
            for s in scenes
        ]
        parts = self.linear(features.flatten(1)).split([len(i) for i in self.indices], dim=1)
        loss = features.new_zeros(())
        for index, part, words in zip(self.indices, parts, zip(*rows, strict=True), strict=True):
            target = torch.tensor([index[word] for word in words])
            loss = loss + functional.cross_entropy(part, target)
        return loss


def train(pupil: Pupil, pictures: Pictures, steps: int, seed: int) -> list[float]:
    """Fit the model to the answers. Return the loss of each step, without that of the head."""
    model, head = pupil.model, SceneHead(pupil.features)
    rng = random.Random(seed)
    features: list[Tensor] = []
    hook = pupil.projector.register_forward_hook(
        lambda _module, _inputs, output: features.append(output)
    )
    queue: list[int] = []

    def loss() -> tuple[Tensor, Tensor]:
        nonlocal queue
        if len(queue) < BATCH:
            queue = rng.sample(range(len(pictures.scenes)), len(pictures.scenes))
        rows = [queue.pop() for _ in range(BATCH)]
        scenes = [pictures.scenes[row] for row in rows]
        question = pupil.ask(scenes, rng)
        pixels = normalised(shifted(pictures.pixels[rows], rng), pupil.processor.image_processor)
        features.clear()
        output = model(pixel_values=pixels, **question)
        return output.loss, head(features[0], scenes)

    model.train()
    losses = fit([*model.parameters(), *head.parameters()], loss, steps, pupil.rate)
    hook.remove()
    model.eval()
    return losses


def fit(
    weights: Sequence[nn.Parameter],
    loss: Callable[[], tuple[Tensor, Tensor]],
    steps: int,
    rate: float,
) -> list[float]:
    """Make a loss small: that of a new batch each step, and the one of what helps. Return the
    first of the two of each step."""
    optimizer = torch.optim.AdamW(
        [
            {"params": [w for w in weights if w.ndim >= 2], "weight_decay": 0.01},
            {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
        ],
        lr=rate,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share(step, steps))
    losses: list[float] = []
    began = time.monotonic()
    for step in range(1, steps + 1):
        own, helping = loss()
        both: Any = own + helping  # backward is not annotated
        optimizer.zero_grad()
        both.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(own.item())
        if step % 250 == 0 or step == steps:
            recent = losses[(step - 1) // 250 * 250 :]
            seconds = time.monotonic() - began
            print(f"step {step}: loss {sum(recent) / len(recent):.4f}, {seconds:.0f} s", flush=True)
    return losses


def share(step: int, steps: int) -> float:
    """Return the share of the peak learning rate: a ramp, then a cosine down to 3 %."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    progress = (step - WARM_UP) / max(1, steps - WARM_UP)
    return 0.03 + 0.97 * (1 + math.cos(math.pi * progress)) / 2


def normalised(pixels: Tensor, image_processor: Any) -> Tensor:
    """Do to stored bytes what the processor does after resizing."""
    mean = torch.tensor(image_processor.image_mean).view(3, 1, 1)
    deviation = torch.tensor(image_processor.image_std).view(3, 1, 1)
    return (pixels / 255 - mean) / deviation


def shifted(pixels: Tensor, rng: random.Random) -> Tensor:
    """Move a batch by up to two pixels, so that no picture looks the same twice."""
    return pixels.roll((rng.randint(-2, 2), rng.randint(-2, 2)), dims=(2, 3))


def save(pupil: Pupil, out: Path) -> None:
    """Write a checkpoint at half the size, readable by everyone."""
    pupil.model.to(torch.bfloat16).save_pretrained(out)
    pupil.processor.tokenizer.backend_tokenizer.no_padding()  # as training left it on
    pupil.processor.save_pretrained(out)
    for path in out.iterdir():
        path.chmod(0o644)
