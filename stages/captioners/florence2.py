"""Florence-2: small and fast, drafts in one to three sentences, takes task tokens as prompts.

Loaded through transformers' own class; Microsoft's repositories hold remote code that transformers
5 cannot run, so their ids are loaded from the converted florence-community ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from stages.captioners import Answer, Settings
from stages.checkpoint import Checkpoint, generate, torch_dtype
from stages.sample import Fatal

TYPES = frozenset({"florence2"})
STAND_INS = {
    f"microsoft/Florence-2-{size}": f"florence-community/Florence-2-{size}"
    for size in ("base", "base-ft", "large", "large-ft")
}
PROMPT = "<MORE_DETAILED_CAPTION>"


class Captioner:
    """Batches of images to drafts, on one device."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        """Loads the model. Raises Fatal if it cannot be, or if it does not take the prompt."""
        from transformers import AutoModelForImageTextToText, AutoProcessor

        config = checkpoint.config()
        if getattr(config.vision_config, "dim_embed", None) or hasattr(config, "auto_map"):
            # The native class would load it with weights left random, and talk nonsense.
            raise Fatal(
                f"model {checkpoint.source} is in Microsoft's own format; use the converted one, "
                "such as --model_id florence-community/Florence-2-large-ft"
            )
        dtype = torch_dtype(settings.dtype, settings.device)
        # One batch in the model at a time; the next one is decoded and prepared meanwhile. Always
        # in the same thread: each thread that computes on the CPU gets a team of helpers of its
        # own, and two teams on the same cores halve the speed of small models.
        self._turns = ThreadPoolExecutor(1, "model")
        with checkpoint.errors():
            self._processor = AutoProcessor.from_pretrained(
                checkpoint.source, backend="pil", **checkpoint.arguments
            )
            loading = self._turns.submit(
                AutoModelForImageTextToText.from_pretrained,
                checkpoint.source,
                dtype=dtype,
                device_map={"": settings.device},
                **checkpoint.arguments,
            )
            self._model = loading.result().eval()
        size = self._processor.image_processor.size
        self.size = (size["width"], size["height"])
        self._prompt = settings.prompt or PROMPT
        self._max_new_tokens = settings.max_new_tokens
        self._dtype = dtype
        tasks = self._processor.task_prompts_without_inputs
        if re.fullmatch(r"<[A-Z_]+>", self._prompt) and self._prompt not in tasks:
            # It would be read as plain text, and answered with anything.
            raise Fatal(f"--prompt {self._prompt} is no task of Florence-2: {', '.join(tasks)}", 2)
        try:
            self._processor(text=self._prompt, images=Image.new("RGB", self.size))
        except ValueError as error:
            raise Fatal(f"--prompt {self._prompt!r}: {error}", 2) from None

    def __call__(self, images: Sequence[Image.Image]) -> list[Answer]:
        """One draft per image, in order. Raises MemoryError for too large a batch."""
        inputs = self._processor(
            text=[self._prompt] * len(images),
            images=list(images),
            return_tensors="pt",
            padding=True,
        )
        # The documented call: three beams. Published generation configurations add
        # early_stopping, which prefers short wrong words, and a ban on repeated n-grams, which
        # forbids "a red circle above a red circle".
        turn = self._turns.submit(
            generate,
            self._model,
            **inputs.to(self._model.device, self._dtype),
            max_new_tokens=self._max_new_tokens,
            num_beams=3,
            do_sample=False,
            early_stopping=False,
            no_repeat_ngram_size=0,
        )
        tokens = turn.result()
        texts = self._processor.batch_decode(tokens, skip_special_tokens=True)
        end = self._model.generation_config.eos_token_id
        ends = set(end if isinstance(end, list) else [end])
        # The first column is the decoder's start token, which is the end token; one in the last
        # possible column may have been forced there (forced_eos_token_id).
        within = tokens[:, 1 : self._max_new_tokens].tolist()
        return [
            Answer(text.strip(), "stop" if ends.intersection(row) else "length")
            for text, row in zip(texts, within, strict=True)
        ]
