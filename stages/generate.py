"""The second room: a captioner drafts what it sees in each picture."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stages.captioners import Answer, Captioner, Settings, family_of, stand_in
from stages.checkpoint import Checkpoint, free_memory
from stages.media import open_image
from stages.sample import Caption, Problem, Sample, fingerprint
from stages.text import not_a_caption

# Images per batch. A GPU that cannot hold 16 halves the batch by itself.
BATCH_SIZES = {"cuda": 16, "xpu": 16, "mps": 4, "cpu": 4}


@dataclass(frozen=True, slots=True)
class Options:
    """The draft."""

    generate: bool = field(
        default=True, metadata={"help": "draft nothing: merge the manual captions alone"}
    )
    model_id: str = field(
        default="florence-community/Florence-2-large-ft",
        metadata={"help": "captioner: a Hugging Face id or a folder"},
    )
    revision: str = field(
        default="main", metadata={"help": "the captioner's branch, tag or commit"}
    )
    prompt: str = field(
        default="",
        metadata={"help": "what to ask the captioner (default: <MORE_DETAILED_CAPTION>)"},
    )
    dtype: str = field(
        default="auto",
        metadata={
            "help": "precision of the models",
            "choices": ("auto", "bfloat16", "float16", "float32"),
        },
    )
    batch_size: int = field(
        default=0,
        metadata={
            "help": "images at once (0: 16 on a GPU, 4 elsewhere)",
            "metavar": "N",
            "least": 0,
        },
    )
    max_new_tokens: int = field(
        default=512, metadata={"help": "longest draft, in tokens", "metavar": "N", "least": 1}
    )
    trust_remote_code: bool = field(
        default=False, metadata={"help": "let the model's repository run its own Python code"}
    )


class Generate:
    """Images to drafts. The captioner is loaded by the first batch."""

    output = "generated"
    workers = 2  # one batch in the model while the next is decoded

    def __init__(
        self, options: Options, device: Callable[[], str], content: Callable[[Path], str]
    ) -> None:
        """`device` says where models go; `content` is a digest of a media file's bytes."""
        self._options = options
        self._device = device
        self._content = content
        self._checkpoint = Checkpoint(
            os.path.expanduser(stand_in(options.model_id)),
            options.revision,
            options.trust_remote_code,
        )
        self._captioner: Captioner | None = None
        self._loading = threading.Lock()
        self.batch_size = options.batch_size
        self.spent: Counter[str] = Counter()

    def key(self, sample: Sample) -> str:
        return fingerprint(
            media=self._content(sample.media),
            model=(self._checkpoint.source, self._checkpoint.revision),
            prompt=self._options.prompt,
            settings=(self._options.dtype, self._options.max_new_tokens),
        )

    @property
    def notice(self) -> str:
        """What to tell the user about the model, if it is not the one they named."""
        asked, used = self._options.model_id, self._checkpoint.source
        return f"{asked} is loaded as {used}, its native version" if used != asked else ""

    def prepare(self) -> None:
        """Raises Fatal if the model cannot be had or no captioner takes it."""
        family_of(self._checkpoint)
        if not self.batch_size:
            self.batch_size = BATCH_SIZES.get(self._device().partition(":")[0], 4)

    def __call__(self, batch: Sequence[Sample]) -> Sequence[Caption]:
        """Raises Unusable for an image that cannot be read, MemoryError for too large a batch."""
        captioner = self._load()
        answers = captioner([open_image(sample.media, captioner.size) for sample in batch])
        return [
            Caption(answer.text, self._checkpoint.source, answer.finish, _problems(answer))
            for answer in answers
        ]

    def close(self) -> None:
        with self._loading:
            if self._captioner is not None:
                self._captioner = None
                free_memory()

    def _load(self) -> Captioner:
        with self._loading:
            if self._captioner is None:
                settings = Settings(
                    device=self._device(),
                    dtype=self._options.dtype,
                    prompt=self._options.prompt,
                    max_new_tokens=self._options.max_new_tokens,
                )
                self._captioner = family_of(self._checkpoint).Captioner(self._checkpoint, settings)
            return self._captioner


def _problems(answer: Answer) -> tuple[Problem, ...]:
    """Why a draft is none. What the policy wants of a caption is the merge's business."""
    lost = not_a_caption(answer.text)
    if lost:
        return (lost,)
    if answer.finish == "length":
        return (Problem("truncated", False, message="the draft was cut off at --max_new_tokens"),)
    return ()
