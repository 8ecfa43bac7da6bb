"""A captioner in this process, not loaded yet; it may be let go and loaded again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from stages import llm
from stages.asking import Asked
from stages.captioners import (
    Answer,
    Attempt,
    Captioner,
    Family,
    Request,
    Settings,
    Shown,
    family_of,
    known_family,
    stand_in,
)
from stages.checkpoint import Checkpoint, free_memory
from stages.drafter import DEFAULT, LOADED, Options
from stages.fetching import Fetched, fetch
from stages.joy import Wish
from stages.kinds import is_video
from stages.media import open_image
from stages.policy import Policy
from stages.reel import Sampling
from stages.sample import Fatal
from stages.video import FEW, SEVERAL, open_video

_READY = 4  # batches that are kept ready at most
# Images per batch. A GPU that cannot hold 16 halves the batch by itself.
BATCH_SIZES = {"cuda": 16, "xpu": 16, "mps": 4, "cpu": 4}


class Resident:
    """A model of Hugging Face's on this machine, whichever its family."""

    always: tuple[str, ...] = ("dtype", "max_new_tokens")
    telling: tuple[str, ...] = ("temperature", "top_p", "top_k", "quantize")
    server: llm.Options | None = None

    def __init__(self, options: Options, device: Callable[[], str], cores: int = 2) -> None:
        """`device` says where models go, once one is loaded; `cores` are those that may decode
        pictures."""
        self._asked = options.model_id or DEFAULT
        source = os.path.expanduser(stand_in(self._asked))
        if Path(source).is_dir():  # one folder, however it was typed
            source = os.path.abspath(source)
        self._checkpoint = Checkpoint(source, options.revision, options.trust_remote_code)
        self._device = device
        self._options = options
        # One batch in the model while the next ones are decoded: a small model on a fast GPU is
        # through with a batch sooner than one core has decoded another.
        self.workers = 1 + max(1, min(_READY, cores - 1))
        self._captioner: Captioner | None = None
        self._most = 1  # frames at once
        self._loading = threading.Lock()

    @property
    def model(self) -> object:
        return (self._checkpoint.source, self._checkpoint.revision)

    @property
    def origin(self) -> str:
        return self._checkpoint.source

    @property
    def notice(self) -> str:
        asked, used = self._asked, self._checkpoint.source
        return (
            f"{asked} is loaded as {used}, its native version" if stand_in(asked) != asked else ""
        )

    @property
    def in_words(self) -> bool:
        return self._family.IN_WORDS

    @cached_property
    def _family(self) -> Family:
        """Raises Fatal if the model cannot be had or no captioner takes it. Loads no weights."""
        return family_of(self._checkpoint, self._options.captioner)

    @cached_property
    def _known(self) -> Family | None:
        """The family as far as it shows without asking the hub, the same on every run."""
        return known_family(self._checkpoint, self._options.captioner)

    def wording(self, policy: Policy, wish: Wish) -> object | None:
        """Nothing of a model whose folder is gone: what cannot be told is not held against a
        draft."""
        if self._known:
            return self.prompt(policy, wish)
        return None if self._checkpoint.gone else (policy.draft(), wish)

    def prompt(self, policy: Policy, wish: Wish) -> str:
        return self._family.prompt(policy, wish)

    def prepare(self) -> Mapping[str, Any]:
        _ = self._family
        return {}

    def batch_size(self, wished: int) -> int:
        self._most = wished or BATCH_SIZES.get(self._device().partition(":")[0], 4)
        return self._most

    def open(self, media: Path, background: str, sampling: Sampling) -> list[Shown]:
        captioner = self.load()
        if not is_video(media):
            return [Shown(open_image(media, captioner.size, background))]
        frames = open_video(media, sampling, *(SEVERAL if captioner.together else FEW))
        if captioner.together and len(frames) > 1:
            images = tuple(frame.image for frame in frames)
            times = tuple(frame.seconds for frame in frames)
            shown_as = 0 if captioner.films else len(images)
            return [Shown(images, times, video=True, pictures=shown_as)]
        return [Shown(frame.image, (frame.seconds,)) for frame in frames]

    def request(self, shown: Shown, asked: Asked) -> Request:
        if shown.video:
            return Request(shown.given[0], _in_one(asked), shown.given, shown.seconds)
        return Request(shown.given, _in_one(asked), seconds=shown.seconds)

    def again(self, request: Request, asked: Asked) -> Request:
        return replace(request, prompt=_in_one(asked))

    def check(self, request: Request) -> None:
        captioner = self.load()
        with self._told("asked"):
            captioner.check(request.prompt)

    def __call__(self, requests: Sequence[Request], attempt: Attempt) -> list[Answer]:
        if not any(request.seconds for request in requests):
            return self.load()(requests, attempt)
        return self._in_turns(requests, attempt)

    def _in_turns(self, requests: Sequence[Request], attempt: Attempt) -> list[Answer]:
        """A video weighs as much as a batch of pictures, by itself or by its frames."""
        answers: list[Answer] = []
        while len(answers) < len(requests):
            left = requests[len(answers) :]
            alone = next((at for at, one in enumerate(left) if one.frames), len(left))
            few = left[: min(max(alone, 1), self._most)]
            try:
                answers += self.load()(few, attempt)
            except MemoryError:
                if len(few) == 1:
                    raise
                self._most = max(1, len(few) // 2)
        return answers

    def let_go(self, requests: Sequence[Any]) -> None:
        """Nothing of them is anywhere else."""

    def close(self) -> None:
        """Gives the memory back. A batch under way may fail."""
        with self._loading:
            if self._captioner is not None:
                self._captioner = None
                free_memory()

    def fetch(self, tell: Callable[[Fetched], None]) -> None:
        """What the hub has to send before it can be loaded, if anything. Raises Fatal if a file
        does not come."""
        fetch(self._checkpoint, tell)

    def load(self) -> Captioner:
        """Raises Fatal if the model cannot be loaded."""
        with self._loading:
            if self._captioner is None:
                told = {name: getattr(self._options, name) for name in LOADED}
                settings = Settings(self._device(), **told)
                family = self._family
                with self._told("loaded"):
                    self._captioner = family.Captioner(self._checkpoint, settings)
            return self._captioner

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        """Raises Fatal for whatever a model raises that no picture is to blame for."""
        try:
            yield
        except (Fatal, MemoryError):
            raise
        except Exception as error:
            family = str(getattr(self._family, "__name__", "")).rpartition(".")[2]
            why = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
            raise Fatal(
                f"model {self._checkpoint.source} cannot be {done} as {family}: {why}. Are its "
                "files whole? If another captioner asks it, name that with --captioner"
            ) from error


def _in_one(asked: Asked) -> str:
    """Not every chat template has room for a system message, or for a second turn."""
    before = f"You wrote: {asked.answer}" if asked.answer else ""
    return "\n\n".join(filter(None, (asked.system, asked.prompt, before, asked.reply)))
