"""Coroutines in a thread of their own, behind synchronous calls, and an end to all of them at once.

Nothing wakes a thread that waits in a blocking client; a task can be cancelled.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The run was stopped."""


async def _nothing() -> None:
    pass


class Loop:
    """One event loop, started by the first that asks. Any thread may ask."""

    def __init__(self, last: Callable[[], Coroutine[Any, Any, None]] = _nothing) -> None:
        """`last` is run in the loop when it is closed, once all else has ended."""
        self._last = last
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._turn = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises. Raises Closed once the loop was closed."""
        try:
            with self._turn:  # nothing is given to a loop that `close` has stopped meanwhile
                loop = self._running()
                asked = asyncio.run_coroutine_threadsafe(self._counted(work), loop)
        except Closed:
            work.close()
            raise
        try:
            return asked.result()
        except (asyncio.CancelledError, CancelledError):
            raise Closed("the run was stopped") from None

    def close(self) -> None:
        """What is under way raises Closed now. It cannot be opened again."""
        with self._turn:
            self._closed = True
            loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(self._leave(), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    async def _counted(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        if task is None or self._closed:
            work.close()
            raise Closed("the run was stopped")
        self._tasks.add(task)
        try:
            return await work
        finally:
            self._tasks.discard(task)

    def _running(self) -> asyncio.AbstractEventLoop:
        """Called within `_turn`. Raises Closed."""
        if self._closed:
            raise Closed("the run was stopped")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            run = self._loop.run_forever
            threading.Thread(target=run, name="wire", daemon=True).start()
        return self._loop

    async def _leave(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._last()
