"""Videos that are too large for a request: uploaded once, and never left there.

An upload lives as long as its file is being answered. What a killed run left is deleted by the
next one on this machine: the name tells which process it was; those of others are not touched.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import platform
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from stages.chat.client import Client, Tries
from stages.chat.gate import Gate
from stages.chat.loop import Closed
from stages.chat.purse import Purse
from stages.chat.trouble import Trouble
from stages.chat.wire import Unanswered, Unreadable, Untrusted
from stages.gemini.account import Account
from stages.gemini.videos import kind_of
from stages.llm import Options, Reply
from stages.picture import Film

if TYPE_CHECKING:
    from google.genai.client import AsyncClient
    from google.genai.types import File

log = logging.getLogger(__name__)

_AT_ONCE = 4  # uploads: more share the same line
_FIRST, _LONGER, _LONGEST = 0.5, 1.5, 10.0  # seconds between looks at one that is processed
_DELETING = 5.0  # seconds: less than an interrupted run has left
_SWEEPING = 20.0
_CLOCK = 5  # seconds that the start of a process may seem to move
_OURS = re.compile(r"enhance-captions ([0-9a-f]{12})-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is there and can be asked about."""

    name: str
    uri: str


class Uploads(Client[Account, Film]):
    """The videos of this process at the Files API. What fails is tried again by the rules for
    questions, with a gate of its own: an upload tells nothing of how many questions it bears."""

    def __init__(self, host: Account, options: Options, purse: Purse | None) -> None:
        self._processing = options.timeout
        patient = replace(options, timeout=options.deadline, price_in=0.0, price_out=0.0)
        gate = Gate(start=_AT_ONCE, most=_AT_ONCE, timeout=options.deadline)
        super().__init__(host, patient, gate, purse)
        self._kept: dict[Film, Upload] = {}
        self._renewed: set[Film] = set()
        host.at_the_end.append(self._delete_all)

    def of(self, film: Film) -> Upload:
        """The upload of a film, made if there is none. Raises RuntimeError for what costs this
        file, Fatal for what costs all."""
        if film not in self._kept:
            self._counted(lambda: film)
        return self._kept[film]

    def lost(self, film: Film) -> bool:
        """An upload is not there any more: True if the film may be uploaded anew, once."""
        self._kept.pop(film, None)
        new = film not in self._renewed
        self._renewed.add(film)
        return new

    def let_go(self, film: Film) -> None:
        """The film is answered: its upload is deleted."""
        self._renewed.discard(film)
        upload = self._kept.get(film)
        if upload is None:
            return
        try:
            self.host.ask(lambda client: _delete(client, upload.name), 2 * _DELETING)
        except Closed:
            return  # then all are
        except (Trouble, Unanswered, Untrusted, Unreadable) as error:
            what = f"an upload could not be deleted, it goes by itself after two days: {error}"
            self.host.tell("upload", self.host.masked(what))
        self._kept.pop(film, None)

    def sweep(self) -> None:
        """Deletes what killed runs left: uploads of processes of this machine that are gone. What
        fails is left to the next run."""
        try:
            gone = self.host.ask(_sweep, _SWEEPING)
        except (Trouble, Unanswered, Untrusted, Unreadable) as error:
            log.debug("left-over uploads were not looked for: %s", self.host.masked(error))
            return
        if gone:
            log.info("%s: deleted %d uploads that an ended run left", self.host.address, gone)

    def _weight(self, request: Film) -> tuple[int, int]:
        return 0, 0

    def _send(self, request: Film, seconds: float, tries: Tries) -> tuple[Mapping[str, str], Any]:
        self.host.ask(lambda client: self._upload(client, request), seconds)
        return {}, None

    def _read(self, request: Film, answer: Any) -> Reply:
        return Reply("")

    def _answers(self) -> bool:
        return self.host.models() is not None

    async def _upload(self, client: AsyncClient, film: Film) -> None:
        from google.genai.types import UploadFileConfig

        # By a name of ours it can be deleted even if its answer never came.
        name = f"files/enhance-{uuid.uuid4().hex}"
        try:
            config = UploadFileConfig(name=name, mime_type=kind_of(film), display_name=_mark())
            file = await client.files.upload(file=film.path, config=config)
            ready = await self._ready(client, file)
            self._kept[film] = Upload(ready.name or "", ready.uri or "")
        except BaseException:  # an interrupt too
            await _quietly(client, name)
            raise

    async def _ready(self, client: AsyncClient, file: File) -> File:
        """The file once it can be asked about. Raises Trouble if it never can."""
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + self._processing, _FIRST
        while True:
            state = str(getattr(file.state, "value", file.state) or "ACTIVE")
            if state == "ACTIVE":
                return file
            if state == "FAILED":
                why = (file.error.message if file.error else "") or "it does not say why"
                raise Trouble("wrong", f"the server could not process the video: {why}")
            if loop.time() + pause > end:
                what = f"the video was still {state} after {self._processing:g} s (--timeout)"
                raise Trouble("wrong", what)
            await asyncio.sleep(pause)
            pause = min(pause * _LONGER, _LONGEST)
            file = await self._looked(client, file)

    async def _looked(self, client: AsyncClient, file: File) -> File:
        """The file as it is now; as it was where that cannot be known for the moment."""
        import httpx2
        from google.genai.errors import APIError

        try:
            return await client.files.get(name=file.name or "")
        except httpx2.TransportError:
            return file
        except APIError as error:
            if error.code == 429 or error.code >= 500:
                return file
            raise

    async def _delete_all(self, client: AsyncClient) -> None:
        kept, self._kept = self._kept, {}
        await asyncio.gather(*(_quietly(client, upload.name) for upload in kept.values()))


async def _delete(client: AsyncClient, name: str) -> None:
    """One that is gone is deleted."""
    from google.genai.errors import APIError

    for last in (False, True):
        try:
            async with asyncio.timeout(_DELETING):
                await client.files.delete(name=name)
        except APIError as error:
            if error.code in (403, 404):
                return
            if last:
                raise
            await asyncio.sleep(0.2)
        else:
            return


async def _quietly(client: AsyncClient, name: str) -> None:
    try:
        async with asyncio.timeout(_DELETING):
            await _delete(client, name)
    except Exception as error:  # it goes by itself after two days
        log.debug("%s was not deleted: %s", name, type(error).__name__)


async def _sweep(client: AsyncClient) -> int:
    gone = 0
    async for file in await client.files.list(config={"page_size": 100}):
        if file.name and _left_over(file.display_name or ""):
            await _quietly(client, file.name)
            gone += 1
    return gone


def _mark() -> str:
    return f"enhance-captions {_machine()}-{os.getpid()}-{_began(os.getpid())}"


def _left_over(mark: str) -> bool:
    """True for the mark of a process of this machine that is gone."""
    found = _OURS.fullmatch(mark)
    if found is None or found[1] != _machine():
        return False
    # Clocks are set, and with them the time at which everything began.
    return abs(_began(int(found[2])) - int(found[3])) > _CLOCK


@cache
def _machine() -> str:
    """Tells machines apart, and nothing about this one."""
    return hashlib.blake2b(
        f"{platform.node()} {uuid.getnode()}".encode(), digest_size=6
    ).hexdigest()


def _began(pid: int) -> int:
    """When a process began, 0 if there is none: a number is given again, a time is not."""
    import psutil

    try:
        return int(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0
