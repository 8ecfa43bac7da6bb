"""Train a Florence-2 so small that it fits into the repository, yet captions the demo scenes.

The model in `examples/models/florence2-shapes` was made by this file as it stands:

    OMP_WAIT_POLICY=passive python examples/train/florence2.py \
        --out examples/models/florence2-shapes

It takes about four minutes on one CPU core. The architecture is the real one with small numbers,
so it loads and generates exactly as the published checkpoints do.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from scenes import (
    CAPTION,
    COLOURS,
    DETAILED,
    MORE_DETAILED,
    RELATIONS,
    SHAPES,
    TASKS,
    Scene,
    all_scenes,
    caption,
    draw,
    held_out,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

# Only half of transformers is annotated, so its classes are taken as they come.
hf: Any = transformers
pil_image_processor: Any = CLIPImageProcessorPil
Model = Any  # Florence2ForConditionalGeneration
Processor = Any  # Florence2Processor

WIDTH = 96  # of nearly everything
SIDE = 64  # pixels; the first stage divides it by 8, the second by 2
IMAGE_TOKENS = (SIDE // 16) ** 2 + 1  # the cells of the grid, and their mean
LABEL_TOKENS = 26  # the longest caption has 21
SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<image>"]  # numbered as in BART
BOS, PAD, EOS = 0, 1, 2
BATCH = 24
WARM_UP = 200
PEAK_RATE = 1.4e-3
# The longer two answers repeat what the first says in more words, so it comes twice as often.
TASK_MIX = (CAPTION, CAPTION, DETAILED, MORE_DETAILED)


@dataclass(frozen=True)
class Pictures:
    """Scenes, and their drawings as bytes of shape (count, 3, SIDE, SIDE)."""

    scenes: list[Scene]
    pixels: Tensor


def build_processor() -> Processor:
    """Return a processor whose small vocabulary is learnt from all captions and prompts.

    All single bytes are in it, so any text can be written, if not understood.
    """
    image_processor = pil_image_processor(
        size={"height": SIDE, "width": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    image_processor.image_seq_length = IMAGE_TOKENS
    processor = hf.Florence2Processor(image_processor, build_tokenizer([]))
    texts = list(processor.task_prompts_without_inputs.values())
    texts += [caption(scene, task) for scene in all_scenes() for task in TASKS]
    return hf.Florence2Processor(
        image_processor,
        build_tokenizer(texts),
        post_processor_config={"pure_text": {}},  # which post_process_generation looks up
    )


def build_tokenizer(texts: Sequence[str]) -> Any:
    """Return a byte-level BPE tokenizer for these texts."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def build_model(processor: Processor) -> Model:
    """Return the untrained model: 0.7 million weights."""
    vision = hf.Florence2VisionConfig(
        depths=[1, 1],
        patch_size=[12, 3],
        patch_stride=[8, 2],
        patch_padding=[2, 1],
        patch_prenorm=[False, True],
        embed_dim=[64, WIDTH],
        num_heads=[4, 4],
        num_groups=[4, 4],
        window_size=4,
        mlp_ratio=2.0,
        drop_path_rate=0.0,
        projection_dim=WIDTH,
    )
    text = hf.BartConfig(
        vocab_size=len(processor.tokenizer),
        d_model=WIDTH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=2 * WIDTH,
        decoder_ffn_dim=2 * WIDTH,
        max_position_embeddings=1024,
        dropout=0.0,
        bos_token_id=BOS,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
        forced_eos_token_id=EOS,
    )
    config = hf.Florence2Config(
        vision_config=vision,
        text_config=text,
        image_token_id=processor.image_token_id,
        bos_token_id=BOS,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
    )
    return hf.Florence2ForConditionalGeneration(config)


