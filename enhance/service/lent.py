"""The service's model as a job drafts by it: together with what others ask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import replace

from enhance.service.engine import Engine
from enhance.stop import Stop
from stages.captioners import Answer, Attempt, Captioner, Request
from stages.drafter import Options
from stages.llm import Manner
from stages.resident import Resident

_LOOKS = 0.5  # seconds between looks whether the job is to end


class Lent(Resident):
    """A captioner in this process that is not this run's own."""

    def __init__(self, options: Options, engine: Engine, stop: Stop) -> None:
        """Called in any thread but that of the engine's loop; waits for the model until `stop`."""
        super().__init__(options, lambda: engine.device, engine.cores)
        self._engine, self._stop = engine, stop
        self._shared: Captioner | None = None

    def load(self) -> Captioner:
        if self._shared is None:
            loop = self._engine.loop
            assert loop is not None
            loaded = asyncio.run_coroutine_threadsafe(self._engine.loaded(), loop)
            while not wait([loaded], _LOOKS).done:
                self._stop.heed()
            loaded.result()
            self._shared = _Shared(self._engine, self._options, loop)
        return self._shared

    def close(self) -> None:
        """It stays with the service."""


class _Shared:
    """The engine's captioner, asked through its queue as the run wishes."""

    def __init__(self, engine: Engine, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        self._engine, self._loop = engine, loop
        self._manner = Manner(
            options.max_new_tokens, options.temperature, options.top_p, options.top_k
        )
        captioner = engine.captioner
        self.size, self.together = captioner.size, captioner.together

    @property
    def films(self) -> bool:
        return self._engine.captioner.films

    def check(self, prompt: str) -> None:
        self._engine.captioner.check(prompt)

    def __call__(self, requests: Sequence[Request], attempt: Attempt) -> list[Answer]:
        own = replace(attempt, manner=self._manner)
        asked = [
            asyncio.run_coroutine_threadsafe(
                self._engine.gathering.answer(one, own, patient=True), self._loop
            )
            for one in requests
        ]
        wait(asked)
        return [one.result() for one in asked]
