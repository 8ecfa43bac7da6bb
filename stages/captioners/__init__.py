"""The captioners: one file per model family. The folder is the registry; a new file is a choice.

A captioner file has a docstring, `TYPES` (the types of its models, see `types_of`), `STAND_INS`
(model ids that are loaded from another repository), `MODELS` (what `enhance captioners` tells of
them), `IN_WORDS` (whether they follow instructions), `prompt` (what it is asked by default) and
`class Captioner`. Heavy imports wait inside `__init__`, so that listing the folder costs nothing.
One that asks a server is in `HOSTED` too, and its Captioner is a `Hosted`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, Protocol, cast

from stages.answer import Answer as Answer
from stages.answer import Attempt as Attempt
from stages.answer import Fewer as Fewer
from stages.answer import Message as Message
from stages.answer import Request as Request
from stages.answer import Settings as Settings
from stages.answer import Shown as Shown
from stages.checkpoint import Checkpoint
from stages.joy import Wish
from stages.policy import Policy
from stages.sample import Fatal

AUTO = "auto"
# Takes what no family claims.
ANY = "image_text"
MANY = 64  # pictures in one question: more than are ever shown


class Service(NamedTuple):
    """Where a hosted captioner's model runs."""

    address: str  # unless the user names another
    keys: tuple[str, ...]  # names of the key in the environment, the first that is set wins
    paid_when_begun: bool = False  # it is told what a killed run began (`begun`)


# Those whose model runs elsewhere: no weights, no device.
HOSTED = {
    "openai": Service("", ("OPENAI_API_KEY",)),  # at --base_url, where no address is given
    "gemini": Service(
        "https://generativelanguage.googleapis.com", ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    ),
    "replicate": Service(
        "https://api.replicate.com", ("REPLICATE_API_TOKEN",), paid_when_begun=True
    ),
}


class Captioner(Protocol):
    """Drafts captions for batches of pictures. Safe to call from two threads at once."""

    # (width, height) in pixels that the model looks at, at least; None: the whole picture.
    size: tuple[int, int] | None
    together: bool  # it takes the frames of a video in one question, not each by itself

    @property
    def films(self) -> bool:
        """It takes them as a video, not as pictures; asked for once there is one."""
        ...

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        """Loads the model. Raises Fatal if it cannot be."""

    def check(self, prompt: str) -> None:
        """Raises Fatal if the model does not take the prompt."""

    def __call__(self, requests: Sequence[Request], attempt: Attempt) -> list[Answer]:
        """One answer each, in order. Raises MemoryError for too large a batch."""
        ...


class Hosted(Protocol):
    """Drafts captions by a server, one file at a time. Called by `workers` threads at once.

    Made with the options of its server, the key ("" for none), the gate of its address, the purse
    of the run, and by name: `manner`, how it is to answer; `detail`, how closely it is to look;
    `key_name`, the name under which people give the key. Making one asks nobody and imports no SDK.
    """

    name: str  # of its model: as the user chose it, known without asking anyone
    workers: int
    cuts: bool  # of a video it looks at no more than the part that it is told

    @property
    def in_words(self) -> bool:
        """It follows instructions; known once prepared."""
        ...

    @property
    def origin(self) -> str:
        """The model that really answers; "" until prepared, if the user names none."""
        ...

    @property
    def most_pictures(self) -> int:
        """Pictures that it takes in one question; known once prepared. Of a video one may be shown
        several frames."""
        ...

    def takes(self, kind: str, size: int) -> bool:
        """True if a video of that type ("video/mp4") and of so many bytes may be given to it as it
        is; known once prepared."""
        ...

    def prompt(self, policy: Policy, wish: Wish, model: str) -> str:
        """What a model of that name is asked where the user says nothing else."""
        ...

    def prepare(self) -> Mapping[str, Any]:
        """Finds the server and its model, and looks whether that sees; what it cost. Raises Fatal
        for a key, an address or a model that does not work."""
        ...

    def __call__(self, message: Message, attempt: Attempt) -> Answer:
        """Raises RuntimeError for what costs one file, Fatal for what costs all."""
        ...

    def let_go(self, message: Message) -> None:
        """No more is asked about what the message shows: nothing of it need stay with the
        service. Called once for each, in the end, however it was answered."""

    def close(self) -> None:
        """Requests under way fail at once."""


class Model(NamedTuple):
    """A model of a family, as `enhance captioners` lists it."""

    name: str
    memory: str  # that a batch of one takes, in bfloat16
    licence: str


class Family(Protocol):
    """A file of this folder."""

    TYPES: frozenset[str]
    STAND_INS: Mapping[str, str]
    MODELS: Sequence[Model]
    IN_WORDS: bool
    Captioner: type[Captioner]

    def prompt(self, policy: Policy, wish: Wish) -> str:
        """What the model is asked where the user says nothing else. Raises Fatal, status 2, for a
        wish that its models cannot be told."""
        ...


def names() -> tuple[str, ...]:
    """The captioners, without importing them."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__))


def families() -> Iterator[tuple[str, Family]]:
    """Every captioner file by name. An ImportError inside one surfaces as itself."""
    for name in names():
        yield name, family_named(name)


def family_named(name: str) -> Family:
    """Raises Fatal if there is no such file."""
    if name not in names():
        raise Fatal(f"--captioner {name} is none of {AUTO}, {', '.join(names())}", 2)
    module: ModuleType = importlib.import_module(f"{__name__}.{name}")
    return cast(Family, module)


def stand_in(model_id: str) -> str:
    """The repository a model id is really loaded from."""
    for _, family in families():
        if model_id in family.STAND_INS:
            return family.STAND_INS[model_id]
    return model_id


def family_of(checkpoint: Checkpoint, captioner: str = AUTO) -> Family:
    """The captioner for a checkpoint: the one that is named, else the one whose own its type is.

    Raises Fatal if there is none.
    """
    known = known_family(checkpoint, captioner)
    if known:
        return known
    config = checkpoint.described()
    family = _claiming(config)
    if family:
        return family
    if _native(config):
        return family_named(ANY)
    if "AutoModelForImageTextToText" in (config.get("auto_map") or {}):
        if not checkpoint.trust_remote_code:
            raise checkpoint.distrusted()
        return family_named(ANY)
    listed = ", ".join(model.name for _, family in families() for model in family.MODELS)
    raise Fatal(
        f"model {checkpoint.source} is of type {config.get('model_type')!r}, which takes no "
        f"picture and text together; some that do: {listed}"
    )


def known_family(checkpoint: Checkpoint, captioner: str = AUTO) -> Family | None:
    """The captioner as far as it shows without the hub: by name, a listed model, or a folder."""
    if captioner != AUTO:
        return family_named(captioner)
    for _, family in families():
        if any(checkpoint.source == model.name for model in family.MODELS):
            return family
    return _claiming(checkpoint.described()) if checkpoint.local else None


def _claiming(config: Mapping[str, Any]) -> Family | None:
    for kind in types_of(config):
        for _, family in families():
            if kind in family.TYPES:
                return family
    return None


def types_of(config: Mapping[str, Any]) -> Iterator[str]:
    """What a model is by its own config.json, the most telling first: its type with those of its
    vision and text parts, as in "llava/siglip_vision_model/llama", and its type alone."""
    own = str(config.get("model_type", ""))
    parts = (config.get(name) or {} for name in ("vision_config", "text_config"))
    yield "/".join((own, *(str(part.get("model_type", "")) for part in parts)))
    yield own


def _native(config: Mapping[str, Any]) -> bool:
    from transformers.models.auto import modeling_auto

    return config.get("model_type") in modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
