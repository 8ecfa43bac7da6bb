"""A vision-language model of transformers at work on one device, whichever its family."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any

from PIL import Image

from stages.answer import Answer, Attempt, Request, Settings, TooLong
from stages.checkpoint import Checkpoint, generate, torch_dtype
from stages.processors import load_processor
from stages.sample import Fatal

log = logging.getLogger(__name__)

_SLACK = 64  # tokens by which prompts of one wording differ
_WARM, _PENALTY = 0.7, 1.15  # of an answer that is asked for anew, since the first ran in circles


class VisionLanguageModel:
    """Processor and model, loaded; batches of inputs to answers."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        """Loads both. Raises Fatal if they cannot be."""
        from transformers import AutoModelForImageTextToText

        self.settings = settings
        dtype = torch_dtype(settings.dtype, settings.device)
        more: dict[str, Any] = {}
        if settings.attn_implementation:
            more["attn_implementation"] = settings.attn_implementation
        if settings.quantize != "none":
            more["quantization_config"] = _quantized(checkpoint, settings.quantize, dtype)
        # One batch in the model at a time; the next one is decoded and prepared meanwhile. Always
        # in the same thread: each thread that computes on the CPU gets a team of helpers of its
        # own, and two teams on the same cores halve the speed of small models.
        self._turns = ThreadPoolExecutor(1, "model")
        with checkpoint.errors():
            self.processor = load_processor(checkpoint)
            loading = self._turns.submit(
                AutoModelForImageTextToText.from_pretrained,
                checkpoint.source,
                dtype=dtype,
                device_map={"": settings.device},
                **more,
                **checkpoint.arguments,
            )
            self.model = loading.result().eval()
        self._dtype = dtype
        self.tokenizer = getattr(self.processor, "tokenizer", self.processor)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        # Encoder-decoders read the prompt apart from the answer.
        self._apart = bool(getattr(self.model.config, "is_encoder_decoder", False))
        self._longest = self._positions()
        if not self._apart:
            # Right of a shorter prompt a model would go on from the padding: nonsense.
            self.tokenizer.padding_side = "left"
        marks = [str(one) for one in self.tokenizer.added_tokens_decoder.values() if one.special]
        self._marks = re.compile("|".join(map(re.escape, marks))) if marks else None
        if settings.compile:
            self._compile()

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) in pixels that the model looks at, None if that depends on the image."""
        size = getattr(self.processor.image_processor, "size", None) or {}
        if "height" in size and "width" in size:
            return size["width"], size["height"]
        return None

    @property
    def watches(self) -> bool:
        """True if models of its kind were made for videos: they understand several frames."""
        return "video_processor" in inspect.signature(type(self.processor).__init__).parameters

    @cached_property
    def films(self) -> bool:
        """True if it can be shown a video as such: transformers wants torchvision for that, and
        the chat template must know how."""
        if getattr(self.processor, "video_processor", None) is None:
            log.info("videos are shown to this model as pictures (torchvision is not at hand)")
            return False
        blank = Image.new("RGB", (64, 64))
        try:
            self._templated([Request(blank, "", (blank,) * 4, (0.0, 0.5, 1.0, 1.5))], True)
        except Exception as error:  # templates and processors raise whatever they like
            log.info("videos are shown to this model as pictures: %s", error)
            return False
        return True

    def plain(self, prompt: str) -> str:
        """A prompt without the model's own marks: a caption that holds "<image>" would show it one
        picture too many."""
        return self._marks.sub("", prompt) if self._marks else prompt

    def conversations(self, requests: Sequence[Request]) -> Any:
        """Each request as a user's turn of what is shown and one text, by the model's own chat
        template; the processor's output."""
        return self._templated(requests, any(map(_is_film, requests)) and self.films)

    def _templated(self, requests: Sequence[Request], films: bool) -> Any:
        conversations = [
            [{"role": "user", "content": [*_shown(one, films), _said(self.plain(one.prompt))]}]
            for one in requests
        ]
        videos = [_metadata(one.seconds) for one in requests if films and _is_film(one)]
        how: dict[str, Any] = {"padding": True}
        if videos:
            how |= {"video_metadata": videos, "do_sample_frames": False}
        return self.processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs=how,
        )

    def check(self, prompt: str) -> None:
        """Raises Fatal if the model's chat template takes no picture with a text."""
        blank = Image.new("RGB", self.size or (64, 64))
        try:
            self.conversations([Request(blank, prompt)])
        except Exception as error:  # templates and processors raise whatever they like
            raise Fatal(
                f"this model's chat template takes no picture and text together ({error}): take "
                "another --model_id, or name its --captioner"
            ) from None

    def answers(
        self,
        inputs: Any,
        attempt: Attempt,
        advised: Mapping[str, float] | None = None,
        **how: Any,
    ) -> list[Answer]:
        """One answer for each row of `inputs`, the processor's output.

        `advised` are the sampling settings (temperature, top_p) of the family's authors; `how` goes
        to `generate` as it is. Raises MemoryError for too large a batch, TooLong.
        """
        width = inputs["input_ids"].shape[1]
        mine = self._settings_for(attempt)
        mask = inputs.get("attention_mask")
        read = [width] * len(inputs["input_ids"]) if mask is None else mask.sum(dim=1).tolist()
        limit = self._limit(mine.max_new_tokens * attempt.room, read, width)
        arguments = {"max_new_tokens": limit, **_sampling(mine, attempt, advised or {}), **how}
        tokens = self._turns.submit(self._generate, inputs, arguments).result()
        # The first column of an encoder-decoder's is its start token, which may be its end token.
        rows = tokens[:, 1 if self._apart else width :]
        texts = self.processor.batch_decode(rows, skip_special_tokens=True)
        answers = [self._answer(*one, limit) for one in zip(texts, rows.tolist(), strict=True)]
        return [replace(one, read=count) for one, count in zip(answers, read, strict=True)]

    def _limit(self, wished: int, read: Sequence[int], width: int) -> int:
        """How many tokens an answer may have, where so many are `read` for each, padded to `width`.
        Raises TooLong."""
        if self._longest is None:
            return wished
        left = self._longest if self._apart else self._longest - width
        if width > self._longest or left < 1:
            raise TooLong(
                f"the prompt is too long for this model: {width} tokens with the picture's, and "
                f"it reads {self._longest}; make the prompt, or what it fills in, shorter"
            )
        if not self._apart and min(wished, self._longest - min(read)) - left > _SLACK:
            # Asked alone none of them is cut short since another's prompt is long.
            raise TooLong(f"{len(read)} prompts leave no room for answers together")
        return min(wished, left)

    def _settings_for(self, attempt: Attempt) -> Settings:
        manner = attempt.manner
        if manner is None:
            return self.settings
        return replace(
            self.settings,
            max_new_tokens=manner.max_tokens,
            temperature=manner.temperature,
            top_p=manner.top_p,
            top_k=manner.top_k,
        )

    def _generate(self, inputs: Any, arguments: Mapping[str, Any]) -> Any:
        inputs = inputs.to(self.model.device, self._dtype)
        return generate(self.model, **inputs, **arguments)

    def _answer(self, text: str, row: Sequence[int], limit: int) -> Answer:
        ends = self._ends()
        end = next((place for place, token in enumerate(row) if token in ends), None)
        if end is None or (self._apart and end + 1 == limit):
            # An end in the last possible place may have been forced there (forced_eos_token_id).
            return Answer(text.strip(), "length", len(row), 0)
        return Answer(text.strip(), "stop", end + 1, len(row) - end - 1)

    def _ends(self) -> frozenset[int]:
        end = self.model.generation_config.eos_token_id
        return frozenset(end if isinstance(end, list) else [end])

    def _positions(self) -> int | None:
        inner = self.model.config.get_text_config(decoder=True)
        longest = getattr(inner, "max_position_embeddings", None)
        return int(longest) - (2 if self._apart else 0) if longest else None

    def _compile(self) -> None:
        if self._apart or self.model.device.type == "cpu":
            log.info("--compile does nothing for this model on %s", self.model.device)
            return
        # With a cache of fixed size transformers compiles the step of one token by itself.
        self.model.generation_config.cache_implementation = "static"


