"""Train a Florence-2 so small that it fits into the repository, yet captions the demo scenes.

The model in `examples/models/florence2-shapes` was made by this file as it stands:

    OMP_WAIT_POLICY=passive python examples/train/florence2.py \
        --out examples/models/florence2-shapes

It takes about four minutes on one CPU core. The architecture is the real one with small numbers,
so it loads and generates exactly as the published checkpoints do.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from scenes import (
    CAPTION,
    DETAILED,
    MORE_DETAILED,
    TASKS,
    Scene,
    all_scenes,
    caption,
    draw,
)
from torch import Tensor
from training import (
    KNOWN,
    UNSEEN,
    Ask,
    Pupil,
    begin,
    byte_level_bpe,
    draw_pictures,
    save,
    train,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

# Only half of transformers is annotated, so its classes are taken as they come.
hf: Any = transformers
pil_image_processor: Any = CLIPImageProcessorPil
Processor = Any  # Florence2Processor

WIDTH = 96  # of nearly everything
SIDE = 64  # pixels; the first stage divides it by 8, the second by 2
IMAGE_TOKENS = (SIDE // 16) ** 2 + 1  # the cells of the grid, and their mean
LABEL_TOKENS = 26  # the longest caption has 21
SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<image>"]  # numbered as in BART
BOS, PAD, EOS = 0, 1, 2
PEAK_RATE = 1.4e-3
# The longer two answers repeat what the first says in more words, so it comes twice as often.
TASK_MIX = (CAPTION, CAPTION, DETAILED, MORE_DETAILED)


def build_processor() -> Processor:
    """Return a processor whose small vocabulary is learnt from all captions and prompts."""
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
    """Return a tokenizer for these texts."""
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=byte_level_bpe(texts, 480, SPECIAL_TOKENS),
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def build_model(processor: Processor) -> Any:
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
    model = hf.Florence2ForConditionalGeneration(config)
    model.generation_config = generation_config()
    return model


def generation_config() -> Any:
    """Return how the model is to be used.

    Beam search must be free to say a word twice ("a red circle above a red circle") and to
    finish a longer caption after a shorter one.
    """
    return hf.GenerationConfig(
        bos_token_id=BOS,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
        max_new_tokens=64,
        num_beams=3,
        do_sample=False,
        early_stopping=False,
    )


def shrink(image: Image.Image) -> np.ndarray:
    """Squeeze a picture into the square, as the processor does."""
    return np.array(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


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


def asker(processor: Processor) -> Ask:
    """Return what the training asks: all three tasks, mixed within each batch."""
    prompts = encode_prompts(processor)

    def ask(scenes: Sequence[Scene], rng: random.Random) -> dict[str, Tensor]:
        tasks = rng.choices(TASK_MIX, k=len(scenes))
        labels = encode_captions(scenes, tasks, processor)
        return {
            "input_ids": torch.stack([prompts[task]["input_ids"] for task in tasks]),
            "attention_mask": torch.stack([prompts[task]["attention_mask"] for task in tasks]),
            "decoder_input_ids": misread(labels, len(processor.tokenizer)),
            "labels": labels,
        }

    return ask


def build() -> Pupil:
    """Return the model with all that its training needs."""
    processor = build_processor()
    model = build_model(processor)
    return Pupil(
        model=model,
        processor=processor,
        projector=model.model.multi_modal_projector,
        features=IMAGE_TOKENS * WIDTH,
        shrink=shrink,
        ask=asker(processor),
        rate=PEAK_RATE,
    )


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
    arguments = begin("Train the tiny Florence-2.", argv, steps=3500, images=8000)
    if not arguments.check:
        pupil = build()
        pictures = draw_pictures(KNOWN, arguments.images, arguments.seed, pupil.shrink)
        train(pupil, pictures, arguments.steps, arguments.seed)
        save(pupil, arguments.out)
    report(arguments.out, UNSEEN, arguments.seed + 1)


if __name__ == "__main__":
    main()
