"""Train a model of JoyCaption's shape so small that it fits into the repository.

The model in `examples/models/joycaption-shapes` was made by this file as it stands:

    OMP_WAIT_POLICY=passive python examples/train/joycaption.py \
        --out examples/models/joycaption-shapes

Its 5,000 steps took about 22 minutes of CPU time, on one core; 284 of 298 unseen scenes are right.

The architecture is the real one with small numbers: a SigLIP that sees, a Llama that writes, and
LLaVA's projector between them. The chat template keeps the manners of the published one: it takes
contents as text only, writes the image's tokens before the user's text by itself, and begins with
a token that the tokenizer would add as well.
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
from training import KNOWN, UNSEEN, Pupil, begin, byte_level_bpe, draw_pictures, save, train
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

# Only half of transformers is annotated, so its classes are taken as they come.
hf: Any = transformers
pil_image_processor: Any = SiglipImageProcessorPil

WIDTH = 96  # of nearly everything
SIDE, PATCH = 64, 8  # pixels
IMAGE_TOKENS = (SIDE // PATCH) ** 2
POSITIONS = 4096
PEAK_RATE = 1.3e-3
SYSTEM = "You are a helpful image captioner."

BOS, PAD = "<|begin_of_text|>", "<|finetune_right_pad_id|>"
ENDS = ["<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"]  # of a text, a message, a turn
IMAGE = "<|reserved_special_token_69|>"
SPECIAL_TOKENS = [
    *(BOS, "<|end_of_text|>", PAD, "<|start_header_id|>", "<|end_header_id|>"),
    *("<|eom_id|>", "<|eot_id|>"),
    *(IMAGE, "<|reserved_special_token_70|>", "<|reserved_special_token_71|>"),
]

CHAT_TEMPLATE = r"""
{{- bos_token -}}
{%- for message in messages -%}
  {{- '<|start_header_id|>' ~ message['role'] ~ '<|end_header_id|>\n\n' -}}
  {%- if message['role'] == 'user' -%}
    {{- '<|reserved_special_token_70|>' -}}
    {{- '<|reserved_special_token_69|><|reserved_special_token_71|>' -}}
  {%- endif -%}
  {{- message['content'].lstrip() ~ '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
{%- endif -%}
"""


def build_processor() -> Processor:
    """Return a processor whose small vocabulary is learnt from captions and prompts."""
    texts = [caption(scene, task) for scene in all_scenes()[::8] for task in TASKS]
    texts += (*OPENINGS, *SHORT_OPENINGS, *WISHES) * 8
    texts += [SYSTEM, "system", "user", "assistant", "\n\n"] * 32
    bpe = byte_level_bpe(texts, 640, SPECIAL_TOKENS)
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, bpe.token_to_id(BOS))]
    )
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BOS,
        eos_token=ENDS[-1],
        pad_token=PAD,
        additional_special_tokens=SPECIAL_TOKENS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=POSITIONS,
    )
    image_processor = pil_image_processor(size={"height": SIDE, "width": SIDE})
    return hf.LlavaProcessor(
        image_processor,
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        chat_template=CHAT_TEMPLATE.strip(),
        image_token=IMAGE,
    )


def build_model(processor: Processor) -> Any:
    """Return the untrained model: 0.7 million weights.

    As published, the features are those before the last layer, which thus stays as it is.
    """
    vision = hf.SiglipVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=5,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        vision_use_head=False,
    )
    text = hf.LlamaConfig(
        vocab_size=len(processor.tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        tie_word_embeddings=True,
        **token_ids(processor),
    )
    config = hf.LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=processor.image_token_id,
        image_seq_length=IMAGE_TOKENS,
        vision_feature_layer=-2,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
    )
    model = hf.LlavaForConditionalGeneration(config)
    model.generation_config = hf.GenerationConfig(
        do_sample=True, temperature=0.6, top_p=0.9, **token_ids(processor)
    )
    return model


def token_ids(processor: Processor) -> dict[str, Any]:
    """Return the tokens that begin, pad and end a text. Three may end it, as in Llama 3.1."""
    number = processor.tokenizer.convert_tokens_to_ids
    return {"bos_token_id": number(BOS), "pad_token_id": number(PAD), "eos_token_id": number(ENDS)}


def conversation(prompt: str) -> list[dict[str, Any]]:
    """Return the messages of the published recipe: contents are strings."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]


def shrink(image: Image.Image) -> np.ndarray:
    """Squeeze a picture into the square, as the processor does."""
    return np.array(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


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
        ask=asker(processor, conversation),
        rate=PEAK_RATE,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Train, save, and try the saved model on scenes that it has not seen."""
    arguments = begin("Train the tiny JoyCaption.", argv, steps=5000, images=30000)
    if not arguments.check:
        pupil = build()
        pictures = draw_pictures(KNOWN, arguments.images, arguments.seed, pupil.shrink)
        train(pupil, pictures, arguments.steps, arguments.seed)
        save(pupil, arguments.out)
    report(arguments.out, conversation, UNSEEN, arguments.seed + 1)


if __name__ == "__main__":
    main()
