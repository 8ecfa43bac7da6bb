"""Requests that come at the same time become one batch for the model.

A bounded queue in front of one model: the first request waits a moment for others that can be asked
with it, and who comes when the queue is full is told so at once. Who leaves gives its place back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stages.captioners import Answer, Attempt, Request
from stages.sample import Fatal, Unavailable, Unusable

log = logging.getLogger(__name__)

_PATIENCE = 0.05  # seconds until a full queue is looked at again

Ask = Callable[[Sequence[Request], Attempt], list[Answer]]


class Full(Exception):
    """The queue takes no more for now."""


class Stopping(Exception):
    """The service ends: nothing new is taken."""


class Unanswered(Exception):
    """The model broke on this request; the log tells how."""


@dataclass(slots=True, eq=False)
class _Waiting:
    request: Request
    attempt: Attempt
    since: float
    answer: asyncio.Future[Answer] = field(default_factory=asyncio.Future)

    def fits(self, other: _Waiting) -> bool:
        """True if both can be asked in one batch. A video weighs as much as a batch of pictures."""
        if self.request.frames or other.request.frames:
            return self is other
        return self.attempt == other.attempt


class Gathering:
    """Batches for one model. All of it but `ask` itself runs in the event loop."""

    def __init__(self, ask: Ask, most: int, wait: float, longest: int) -> None:
        """At most `most` requests together, gathered for `wait` seconds; `longest` may wait."""
        self._ask, self._most, self._wait, self._longest = ask, most, wait, longest
        self._waiting: deque[_Waiting] = deque()
        self._came = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._stopping = False
        self.under_way = 0
        self.batches = 0

    @property
    def length(self) -> int:
        return len(self._waiting)

    async def answer(self, request: Request, attempt: Attempt, patient: bool = False) -> Answer:
        """`patient`: it waits while the queue is full, since it is one of many of its client.
        Raises Full, Stopping; Unusable, Unanswered or MemoryError for this request alone."""
        while patient and not self._stopping and len(self._waiting) >= self._longest:
            await asyncio.sleep(_PATIENCE)
        if self._stopping:
            raise Stopping
        if len(self._waiting) >= self._longest:
            raise Full
        if self._work is None:
            self._work = asyncio.create_task(self._go_on())
        one = _Waiting(request, attempt, asyncio.get_running_loop().time())
        self._waiting.append(one)
        self._came.set()
        try:
            return await one.answer
        finally:  # cancelled: the client has left
            if one in self._waiting:
                self._waiting.remove(one)

    async def drain(self) -> None:
        """What is asked already is answered; nothing new is taken."""
        self._stopping = True
        while self._waiting or self.under_way:
            await asyncio.sleep(0.02)
        if self._work is not None:
            self._work.cancel()

    async def _go_on(self) -> None:
        while True:
            batch = await self._gathered()
            self.under_way = len(batch)
            self.batches += 1
            log.debug("%d asked together, %d wait", len(batch), len(self._waiting))
            try:
                await self._answered(batch)
            finally:
                self.under_way = 0

    async def _gathered(self) -> list[_Waiting]:
        """The first in the queue and those that can be asked with it."""
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                self._came.clear()
                await self._came.wait()
            first = self._waiting[0]
            left = first.since + self._wait - loop.time()
            same = [one for one in self._waiting if first.fits(one)][: self._most]
            if left <= 0 or len(same) == self._most or self._stopping:
                for one in same:
                    self._waiting.remove(one)
                return same
            self._came.clear()
            try:
                async with asyncio.timeout(left):
                    await self._came.wait()
            except TimeoutError:
                continue

    async def _answered(self, batch: Sequence[_Waiting]) -> None:
        """One bad picture, or too large a batch, fails alone."""
        attempt = batch[0].attempt
        try:
            answers = await asyncio.to_thread(self._ask, [one.request for one in batch], attempt)
        except Exception as error:  # models raise whatever they like
            if len(batch) > 1:
                half = len(batch) // 2
                await self._answered(batch[:half])
                await self._answered(batch[half:])
                return
            if not isinstance(error, (Unusable, Unavailable, MemoryError, Fatal)):
                log.exception("a picture could not be captioned")
                error = Unanswered("the model cannot answer this; the service's log tells more")
            if not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        for one, answer in zip(batch, answers, strict=True):
            if not one.answer.done():  # else its client has left
                one.answer.set_result(answer)
