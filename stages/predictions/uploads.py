"""Pictures and videos that are too large for a request: uploaded once for all that is asked about
them, and deleted when nothing more is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from stages.answer import Message
from stages.picture import Film, Picture
from stages.predictions.site import Site

_DELETING = 5.0  # seconds, within what an interrupted run may take


class Uploads:
    """Those of one process. Coroutines run in the loop of the site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        # By the very object: two files may hold the same, and end at different times.
        self._kept: dict[int, tuple[Picture | Film, str, str]] = {}
        site.at_the_end.append(self._delete_all)

    async def address(self, what: Picture | Film, seconds: float) -> str:
        """Where the service has it. Raises as `Site.upload` does."""
        if id(what) not in self._kept:
            name, address = await self._site.upload(what, seconds)
            self._kept[id(what)] = (what, name, address)
        return self._kept[id(what)][2]

    def of(self, message: Message) -> list[int]:
        """What there is of a message."""
        return [id(what) for what in (*message.pictures, message.film) if id(what) in self._kept]

    async def delete(self, ours: Iterable[int]) -> None:
        """One that cannot be deleted goes by itself after a day."""
        names = [self._kept.pop(one)[1] for one in ours]
        with suppress(TimeoutError):
            async with asyncio.timeout(_DELETING):
                deleting = (self._site.delete(name) for name in names)
                await asyncio.gather(*deleting, return_exceptions=True)

    async def _delete_all(self) -> None:
        await self.delete([*self._kept])
