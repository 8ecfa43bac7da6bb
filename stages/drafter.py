"""Which captioner drafts, and how: the settings of the draft."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from stages.captioners import AUTO, HOSTED, Settings, names
from stages.colour import background
from stages.joy import LENGTHS, Wish
from stages.reel import Sampling

DEFAULT = "florence-community/Florence-2-large-ft"


@dataclass(frozen=True, slots=True)
class Options:
    """The draft."""

    generate: bool = field(
        default=True, metadata={"help": "draft nothing: merge the manual captions alone"}
    )
    model_id: str = field(
        default="",
        metadata={
            "help": f"captioner: a Hugging Face id or a folder (default: {DEFAULT}); of a server "
            "the name of its model (default: the only one it lists)",
            "metavar": "ID|DIR",
        },
    )
    revision: str = field(
        default="main", metadata={"help": "the captioner's branch, tag or commit"}
    )
    captioner: str = field(
        default=AUTO,
        metadata={
            "help": "how the model is asked; auto goes by its own type (enhance captioners); "
            "openai, gemini, replicate: by a server",
            "choices": (AUTO, *names()),
        },
    )
    captioner_base_url: str = field(
        default="",
        metadata={
            "help": "an OpenAI-compatible server that takes pictures drafts (default, with "
            "--captioner openai: that of --base_url, else OpenAI)",
            "metavar": "URL",
        },
    )
    max_side: int = field(
        default=1536,
        metadata={
            "help": "pictures go to a server at most so many pixels long and wide",
            "metavar": "N",
            "least": 64,
        },
    )
    jpeg_quality: int = field(
        default=90,
        metadata={"help": "and as JPEGs of this quality", "metavar": "N", "least": 1, "most": 100},
    )
    detail: str = field(
        default="auto",
        metadata={
            "help": "how closely a server's model shall look, where the server lets one choose",
            "choices": ("auto", "low", "high", "original"),
        },
    )
    captioner_price_in: float | None = field(
        default=None,
        metadata={
            "help": "price of a million tokens sent to the captioner (default: --price_in)",
            "metavar": "PRICE",
            "least": 0,
        },
    )
    captioner_price_out: float | None = field(
        default=None,
        metadata={
            "help": "price of a million tokens that it answers (default: --price_out)",
            "metavar": "PRICE",
            "least": 0,
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
    frames: int = field(
        default=0,
        metadata={
            "help": "frames of a video that are looked at, evenly by time (0: two a second, 4 to 8 "
            "where each is drafted by itself, 8 to 32 where the model sees them together)",
            "metavar": "N",
            "least": 0,
        },
    )
    fps: float = field(
        default=0.0,
        metadata={
            "help": "or so many frames of each second (0: two)",
            "metavar": "F",
            "least": 0,
            "most": 60,
        },
    )
    target_frames: int = field(
        default=0,
        metadata={
            "help": "the trainer takes the first N frames of a video: no more is captioned "
            "(0: all of it)",
            "metavar": "N",
            "least": 0,
        },
    )
    target_fps: float = field(
        default=0.0,
        metadata={
            "help": "and reads so many frames a second: 16 for Wan, 24 for Hunyuan and LTX-2 … "
            "(0: as many as the video has)",
            "metavar": "F",
            "least": 0,
        },
    )
    source_fps: float = field(
        default=0.0,
        metadata={
            "help": "as the trainer's own setting of that name says the videos are (musubi-tuner; "
            "0: it is not set)",
            "metavar": "F",
            "least": 0,
        },
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
    def hosted(self) -> str:
        """The captioner that asks a server, "" for one that runs here. An address alone means one
        that speaks as OpenAI does."""
        if self.captioner in HOSTED:
            return self.captioner
        return "openai" if self.captioner == AUTO and self.captioner_base_url else ""

    @property
    def of_model(self) -> tuple[object, ...]:
        """What two drafts must agree in to come from one loaded captioner."""
        own = ("model_id", "revision", "trust_remote_code", "captioner")
        return tuple(getattr(self, name) for name in (*own, *LOADED))

    @property
    def of_server(self) -> tuple[object, ...]:
        """What two drafts must agree in to come from one client of a server."""
        return (*self.of_model, self.captioner_base_url, *(getattr(self, name) for name in _SENT))

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.frames, self.fps, self.source_fps, self.target_fps, self.target_frames)

    @property
    def wish(self) -> Wish:
        return Wish(self.caption_type, self.caption_length, self.extra_options, self.name_input)


# What the captioner is told when it is loaded.
_SENT = ("max_side", "jpeg_quality", "detail", "captioner_price_in", "captioner_price_out")
LOADED = tuple(setting.name for setting in fields(Settings) if setting.name != "device")
