"""Florence-2: small and fast, drafts in one to three sentences, takes task tokens as prompts.

Loaded through transformers' own class; Microsoft's repositories hold remote code that transformers
5 cannot run, so their ids are loaded from the converted florence-community ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from PIL import Image

from stages.captioners import Answer, Attempt, Model, Request, Settings
from stages.checkpoint import Checkpoint
from stages.joy import Wish
from stages.policy import Policy
from stages.sample import Fatal
from stages.vlm import VisionLanguageModel

TYPES = frozenset({"florence2"})
_SIZES = ("base", "base-ft", "large", "large-ft")
STAND_INS = {
    f"microsoft/Florence-2-{size}": f"florence-community/Florence-2-{size}" for size in _SIZES
}
MODELS = (
    Model("florence-community/Florence-2-large-ft", "3 GB", "MIT"),
    Model("florence-community/Florence-2-large", "3 GB", "MIT"),
    Model("florence-community/Florence-2-base-ft", "2 GB", "MIT"),
    Model("florence-community/Florence-2-base", "2 GB", "MIT"),
)
IN_WORDS = False  # it takes tasks
# The documented call: three beams. Published generation configurations add early_stopping, which
# prefers short wrong words, and a ban on repeated n-grams, which forbids "a red circle above a red
# circle".
_BEAMS = {"num_beams": 3, "early_stopping": False, "no_repeat_ngram_size": 0}
# Against circles that ban is what helps: an answer of beams is not sampled.
_UNLIKE = {**_BEAMS, "no_repeat_ngram_size": 4, "do_sample": False, "temperature": None}


def prompt(policy: Policy, wish: Wish) -> str:
    wish.refuse("florence2")
    return "<MORE_DETAILED_CAPTION>"


class Captioner:
    """Batches of images to drafts, on one device."""

    together = False
    films = False

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        config = checkpoint.config()
        if getattr(config.vision_config, "dim_embed", None) or hasattr(config, "auto_map"):
            # The native class would load it with weights left random, and talk nonsense.
            raise Fatal(
                f"model {checkpoint.source} is in Microsoft's own format; use the converted one, "
                "such as --model_id florence-community/Florence-2-large-ft"
            )
        self._model = VisionLanguageModel(checkpoint, settings)
        self.size = self._model.size
        self._mark = str(self._model.processor.image_token)

    def check(self, prompt: str) -> None:
        processor = self._model.processor
        tasks = processor.task_prompts_without_inputs
        if re.fullmatch(r"<[A-Z_]+>", prompt) and prompt not in tasks:
            # It would be read as plain text, and answered with anything.
            raise Fatal(f"--prompt {prompt} is no task of Florence-2: {', '.join(tasks)}", 2)
        try:
            processor(
                text=prompt.replace(self._mark, ""), images=Image.new("RGB", self.size or (1, 1))
            )
        except ValueError as error:
            raise Fatal(f"--prompt {prompt!r}: {error}", 2) from None

    def __call__(self, requests: Sequence[Request], attempt: Attempt) -> list[Answer]:
        inputs = self._model.processor(
            # A caption that holds its mark of a picture would show it one too many.
            text=[request.prompt.replace(self._mark, "") for request in requests],
            images=[request.image for request in requests],
            return_tensors="pt",
            padding=True,
        )
        how = _UNLIKE if attempt.otherwise else _BEAMS
        return self._model.answers(inputs, attempt, **how)
