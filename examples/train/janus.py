"""Train a Janus so small that it fits into the repository.

The model in `examples/models/janus-shapes` was made by this recipe:

    OMP_WAIT_POLICY=passive python examples/train/janus.py --out examples/models/janus-shapes

Its 5,500 steps took about 25 minutes of CPU time, on one core; 293 of 298 unseen scenes are right.
The code was rearranged afterwards, into this file and what it shares with `joycaption.py`: the
first weights, the questions and the weights after 14 steps were compared, and are the same bits.

The architecture is the real one with small numbers; the part that draws pictures is there too, but
all zero. As with the published checkpoints, the processor says the system prompt by itself, the
chat template takes contents as lists of parts, and pictures are not squeezed: they get margins
until they are square.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import transformers
from answering import Processor, asker, report
from PIL import Image
from questions import OPENINGS, SHORT_OPENINGS, WISHES
from scenes import TASKS, all_scenes, caption
from tokenizers import processors
from torch import nn
from training import KNOWN, UNSEEN, Pupil, begin, byte_level_bpe, draw_pictures, save, train
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil
from transformers.models.janus.processing_janus import DEFAULT_SYSTEM_PROMPT

# Only half of transformers is annotated, so its classes are taken as they come.
hf: Any = transformers
pil_image_processor: Any = JanusImageProcessorPil

WIDTH = 96  # of nearly everything
SIDE, PATCH = 64, 8  # pixels
IMAGE_TOKENS = (SIDE // PATCH) ** 2
POSITIONS = 4096
PEAK_RATE = 1.3e-3

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
IMAGE, IMAGE_START, IMAGE_END = "<image_placeholder>", "<begin_of_image>", "<end_of_image>"
SPECIAL_TOKENS = [BOS, EOS, PAD, IMAGE, IMAGE_START, IMAGE_END, "<|User|>", "<|Assistant|>"]

# Parts of a message stand in lines of their own. A finished answer ends with the end token.
CHAT_TEMPLATE = r"""
{%- for message in messages -%}
  {%- set role = message['role'] | lower -%}
  {%- if role in ('user', 'assistant') -%}
    {{- '<|' ~ role | capitalize ~ '|>: ' -}}
  {%- else -%}
    {{- role | capitalize ~ ': ' -}}
  {%- endif -%}
  {%- for part in message['content'] -%}
    {{- '' if loop.first else '\n' -}}
    {{- '<image_placeholder>' if part['type'] == 'image' else part['text'] | trim -}}
  {%- endfor -%}
  {{- '<｜end▁of▁sentence｜>' if role == 'assistant' else '\n\n' -}}
{%- endfor -%}
{{- '<|Assistant|>:' if add_generation_prompt else '' -}}
"""

# Made by itself, as drawing needs it too.
PICTURES = pil_image_processor(
    size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
)


def build_processor() -> Processor:
    """Return a processor whose small vocabulary is learnt from captions and prompts."""
    texts = [f" {caption(scene, task)}" for scene in all_scenes()[::8] for task in TASKS]
    texts += (*OPENINGS, *SHORT_OPENINGS, *WISHES) * 8
    texts += [DEFAULT_SYSTEM_PROMPT] * 32
    bpe = byte_level_bpe(texts, 640, SPECIAL_TOKENS)
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, bpe.token_to_id(BOS))]
    )
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens={
            "image_token": IMAGE,
            "boi_token": IMAGE_START,
            "eoi_token": IMAGE_END,
        },
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=POSITIONS,
    )
    return hf.JanusProcessor(
        PICTURES,
        tokenizer,
        chat_template=CHAT_TEMPLATE.strip(),
        use_default_system_prompt=True,
        num_image_tokens=IMAGE_TOKENS,
    )


def build_model(processor: Processor) -> Any:
    """Return the untrained model: 0.8 million weights, of which 0.2 million draw."""
    vision = hf.JanusVisionConfig(
        hidden_size=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        mlp_ratio=2.0,
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=WIDTH,
        num_image_tokens=IMAGE_TOKENS,
    )
    text = hf.LlamaConfig(
        vocab_size=len(processor.tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        **token_ids(processor),
    )
    drawing = hf.JanusVQVAEConfig(
        embed_dim=8,
        num_embeddings=16,
        latent_channels=32,
        base_channels=32,  # the least that its norms take
        channel_multiplier=[1],
        num_res_blocks=1,
        projection_dim=WIDTH,
        image_token_embed_dim=WIDTH,
    )
    config = hf.JanusConfig(
        vision_config=vision,
        text_config=text,
        vq_config=drawing,
        image_token_id=processor.tokenizer.image_token_id,
        tie_word_embeddings=True,
    )
    model = hf.JanusForConditionalGeneration(config)
    # Guidance is published for drawing; it is ignored when text is asked for.
    model.generation_config = hf.GenerationConfig(
        temperature=1.0, guidance_scale=5, **token_ids(processor)
    )
    parts = model.model
    for part in (
        parts.vqmodel,
        parts.generation_embeddings,
        parts.generation_aligner,
        parts.generation_head,
    ):
        for weight in part.parameters():
            nn.init.zeros_(weight)
    return model


def token_ids(processor: Processor) -> dict[str, Any]:
    """Return the tokens that begin, pad and end a text."""
    number = processor.tokenizer.convert_tokens_to_ids
    return {"bos_token_id": number(BOS), "pad_token_id": number(PAD), "eos_token_id": number(EOS)}


def conversation(prompt: str) -> list[dict[str, Any]]:
    """Return the message with the picture and the prompt."""
    parts = [{"type": "image"}, {"type": "text", "text": prompt}]
    return [{"role": "user", "content": parts}]


def shrink(image: Image.Image) -> np.ndarray:
    """Fit a picture into the square and fill the margins, as the processor does."""
    batch = PICTURES(image, do_rescale=False, do_normalize=False)
    return np.asarray(batch["pixel_values"][0]).transpose(1, 2, 0)


def build() -> Pupil:
    """Return the model with all that its training needs."""
    processor = build_processor()
    model = build_model(processor)
    return Pupil(
        model=model,
        processor=processor,
        projector=model.model.aligner,
        features=IMAGE_TOKENS * WIDTH,
        shrink=shrink,
        ask=asker(processor, conversation, lead=" "),
        rate=PEAK_RATE,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Train, save, and try the saved model on scenes that it has not seen."""
    arguments = begin("Train the tiny Janus.", argv, steps=5500, images=30000)
    if not arguments.check:
        pupil = build()
        pictures = draw_pictures(KNOWN, arguments.images, arguments.seed, pupil.shrink)
        train(pupil, pictures, arguments.steps, arguments.seed)
        save(pupil, arguments.out)
    report(arguments.out, conversation, UNSEEN, arguments.seed + 1)


if __name__ == "__main__":
    main()
