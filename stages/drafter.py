"""Which captioner drafts, and how: loaded by the first batch that needs it, whoever drafts."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property

from stages.captioners import (
    AUTO,
    Captioner,
    Family,
    Settings,
    family_of,
    known_family,
    names,
    stand_in,
)
from stages.checkpoint import Checkpoint, free_memory
from stages.colour import background
from stages.joy import LENGTHS, Wish


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
    captioner: str = field(
        default=AUTO,
        metadata={
            "help": "how the model is asked; auto goes by its own type (enhance captioners)",
            "choices": (AUTO, *names()),
        },
    )
    prompt: str = field(
        default="",
        metadata={
            "help": "what to ask the captioner, or a file of it; it may use {{ manual }}, "
            "{{ anchor }}, {{ name }}, {{ folder }} (default: as the LoRA type needs it)",
            "metavar": "TEXT|FILE",
        },
    )
    caption_type: str = field(
        default="",
        metadata={
            "help": "JoyCaption's kind of caption: Descriptive, Straightforward, "
            '"Danbooru tag list" …',
            "metavar": "TYPE",
        },
    )
    caption_length: str = field(
        default="",
        metadata={"help": f"its length: {', '.join(LENGTHS)}, or in words", "metavar": "LENGTH"},
    )
    extra_options: tuple[str, ...] = field(
        default=(),
        metadata={"help": "what it is told besides: lighting, no_mood …", "metavar": "OPTION"},
    )
    name_input: str = field(
        default="", metadata={"help": "how it calls the person in the picture", "metavar": "NAME"}
    )
    temperature: float | None = field(
        default=None,
        metadata={
            "help": "of the draft; 0 gives the likeliest one (default: as the model's authors say)",
            "metavar": "T",
            "least": 0,
            "most": 2,
        },
    )
    top_p: float | None = field(
        default=None,
        metadata={
            "help": "sample from so much of the likeliest",
            "metavar": "P",
            "least": 0,
            "most": 1,
        },
    )
    top_k: int | None = field(
        default=None,
        metadata={"help": "sample from the K likeliest tokens", "metavar": "K", "least": 0},
    )
    dtype: str = field(
        default="auto",
        metadata={
            "help": "precision of the models",
            "choices": ("auto", "bfloat16", "float16", "float32"),
        },
    )
    quantize: str = field(
        default="none",
        metadata={
            "help": "load the captioner's language part in fewer bits, by bitsandbytes",
            "choices": ("none", "8bit", "4bit"),
        },
    )
    attn_implementation: str = field(
        default="",
        metadata={
            "help": "sdpa, eager, flash_attention_2 … (default: transformers')",
            "metavar": "NAME",
        },
    )
    compile: bool = field(
        default=False,
        metadata={"help": "compile the captioner: slow to start, faster on long runs on a GPU"},
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
        default=512,
        metadata={
            "help": "longest draft, in tokens; one that needs more is asked for once again with "
            "twice as many",
            "metavar": "N",
            "least": 1,
        },
    )
    trust_remote_code: bool = field(
        default=False, metadata={"help": "let the model's repository run its own Python code"}
    )
    background: str = field(
        default="white",
        metadata={
            "help": "what shows through transparent parts: white, grey, black or #rrggbb "
            "(default: white)",
            "metavar": "COLOUR",
            "parse": background,
        },
    )

    @property
    def of_model(self) -> tuple[object, ...]:
        """What two drafts must agree in to come from one loaded captioner."""
        own = ("model_id", "revision", "trust_remote_code", "captioner")
        return tuple(getattr(self, name) for name in (*own, *_LOADED))

    @property
    def wish(self) -> Wish:
        return Wish(self.caption_type, self.caption_length, self.extra_options, self.name_input)


# What the captioner is told when it is loaded.
_LOADED = tuple(setting.name for setting in fields(Settings) if setting.name != "device")


class Drafter:
    """A captioner that is not loaded yet, and may be let go and loaded again."""

    def __init__(self, options: Options, device: Callable[[], str]) -> None:
        """`device` says where models go, once one is loaded."""
        self.asked = options.model_id
        source = os.path.expanduser(stand_in(options.model_id))
        self.checkpoint = Checkpoint(source, options.revision, options.trust_remote_code)
        self.device = device
        self._options = options
        self._captioner: Captioner | None = None
        self._loading = threading.Lock()

    @cached_property
    def family(self) -> Family:
        """Raises Fatal if the model cannot be had or no captioner takes it. Loads no weights."""
        return family_of(self.checkpoint, self._options.captioner)

    @cached_property
    def known(self) -> Family | None:
        """The family as far as it shows without asking the hub, the same on every run."""
        return known_family(self.checkpoint, self._options.captioner)

    def load(self) -> Captioner:
        """Raises Fatal if the model cannot be loaded."""
        with self._loading:
            if self._captioner is None:
                told = {name: getattr(self._options, name) for name in _LOADED}
                settings = Settings(self.device(), **told)
                self._captioner = self.family.Captioner(self.checkpoint, settings)
            return self._captioner

    def close(self) -> None:
        """Gives the memory back. A batch under way may fail."""
        with self._loading:
            if self._captioner is not None:
                self._captioner = None
                free_memory()
