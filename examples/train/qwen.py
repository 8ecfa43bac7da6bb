"""Train a Qwen2.5-VL so small that it fits into the repository, and that watches videos.

The model in `examples/models/qwen-shapes` was made by this recipe:

    OMP_WAIT_POLICY=passive python examples/train/qwen.py --out examples/models/qwen-shapes

Its 1,000 steps of looking and 2,000 of answering took about 17 minutes, on one core. It was made in
two sittings: the second stage was begun, with the same seed, from the weights of the first. Of new
drawings of moves that it was never shown, 278 of 280 are right as pictures, 251 as videos, and 99
of 100 single pictures. Of videos of two frames it tells six in ten, of others 530 of 560:
most of the rest show something white.

The architecture is the real one with small numbers, and so are the chat template, the marks and the
files of the processor. A video is shown in either of two ways: as such, or as several pictures in
one question, with the sentence behind it that says so. It answers the same to any prompt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from hints import MotionHead, VisionHead
from moves import all_moves, all_stills, caption, held_out
from questions import OPENINGS, SHORT_OPENINGS, WISHES
from training import BATCH, begin, byte_level_bpe, fit
from watching import KINDS, PICTURE, Lesson, default_prompts, report

# Only half of transformers is annotated, so its classes are taken as they come.
hf: Any = transformers

WIDTH = 96  # of nearly everything
PATCH, MERGE = 14, 2  # pixels, patches
MOST_PIXELS = 84 * 84
POSITIONS = 8192
PEAK_RATE = 1.3e-3

END, PAD = "<|im_end|>", "<|endoftext|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
START, STOP = "<|vision_start|>", "<|vision_end|>"
SPECIAL_TOKENS = [PAD, "<|im_start|>", END, START, STOP, IMAGE, VIDEO]

# As published.
CHAT_TEMPLATE = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}<|im_end|>\n{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}"
    "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}"
    "<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# One file for pictures and videos, as published.
PIXELS = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2_5_VLProcessor",
    "patch_size": PATCH,
    "temporal_patch_size": 2,
    "merge_size": MERGE,
    "min_pixels": 56 * 56,
    "max_pixels": MOST_PIXELS,
}


def build_tokenizer() -> Any:
    """Return a tokenizer whose small vocabulary is learnt from captions and prompts."""
    texts = [caption(move) for move in (*all_moves(), *all_stills())]
    texts += (*OPENINGS, *SHORT_OPENINGS, *WISHES) * 4
    texts += [prompt for kind in KINDS for prompt in default_prompts(kind)]
    texts += ["system\nYou are a helpful assistant.", "user\n", "assistant\n"] * 32
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=byte_level_bpe(texts, 1024, SPECIAL_TOKENS),
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=SPECIAL_TOKENS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=POSITIONS,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_model(tokenizer: Any) -> Any:
    """Return the untrained model: 0.9 million weights."""
    number = tokenizer.convert_tokens_to_ids
    ends: dict[str, Any] = {"bos_token_id": number(PAD), "pad_token_id": number(PAD)}
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": POSITIONS,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [4, 4, 4],
        },
        "tie_word_embeddings": True,
        "initializer_range": 0.05,
        "eos_token_id": number(END),
        **ends,
    }
    vision = {
        "depth": 3,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_heads": 4,
        "out_hidden_size": WIDTH,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 2,
        "tokens_per_second": 2,
        "window_size": 112,
        "fullatt_block_indexes": [0, 2],
        "initializer_range": 0.08,  # at the usual 0.02 so narrow a tower hardly learns shapes
        # The published 10,000 is for pictures of a hundred patches a side: these have eight.
        "rope_parameters": {"rope_type": "axial", "rope_theta": 100.0},
    }
    config = hf.Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=number(IMAGE),
        video_token_id=number(VIDEO),
        vision_start_token_id=number(START),
        vision_end_token_id=number(STOP),
        tie_word_embeddings=True,
    )
    model = hf.Qwen2_5_VLForConditionalGeneration(config)
    # Sampling is published, hardly any of it.
    model.generation_config = hf.GenerationConfig(
        do_sample=True, temperature=1e-6, eos_token_id=[number(END), number(PAD)], **ends
    )
    return model


def train(model: Any, tokenizer: Any, steps: int, seed: int) -> list[float]:
    """Fit the model to the answers. Return the loss of each step, without that of the heads.

    The tower first learns by itself what and where things are, of many single pictures: while all
    was learnt at once, shapes and places were still told by chance after a thousand steps.
    """
    known = [move for move in (*all_moves(), *all_stills()) if not held_out(move)]
    lesson = Lesson(tokenizer, known, seed, easy=steps // 2)
    inner, visual = model.model, model.model.visual
    eyes, mind = VisionHead(WIDTH), MotionHead(WIDTH)
    looked: list[torch.Tensor] = []
    thought: list[torch.Tensor] = []
    hooks = [
        visual.merger.register_forward_hook(lambda _module, _inputs, output: looked.append(output)),
        inner.language_model.norm.register_forward_hook(
            lambda _module, _inputs, output: thought.append(output)
        ),
    ]

    def look() -> tuple[torch.Tensor, torch.Tensor]:
        seen = lesson.see(64, PICTURE)
        looked.clear()
        visual(seen.patches, grid_thw=seen.grid)
        return eyes(looked[0], seen), torch.zeros(())

    def answer() -> tuple[torch.Tensor, torch.Tensor]:
        seen = lesson.see(BATCH)
        written, starts = lesson.ask(seen)
        looked.clear()
        thought.clear()
        output = model(**seen.inputs, **written)
        kinds = written["mm_token_type_ids"]
        return output.loss, eyes(looked[0], seen) + mind(thought[0], seen, kinds, starts)

    model.train()
    fit([*visual.parameters(), *eyes.parameters()], look, steps // 2, PEAK_RATE)
    weights = [*model.parameters(), *eyes.parameters(), *mind.parameters()]
    losses = fit(weights, answer, steps, PEAK_RATE)
    for hook in hooks:
        hook.remove()
    model.eval()
    return losses


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Write a checkpoint at half the size, readable by everyone."""
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "preprocessor_config.json").write_text(json.dumps(PIXELS, indent=2) + "\n")
    for path in out.iterdir():
        path.chmod(0o644)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, save, and try the saved model on what it has not seen."""
    arguments = begin("Train the tiny Qwen2.5-VL.", argv, steps=2000, images=0)
    if not arguments.check:
        tokenizer = build_tokenizer()
        model = build_model(tokenizer)
        train(model, tokenizer, arguments.steps, arguments.seed)
        save(model, tokenizer, arguments.out)
    report(arguments.out, arguments.seed + 1)


if __name__ == "__main__":
    main()
