"""The model of the service: loaded in the background, asked in batches."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from enhance.service.gathering import Gathering, Stopping
from enhance.service.told import without_paths
from stages.captioners import Answer, Attempt, Captioner, Request
from stages.drafter import Options
from stages.fetching import Fetched
from stages.joy import Wish, builder
from stages.llm import Manner
from stages.media import open_picture
from stages.policy import Policy, read_policy
from stages.resident import Resident
from stages.sample import Fatal

log = logging.getLogger(__name__)

# Settings of a loaded model that each request may have its own of, or that change no answer.
_ASKED = ("max_new_tokens", "temperature", "top_p", "top_k", "attn_implementation", "compile")
# Of the progress that is told: a download's part, and what a model is at that lies here.
_DOWNLOAD, _HERE = 0.9, 0.1
Picture = bytes | Callable[[], IO[bytes]]  # encoded, or what opens its file


@dataclass(slots=True)
class Loading:
    """How far the model is, as AI-Toolkit's page polls it."""

    status: str = "idle"  # idle, downloading, loading, ready, error
    message: str = "the model is not loaded yet"
    progress: float = 0.0
    current_file: str = ""
    files_downloaded: int = 0
    total_files: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Engine:
    """One captioner of this process and the queue before it."""

    def __init__(
        self,
        options: Options,
        device: str,
        *,
        cores: int = 2,
        max_batch: int = 0,
        max_wait: float = 0.02,
        max_queue: int = 512,
    ) -> None:
        self._resident = Resident(options, lambda: device, cores)
        self._options = options
        self.device, self.cores = device, cores
        self.loop: asyncio.AbstractEventLoop | None = None  # that its queue runs in, once it does
        self.loading = Loading()
        self._stopping = False
        self._turn = threading.Lock()
        self._loader: threading.Thread | None = None
        self._failure = ""  # of the last load
        self._unheard = False  # a failure that nobody who polls was told of
        self._captioner: Captioner | None = None
        # Decoded pictures are large: as many as cores may be opened at once.
        self._opening = asyncio.Semaphore(max(2, cores))
        most = max_batch or self._resident.batch_size(0)
        self.gathering = Gathering(self._ask, most, max_wait, max_queue)

    @property
    def name(self) -> str:
        """The model's id; of a folder its last name, since clients are told it."""
        source = self.source
        return Path(source).name if os.path.isabs(source) else source

    @property
    def source(self) -> str:
        return self._resident.origin

    @property
    def ready(self) -> bool:
        return self._captioner is not None

    @property
    def captioner(self) -> Captioner:
        """Once it is `loaded`."""
        assert self._captioner is not None
        return self._captioner

    def lends(self, options: Options) -> bool:
        """True if the model drafts as these settings wish, whatever is asked of it."""
        own = replace(self._options, **{name: getattr(options, name) for name in _ASKED})
        return own.of_model == options.of_model

    @property
    def policy(self) -> Policy:
        """That of a style: what captions of any kind tell."""
        return read_policy("style")

    def prompt(self, wish: Wish) -> str:
        """What the model is asked for a wish, once it is `loaded`. One that takes tasks is told its
        own. Raises Fatal for a wish that is none."""
        if not self._resident.in_words:
            return self._resident.prompt(self.policy, Wish())
        return builder().prompt(wish, "Descriptive", "long", ())

    def begin(self) -> None:
        """Loads the model in the background, unless it is there or on its way; one that failed is
        tried again."""
        with self._turn:
            if self.ready or (self._loader is not None and self._loader.is_alive()):
                return
            self.loading = Loading("loading", f"looking for {self.name}")
            self._loader = threading.Thread(target=self._load, name="load", daemon=True)
            self._loader.start()

    def polled(self) -> Loading:
        """How far it is, for one who waits for it: begins to load. An error is told before the next
        poll tries again: who polls would else never see one."""
        if self._unheard:
            self._unheard = False
        else:
            self.begin()
        return self.loading

    def stop(self) -> None:
        """Nobody waits for a model any longer; signals may call it."""
        self._stopping = True

    async def loaded(self) -> None:
        """Waits for the model. Raises Fatal if it cannot be loaded, Stopping."""
        self.begin()
        loader = self._loader
        while loader is not None and loader.is_alive():
            if self._stopping:
                raise Stopping
            await asyncio.sleep(0.05)
        if not self.ready:
            raise Fatal(self._failure)

    async def caption(
        self, pictures: Sequence[Picture], prompt: str, manner: Manner, patient: bool = False
    ) -> Answer:
        """About one picture, or several where the captioner sees them together. Raises Unusable for
        a picture that cannot be read, TooLong for a prompt; Unanswered, Full, Stopping, Fatal."""
        await self.loaded()
        images = tuple([await self._opened(one) for one in pictures])
        request = Request(images[0], prompt, images if len(images) > 1 else ())
        return await self.gathering.answer(request, Attempt(manner=manner), patient)

    async def _opened(self, picture: Picture) -> Any:
        size = self.captioner.size
        async with self._opening:
            return await asyncio.to_thread(_open, picture, size)

    def _ask(self, requests: Sequence[Request], attempt: Attempt) -> list[Answer]:
        return self.captioner(requests, attempt)

    def _load(self) -> None:
        try:
            self._resident.prepare()
            self._resident.fetch(self._fetched)
            far = self.loading
            share = max(far.progress, _HERE)
            self.loading = replace(
                far, status="loading", message=f"loading {self.name}", progress=share
            )
            self._captioner = self._resident.load()
        except Exception as error:  # told to whoever asks; the service goes on
            message = str(error) if isinstance(error, Fatal) else f"{type(error).__name__}: {error}"
            log.error("%s", message)
            told = without_paths(message, {self.source: self.name})
            self._failure = told
            self.loading = Loading("error", told)
            self._unheard = True
            return
        ready = f"{self.name} is ready"
        log.info("%s", ready)
        self.loading = replace(self.loading, status="ready", message=ready, progress=1.0)

    def _fetched(self, far: Fetched) -> None:
        share = round(_DOWNLOAD * far.share, 4)
        said = f"downloading {self.name}"
        self.loading = Loading("downloading", said, share, far.file, far.files, far.total)


def _open(picture: Picture, size: tuple[int, int] | None) -> Any:
    with io.BytesIO(picture) if isinstance(picture, bytes) else picture() as file:
        return open_picture(file, size)
