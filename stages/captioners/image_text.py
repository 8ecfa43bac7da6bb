"""Any model of transformers that takes pictures and text in a chat: Qwen-VL, SmolVLM, Gemma,
InternVL, LLaVA and what comes next.

Its own chat template says how a picture and a question are put. No remote code, unless allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from stages.captioners import Answer, Attempt, Model, Request, Settings
from stages.checkpoint import Checkpoint
from stages.joy import in_words as prompt  # noqa: F401  (asked of every captioner)
from stages.sample import Fatal
from stages.vlm import VisionLanguageModel

TYPES: frozenset[str] = frozenset()  # what no other family claims
STAND_INS: dict[str, str] = {}
MODELS = (
    Model("Qwen/Qwen2.5-VL-7B-Instruct", "18 GB", "Apache-2.0"),
    Model("Qwen/Qwen2.5-VL-3B-Instruct", "9 GB", "Qwen Research (not commercial)"),
    Model("HuggingFaceTB/SmolVLM2-2.2B-Instruct", "6 GB", "Apache-2.0"),
    Model("llava-hf/llava-1.5-7b-hf", "15 GB", "Llama 2"),
)
IN_WORDS = True
# Models that look at a picture in its own size read a large photo as ten thousand tokens and more;
# what a caption tells is seen at this side, in pixels.
LONGEST_SIDE = 1024


class Captioner:
    """Batches of images to drafts, on one device."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        self._model = VisionLanguageModel(checkpoint, settings)
        if not getattr(self._model.processor, "chat_template", None):
            raise Fatal(
                f"model {checkpoint.source} has no chat template, so nobody knows how to ask it: "
                "take an instruction-tuned one"
            )
        self.size = self._model.size or (LONGEST_SIDE, LONGEST_SIDE)
        self.together = self._model.watches
        self.check = self._model.check

    @property
    def films(self) -> bool:
        return self._model.films

    def __call__(self, requests: Sequence[Request], attempt: Attempt) -> list[Answer]:
        fitted = [
            replace(one, image=_fitted(one.image), frames=tuple(map(_fitted, one.frames)))
            for one in requests
        ]
        return self._model.answers(self._model.conversations(fitted), attempt)


def _fitted(image: Image.Image) -> Image.Image:
    if max(image.size) <= LONGEST_SIDE:
        return image
    smaller = image.copy()
    smaller.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BICUBIC)
    return smaller
