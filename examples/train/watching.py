"""Show videos and pictures to a tiny Qwen2.5-VL: to train it, and to try what was saved."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from answering import IGNORED
from moves import STILL, Clip, Move, all_moves, all_stills, caption, draw, held_out
from PIL import Image
from questions import draw_prompt, draw_prompts
from torch import Tensor

from stages.policy import read_policy

hf: Any = transformers  # only half annotated
FILM, PICTURES, PICTURE = KINDS = ("as a video", "as several pictures", "a single picture")
SHARES = (0.4, 0.4, 0.2)  # of the steps
TYPES = ("character", "style", "motion", "object")
SIDE, PATCH, MERGE = 28, 14, 2  # of a token in pixels, of a patch, patches of a token's side
# Rows and columns of tokens in a frame, as the processor makes them of frames of common shapes.
GRIDS = ((2, 3), (2, 3), (2, 3), (3, 3), (3, 2), (2, 2), (2, 4))
COUNTS = (2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 8, 8, 12)  # of frames
EASY_COUNTS = (2, 2, 2, 3, 4, 6, 8)  # at first: two frames a long way apart tell most
FRAMES = 144  # of a batch, at most
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
DEVIATION = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


@dataclass(frozen=True)
class Seen:
    """What is shown: all of one kind, as many frames and one size."""

    kind: str
    moves: list[Move]
    inputs: dict[str, Tensor]  # as the processor returns them
    places: Tensor  # of the thing in each frame that the tower sees: moves x frames x 2
    count: int  # frames
    step: float  # seconds between them

    @property
    def patches(self) -> Tensor:
        return self.inputs["pixel_values_videos" if self.kind == FILM else "pixel_values"]

    @property
    def grid(self) -> Tensor:
        return self.inputs["video_grid_thw" if self.kind == FILM else "image_grid_thw"]


@cache
def default_prompts(kind: str) -> tuple[str, ...]:
    """What `enhance` itself asks of a picture or a video, and without a merge: long texts."""
    policies = [read_policy(name) for name in TYPES]
    if kind != PICTURE:
        policies = [policy.for_videos for policy in policies]
    looks = [f"{policy.look('zwirbel')}\n\n{policy.show('zwirbel', '')}" for policy in policies]
    return (*(policy.draft() for policy in policies), *looks)


def ask(kind: str, count: int, rng: random.Random, shortly: bool = False) -> list[str]:
    """Draw prompts: half of them any, half the program's own, of which some lines may lack; or
    questions alone."""
    draw = rng.random()
    if draw < 0.5 or shortly:
        prompts = draw_prompts(count, rng)
        if shortly:
            prompts = [draw_prompt(0, rng) for _ in range(count)]
        if kind != PICTURE and rng.random() < 0.6:
            return [one.replace("image", "video").replace("picture", "video") for one in prompts]
        return prompts
    own = default_prompts(kind)
    some = own[: len(TYPES)] if draw < 0.95 else own[len(TYPES) :]
    return [_thinned(rng.choice(some), rng) for _ in range(count)]


def _thinned(text: str, rng: random.Random) -> str:
    if rng.random() < 0.4:
        return text
    kept = rng.uniform(0.3, 1.0)
    return "\n".join(line for line in text.splitlines() if rng.random() < kept)


def said_of_frames(seconds: Sequence[float]) -> str:
    """What `enhance` says behind a prompt where a video is shown as pictures."""
    return f"\n\n{read_policy('motion').frames(seconds)}"


class Lesson:
    """What the training shows: drawn anew for each step, so that nothing is seen twice."""

    def __init__(self, tokenizer: Any, moves: Sequence[Move], seed: int, easy: int) -> None:
        """The first `easy` questions are short, about few frames, and quickly computed: by those is
        learnt what to look at, to find it before a long text later."""
        self.tokenizer = tokenizer
        self.easy = easy
        self.rng = random.Random(seed)
        self.moving = [move for move in moves if move.direction != STILL]
        self.still = [move for move in moves if move.direction == STILL]

    def see(self, size: int, kind: str = "") -> Seen:
        """Draw `size` clips of a kind, or of any; fewer of many frames."""
        rng = self.rng
        kind = kind or rng.choices(KINDS, SHARES)[0]
        count = 1 if kind == PICTURE else rng.choice(EASY_COUNTS if self.easy > 0 else COUNTS)
        rows, columns = rng.choice(GRIDS)
        size = max(4, min(size, FRAMES // count))
        moves = [rng.choice(self.still if kind == PICTURE else self.moving) for _ in range(size)]
        clips = [draw(move, rng, count, _canvas(rows, columns, rng)) for move in moves]
        step = 0.05 * 40 ** rng.random()  # to 2 seconds
        inputs = shown(kind, [pixels_of(clip.frames, rows, columns) for clip in clips], step)
        return Seen(kind, moves, inputs, _places(kind, clips), count, step)

    def ask(self, seen: Seen) -> tuple[dict[str, Tensor], list[int]]:
        """Draw questions: the arguments for what is written, and where the answers start."""
        self.easy -= 1
        prompts = ask(seen.kind, len(seen.moves), self.rng, self.easy >= 0)
        if seen.kind == PICTURES:
            behind = said_of_frames([number * seen.step for number in range(seen.count)])
            prompts = [prompt + behind for prompt in prompts]
        tokens = int(seen.grid[0].prod()) // MERGE**2 * (1 if seen.kind == FILM else seen.count)
        asked = [
            conversation(self.tokenizer, seen.kind, seen.count, prompt, tokens)
            for prompt in prompts
        ]
        answers = [caption(move) + self.tokenizer.eos_token for move in seen.moves]
        return _written(self.tokenizer, asked, answers)


def _canvas(rows: int, columns: int, rng: random.Random) -> tuple[int, int]:
    """Width and height of a frame that is made so small later."""
    scale = SIDE * rng.uniform(1.2, 3.0)
    return (
        round(columns * scale * rng.uniform(0.94, 1.06)),
        round(rows * scale * rng.uniform(0.94, 1.06)),
    )


def pixels_of(frames: Sequence[Image.Image], rows: int, columns: int) -> Tensor:
    """Frames as the processor makes them before it cuts them up."""
    size = (columns * SIDE, rows * SIDE)
    small = [np.array(one.resize(size, Image.Resampling.BICUBIC)) for one in frames]
    bytes_ = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)
    return (bytes_ / 255 - MEAN) / DEVIATION


def shown(kind: str, clips: Sequence[Tensor], step: float) -> dict[str, Any]:
    """The arguments for what is seen, as the processor returns them. All clips are alike in shape,
    their frames `step` seconds apart."""
    frames = torch.stack(list(clips))
    if kind != FILM:
        frames = frames.flatten(0, 1)[:, None].repeat(1, 2, 1, 1, 1)  # each is its own neighbour
    elif frames.shape[1] % 2:
        frames = torch.cat((frames, frames[:, -1:]), dim=1)
    several, count, _, height, width = frames.shape
    high, wide = height // SIDE, width // SIDE
    cut = frames.view(several, count // 2, 2, 3, high, MERGE, PATCH, wide, MERGE, PATCH)
    patches = cut.permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9).reshape(-1, 3 * 2 * PATCH * PATCH)
    grid = torch.tensor([[count // 2, high * MERGE, wide * MERGE]] * several)
    if kind != FILM:
        return {"pixel_values": patches, "image_grid_thw": grid}
    return {
        "pixel_values_videos": patches,
        "video_grid_thw": grid,
        "second_per_grid_ts": torch.full((several,), 2 * step),
    }


def conversation(tokenizer: Any, kind: str, count: int, prompt: str, tokens: int) -> list[int]:
    """The tokens of a question; `tokens` of them are what is seen."""
    part = "video" if kind == FILM else "image"
    content: list[dict[str, str]] = [{"type": part}] * (1 if kind == FILM else count)
    message = {"role": "user", "content": [*content, {"type": "text", "text": prompt}]}
    text: str = tokenizer.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
    mark = f"<|{part}_pad|>"
    result: list[int] = tokenizer(text.replace(mark, mark * (tokens // len(content))))["input_ids"]
    return result


def _written(
    tokenizer: Any, asked: Sequence[Sequence[int]], answers: Sequence[str]
) -> tuple[dict[str, Tensor], list[int]]:
    """The arguments for what is written, of which the answers are learnt; where those start.

    The padding is on the right here, where no token of the text ever sees it: this needs no mask.
    """
    said = [tokenizer(answer)["input_ids"] for answer in answers]
    longest = max(len(one) + len(other) for one, other in zip(asked, said, strict=True))
    input_ids = torch.full((len(asked), longest), tokenizer.pad_token_id)
    labels = torch.full((len(asked), longest), IGNORED)
    for row, (one, other) in enumerate(zip(asked, said, strict=True)):
        stop = len(one) + len(other)
        input_ids[row, :stop] = torch.tensor([*one, *other])
        labels[row, len(one) : stop] = torch.tensor(other)
    kinds = token_kinds(tokenizer, input_ids)
    written = {"input_ids": input_ids, "labels": labels, "mm_token_type_ids": kinds}
    return written, [len(one) for one in asked]


def token_kinds(tokenizer: Any, input_ids: Tensor) -> Tensor:
    """1 for a token of a picture, 2 for one of a video, 0 for text."""
    number = tokenizer.convert_tokens_to_ids
    kinds: Tensor = (input_ids == number("<|image_pad|>")) + 2 * (
        input_ids == number("<|video_pad|>")
    )
    return kinds


def _places(kind: str, clips: Sequence[Clip]) -> Tensor:
    """Where the thing is in each frame; of a video in each two of them, which are seen as one."""
    places = torch.tensor([clip.places for clip in clips])
    if kind != FILM:
        return places
    if places.shape[1] % 2:
        places = torch.cat((places, places[:, -1:]), dim=1)
    return (places[:, ::2] + places[:, 1::2]) / 2


class Trial:
    """A saved checkpoint, which answers questions about clips of one size."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = hf.AutoTokenizer.from_pretrained(folder)
        self.model = hf.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        self.model.eval()

    @torch.inference_mode()
    def say(
        self, kind: str, prompts: Sequence[str], clips: Sequence[Tensor], step: float
    ) -> list[str]:
        """Return one answer each, asked for together."""
        count, _, height, width = clips[0].shape
        tokens = height // SIDE * (width // SIDE) * (-(-count // 2) if kind == FILM else count)
        behind = said_of_frames([number * step for number in range(count)])
        asked = [
            conversation(self.tokenizer, kind, count, prompt + behind * (kind == PICTURES), tokens)
            for prompt in prompts
        ]
        batch = self.tokenizer.pad({"input_ids": asked}, return_tensors="pt")
        kinds = token_kinds(self.tokenizer, batch["input_ids"])
        seen = shown(kind, clips, step)
        answers = self.model.generate(
            **batch, **seen, mm_token_type_ids=kinds, do_sample=False, max_new_tokens=24
        )
        answers = answers[:, batch["input_ids"].shape[1] :]
        texts: list[str] = self.tokenizer.batch_decode(answers, skip_special_tokens=True)
        return texts