def draw_pictures(scenes: Sequence[Scene], count: int, seed: int) -> Pictures:
    """Draw scenes in turn, in a new order each round, squeezed as the processor will do it.

    Some canvases are large: reducing them more leaves slightly sharper edges.
    """
    rng = random.Random(seed)
    chosen: list[Scene] = []
    while len(chosen) < count:
        chosen += rng.sample(scenes, len(scenes))
    del chosen[count:]
    pixels = torch.empty(count, 3, SIDE, SIDE, dtype=torch.uint8)
    for index, scene in enumerate(chosen):
        image = draw(scene, rng, scale=rng.choice((1, 1, 1, 4)))
        small = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        pixels[index] = torch.from_numpy(np.array(small)).permute(2, 0, 1)
    return Pictures(chosen, pixels)


def normalised(pixels: Tensor, processor: Processor) -> Tensor:
    """Do to stored bytes what the processor does after resizing."""
    mean = torch.tensor(processor.image_processor.image_mean).view(3, 1, 1)
    deviation = torch.tensor(processor.image_processor.image_std).view(3, 1, 1)
    return (pixels / 255 - mean) / deviation


def shifted(pixels: Tensor, rng: random.Random) -> Tensor:
    """Move a batch by up to two pixels, so that no picture looks the same twice."""
    return pixels.roll((rng.randint(-2, 2), rng.randint(-2, 2)), dims=(2, 3))


def encode_prompts(processor: Processor) -> dict[str, dict[str, Tensor]]:
    """Return the token ids and mask of each task, padded to one length."""
    blank = Image.new("RGB", (SIDE, SIDE))
    batch = processor(
        text=list(TASKS), images=[blank] * len(TASKS), return_tensors="pt", padding=True
    )
    return {
        task: {name: batch[name][row] for name in ("input_ids", "attention_mask")}
        for row, task in enumerate(TASKS)
    }


def encode_captions(scenes: Sequence[Scene], tasks: Sequence[str], processor: Processor) -> Tensor:
    """Return the labels, all of one length: after its end, a caption ends again and again."""
    rows = []
    for scene, task in zip(scenes, tasks, strict=True):
        row = processor.tokenizer.encode(f"<s>{caption(scene, task)}</s>", add_special_tokens=False)
        rows.append(row + [EOS] * (LABEL_TOKENS - len(row)))
    return torch.tensor(rows)


def misread(labels: Tensor, tokens: int) -> Tensor:
    """Return what the decoder sees before each label: the label before it, at times a wrong one.

    Beam search follows wrong beginnings too, and stops only when they have ended. Having seen
    none, a model that is always right goes on with them until the limit, at great cost.
    """
    start = torch.full_like(labels[:, :1], EOS)
    wrong = torch.rand(labels.shape) < 0.1
    before = labels.where(~wrong, torch.randint_like(labels, len(SPECIAL_TOKENS), tokens))
    return torch.cat([start, before[:, :-1]], dim=1)


class SceneHead(nn.Module):
    """Names the parts of a scene straight from the image features, during training only.

    Captions alone teach the grammar first and leave the colours to chance for a long time. This
    head tells the vision tower from the start what is worth seeing, and is then thrown away.
    """

    def __init__(self) -> None:
        super().__init__()
        words = (tuple(COLOURS), SHAPES, RELATIONS, tuple(COLOURS), SHAPES)
        self.indices = [{word: index for index, word in enumerate(part)} for part in words]
        self.linear = nn.Linear(IMAGE_TOKENS * WIDTH, sum(map(len, words)))

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


