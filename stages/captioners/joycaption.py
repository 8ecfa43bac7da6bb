"""JoyCaption: a LLaVA of 8 billion parameters, made to caption training data, asked in its own way.

What it may be wished (`--caption_type`, `--caption_length`, `--extra_options`, `--name_input`) it
was trained on: `stages.joy`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from PIL import Image

from stages.captioners import Answer, Attempt, Model, Request, Settings
from stages.checkpoint import Checkpoint
from stages.joy import FOR_TRAINING, Wish, builder
from stages.policy import Policy
from stages.vlm import VisionLanguageModel

# Its type is that of every LLaVA; what it is made of is its own.
TYPES = frozenset({"llava/siglip_vision_model/llama"})
STAND_INS: dict[str, str] = {}
MODELS = (
    Model("fancyfeast/llama-joycaption-beta-one-hf-llava", "17 GB", "Llama 3.1 Community License"),
)
IN_WORDS = True
SYSTEM = "You are a helpful image captioner."
# How whoever serves or quantizes it calls it.
NAMED = re.compile(r"joy[ ._-]?caption", re.IGNORECASE)
# Of its author.
_ADVISED = {"temperature": 0.6, "top_p": 0.9}


def prompt(policy: Policy, wish: Wish) -> str:
    """What captions of the LoRA type need: its omissions that JoyCaption was trained on."""
    hidden = ("no_unchangeable",) if {"face", "body"} & {*policy.omits} else ()
    return builder().prompt(wish, "Descriptive", "medium-length", (*FOR_TRAINING, *hidden))


class Captioner:
    """Batches of images to drafts, on one device."""

    together = False
    films = False

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        self._model = VisionLanguageModel(checkpoint, settings)
        self.size = self._model.size

    def check(self, prompt: str) -> None:
        self._prepared([Request(Image.new("RGB", self.size or (1, 1)), prompt)])

    def __call__(self, requests: Sequence[Request], attempt: Attempt) -> list[Answer]:
        return self._model.answers(self._prepared(requests), attempt, _ADVISED)

    def _prepared(self, requests: Sequence[Request]) -> Any:
        processor = self._model.processor
        # Its template takes plain texts, and puts the picture in front of the user's by itself.
        texts = [
            processor.apply_chat_template(
                [
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": self._model.plain(request.prompt)},
                ],
                add_generation_prompt=True,
                tokenize=False,
            )
            for request in requests
        ]
        begun = bool(processor.tokenizer.bos_token) and all(
            text.startswith(processor.tokenizer.bos_token) for text in texts
        )
        return processor(
            text=texts,
            images=[request.image for request in requests],
            return_tensors="pt",
            padding=True,
            add_special_tokens=not begun,  # a second beginning of the text spoils the answer
        )