@dataclass
class Score:
    """Of how many clips what was told is right to the letter."""

    asked: int = 0
    right: int = 0
    backwards: int = 0  # of the same frames in the other order


def scores(folder: Path, seed: int, rounds: int) -> Iterator[tuple[str, Score]]:
    """Ask a saved model about new drawings of unseen combinations, of every kind."""
    trial = Trial(folder)
    for kind in KINDS:
        rng, score = random.Random(seed), Score()
        moves = [one for one in (all_stills() if kind == PICTURE else all_moves()) if held_out(one)]
        for _ in range(rounds):
            rows, columns = rng.choice(GRIDS)
            count = 1 if kind == PICTURE else rng.choice(COUNTS)
            clips = [draw(one, rng, count, _canvas(rows, columns, rng)) for one in moves]
            frames = [pixels_of(clip.frames, rows, columns) for clip in clips]
            prompts, step = ask(kind, len(moves), rng), rng.uniform(0.1, 1.0)
            told = trial.say(kind, prompts, frames, step)
            score.asked += len(moves)
            score.right += sum(map(str.__eq__, told, map(caption, moves)))
            told = trial.say(kind, prompts, [one.flip(0) for one in frames], step)
            back = [caption(one.reversed) for one in moves]
            score.backwards += sum(map(str.__eq__, told, back))
        yield kind, score


def report(folder: Path, seed: int) -> None:
    """Print how many answers are right to the letter, and how many of the same frames backwards
    are told the other way round."""
    hf.utils.logging.set_verbosity_error()
    for kind, score in scores(folder, seed, rounds=20):
        print(f"{kind}: {score.right} of {score.asked} right, {score.backwards} backwards")