def train(
    model: Model,
    processor: Processor,
    pictures: Pictures,
    steps: int,
    seed: int,
) -> None:
    """Teach the model all three tasks, mixed within each batch."""
    rng = random.Random(seed)
    prompts = encode_prompts(processor)
    head = SceneHead()
    features: list[Tensor] = []
    hook = model.model.multi_modal_projector.register_forward_hook(
        lambda _module, _inputs, output: features.append(output)
    )
    weights = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": [w for w in weights if w.ndim >= 2], "weight_decay": 0.01},
            {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
        ],
        lr=PEAK_RATE,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    model.train()
    queue: list[int] = []
    recent = 0.0
    began = time.monotonic()
    for step in range(1, steps + 1):
        if len(queue) < BATCH:
            queue = rng.sample(range(len(pictures.scenes)), len(pictures.scenes))
        rows = [queue.pop() for _ in range(BATCH)]
        scenes = [pictures.scenes[row] for row in rows]
        tasks = rng.choices(TASK_MIX, k=BATCH)
        labels = encode_captions(scenes, tasks, processor)
        features.clear()
        output = model(
            input_ids=torch.stack([prompts[task]["input_ids"] for task in tasks]),
            attention_mask=torch.stack([prompts[task]["attention_mask"] for task in tasks]),
            pixel_values=normalised(shifted(pictures.pixels[rows], rng), processor),
            decoder_input_ids=misread(labels, len(processor.tokenizer)),
            labels=labels,
        )
        loss = output.loss + head(features[0], scenes)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        recent += output.loss.item()
        if step % 250 == 0 or step == steps:
            since = (step - 1) % 250 + 1
            seconds = time.monotonic() - began
            print(f"step {step}: loss {recent / since:.4f}, {seconds:.0f} s", flush=True)
            recent = 0.0
    hook.remove()
    model.eval()


def rate(step: int, steps: int) -> float:
    """Return the share of the peak learning rate: a ramp, then a cosine down to 3 %."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    progress = (step - WARM_UP) / max(1, steps - WARM_UP)
    return 0.03 + 0.97 * (1 + math.cos(math.pi * progress)) / 2


def save(model: Model, processor: Processor, out: Path) -> None:
    """Write a checkpoint at half the size, readable by everyone.

    Beam search must be free to say a word twice ("a red circle above a red circle") and to
    finish a longer caption after a shorter one.
    """
    model.generation_config = hf.GenerationConfig(
        bos_token_id=BOS,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
        max_new_tokens=64,
        num_beams=3,
        do_sample=False,
        early_stopping=False,
    )
    model.to(torch.bfloat16).save_pretrained(out)
    processor.tokenizer.backend_tokenizer.no_padding()  # as training left it on
    processor.save_pretrained(out)
    for path in out.iterdir():
        path.chmod(0o644)


@torch.inference_mode()
def report(out: Path, scenes: Sequence[Scene], seed: int) -> None:
    """Load what was saved, as a user would, and print how many captions are right to the letter."""
    processor = hf.AutoProcessor.from_pretrained(out, backend="pil")
    model = hf.AutoModelForImageTextToText.from_pretrained(out, dtype=torch.float32)
    rng = random.Random(seed)
    images = [draw(scene, rng) for scene in scenes]
    for task, beams in product(TASKS, (1, 3)):
        right = 0
        for start in range(0, len(scenes), 32):
            some = images[start : start + 32]
            batch = processor(
                text=[task] * len(some), images=some, return_tensors="pt", padding=True
            )
            generated = model.generate(**batch, num_beams=beams)
            texts = processor.batch_decode(generated, skip_special_tokens=True)
            for text, scene in zip(texts, scenes[start : start + 32], strict=True):
                right += text == caption(scene, task)
        print(f"{task}, beams {beams}: {right} of {len(scenes)} right", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, save, and try the saved model on scenes that it has not seen."""
    parser = argparse.ArgumentParser(description="Train the tiny demo captioner.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=3500, help="default: 3500")
    parser.add_argument("--images", type=int, default=8000, help="drawn to train on: 8000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    arguments = parser.parse_args(argv)

    hf.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # the matrices are too small to be worth sharing
    torch.manual_seed(arguments.seed)
    known = [scene for scene in all_scenes() if not held_out(scene)]
    unseen = [scene for scene in all_scenes() if held_out(scene)]
    processor = build_processor()
    model = build_model(processor)
    print(f"{sum(w.numel() for w in model.parameters()):,} weights", flush=True)
    pictures = draw_pictures(known, arguments.images, arguments.seed)
    train(model, processor, pictures, arguments.steps, arguments.seed)
    save(model, processor, arguments.out)

    report(arguments.out, unseen, arguments.seed + 1)


if __name__ == "__main__":
    main()