def _sampling(mine: Settings, attempt: Attempt, advised: Mapping[str, float]) -> dict[str, Any]:
    """What `generate` is told of sampling: nothing is left to the published configuration."""
    warmth = mine.temperature
    if warmth is None:  # who says where to sample from wants to
        warmth = advised.get("temperature", 1.0 if mine.top_p or mine.top_k else 0.0)
    if attempt.otherwise:
        warmth = max(warmth, _WARM)
    if not warmth:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    result = {
        "do_sample": True,
        "temperature": warmth,
        "top_p": advised.get("top_p") if mine.top_p is None else mine.top_p,
        "top_k": mine.top_k or None,
    }
    return {**result, "repetition_penalty": _PENALTY} if attempt.otherwise else result


def _is_film(request: Request) -> bool:
    """Several pictures without times are no video."""
    return bool(request.frames and request.seconds)


def _shown(request: Request, films: bool) -> list[dict[str, Any]]:
    if films and _is_film(request):
        return [{"type": "video", "video": list(request.frames)}]
    return [{"type": "image", "image": one} for one in request.frames or (request.image,)]


def _metadata(seconds: Sequence[float]) -> dict[str, Any]:
    """What transformers is told of frames that were taken out of a video already: as if it had so
    many in each second that each time has a number of its own."""
    fps = 1000.0
    numbers = [round(one * fps) for one in seconds]
    step = numbers[-1] / (len(numbers) - 1)
    total = round(numbers[-1] + step)
    return {
        "total_num_frames": total,
        "fps": fps,
        "duration": total / fps,
        "frames_indices": numbers,
    }


def _said(prompt: str) -> dict[str, Any]:
    return {"type": "text", "text": prompt}


def _quantized(checkpoint: Checkpoint, wish: str, dtype: Any) -> Any:
    """The configuration for bitsandbytes. Raises Fatal if it is not installed."""
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise Fatal(
            f'--quantize {wish} needs bitsandbytes: pip install "enhance-captions[quantize]"'
        )
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of every matrix it casts
    kept = kept_whole(checkpoint)
    if wish == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=True,
        llm_int8_skip_modules=kept,
    )


def kept_whole(checkpoint: Checkpoint) -> list[str]:
    """The modules that are not quantized: everything but the language model, since vision towers
    suffer most and weigh least; and the head, which a list of ours would else unprotect.

    The names are anchored at the start: "vision_tower" alone would match nothing, silently
    (transformers 5, `should_convert_module`).
    """
    import torch
    from transformers import AutoModelForImageTextToText

    with checkpoint.errors(), torch.device("meta"):
        empty = AutoModelForImageTextToText.from_config(
            checkpoint.config(), trust_remote_code=checkpoint.trust_remote_code
        )
    outer = [name for name, _ in empty.named_children() if name != "model"]
    inner = getattr(empty, "model", None)
    parts = [] if inner is None else [name for name, _ in inner.named_children()]
    return [*(f"model.{name}" for name in parts if name != "language_model"), *outer]
