"""Janus: DeepSeek's models that see and draw, of which only the seeing is used; asked in words.

Loaded through transformers' own class from the converted repositories; DeepSeek's own hold another
format (`multi_modality`) and wait for remote code.
"""

from __future__ import annotations

from collections.abc import Sequence

from stages.captioners import Answer, Attempt, Model, Request, Settings
from stages.checkpoint import Checkpoint
from stages.joy import in_words as prompt  # noqa: F401  (asked of every captioner)
from stages.vlm import VisionLanguageModel

TYPES = frozenset({"janus"})
STAND_INS = {
    f"deepseek-ai/Janus-{name}": f"deepseek-community/Janus-{name}"
    for name in ("Pro-1B", "Pro-7B", "1.3B")
}
MODELS = (
    Model("deepseek-community/Janus-Pro-1B", "5 GB", "DeepSeek Model License"),
    Model("deepseek-community/Janus-Pro-7B", "17 GB", "DeepSeek Model License"),
)
IN_WORDS = True


class Captioner:
    """Batches of images to drafts, on one device."""

    together = False
    films = False

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        self._model = VisionLanguageModel(checkpoint, settings)
        self.size = self._model.size
        self.check = self._model.check

    def __call__(self, requests: Sequence[Request], attempt: Attempt) -> list[Answer]:
        inputs = self._model.conversations(requests)
        return self._model.answers(inputs, attempt, generation_mode="text")
