"""The course of one prediction: begun once, watched until it ends, whatever breaks between.

It is paid from when it is begun, whether its output is read or not. So its name is written down
before anything else; a request whose answer was lost is looked for before it is made again; and one
that takes long is asked after, never asked for anew.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

from stages.chat.trouble import ENDING, Trouble
from stages.chat.wire import Late, Unanswered, Unreadable, Untrusted
from stages.llm import Options
from stages.predictions.begun import Begun
from stages.predictions.errand import Errand
from stages.predictions.inputs import Inputs
from stages.predictions.site import Site, Told
from stages.predictions.uploads import Uploads

INLINE = 1_000_000  # bytes of a picture in the request itself; larger ones are uploaded
_CREATING = 60.0  # seconds: it is answered at once, but has to be sent
_LEAVING = 5.0  # seconds to cancel it, within what an interrupted run may take
_LOST = 20.0  # seconds without a look at it
_COLD = 3.0  # seconds of "starting" that are told
_LAG = 1.0  # seconds until what was begun stands in the list
_PAUSE, _LONGEST_PAUSE = 0.3, 5.0  # between looks
_CLOCKS = 300.0  # seconds that theirs and ours may differ by
_LOOKS = 10  # predictions of the list that are looked at one by one
_SAFETY = re.compile(r"nsfw|safety|sensitive|flagged|moderat|content.?policy|E005", re.IGNORECASE)
_AGAIN = re.compile(r"please (?:retry|try again)|interrupted", re.IGNORECASE)
_CREDIT = re.compile(r"insufficient (?:credit|funds|balance)", re.IGNORECASE)


class Course:
    """How predictions of one model go. All but the making runs in the loop of its site."""

    def __init__(self, site: Site, options: Options, begun: Begun) -> None:
        self._site, self._options, self._begun = site, options, begun
        self.model, _, self.version = options.model.partition(":")
        self.inputs = Inputs([])
        self.uploads = Uploads(site)
        self._ours: set[str] = set()  # predictions that belong to a request

    @property
    def most_pictures(self) -> int:
        return self.inputs.picture.many if self.inputs.picture else 1

    async def whole(self, errand: Errand, seconds: float) -> Told:
        """Its answer, once it has ended."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    if not errand.prediction:
                        await self._begin(errand)
                    ended = await self._ended(errand)
                    if ended is not None:
                        errand.ended = True
                        self._begun.ended(errand.key)
                        return ended
        except TimeoutError:
            raise Late(f"no output within --deadline {self._options.deadline:g} s") from None
        except asyncio.CancelledError:
            await self.left(errand)
            raise

    async def _begin(self, errand: Errand) -> None:
        earlier = self._begun.take(errand.key)
        if earlier:
            errand.prediction, errand.earlier = earlier, True
            self._ours.add(earlier)
            return
        if not errand.input:
            errand.input = await self._input(errand)
        if earlier == "":
            errand.doubtful = errand.earlier = True
        if errand.doubtful:
            name = await self._found(errand)
            if name:
                await self._named(errand, name)
                return
            if errand.lost > 1:
                raise self._given_up("the answer to the request was lost twice: asked no more")
        errand.doubtful, errand.earlier, errand.by_name = False, False, not self.version
        errand.since = errand.since or time.time()
        await asyncio.to_thread(self._begun.note, errand.key, "")
        try:
            told = await self._site.create(self.model, self.version, errand.input, _CREATING)
            name = str(told["id"])
        except (Unanswered, Unreadable, Trouble, KeyError) as error:
            refused = isinstance(error, Unanswered) and error.refused
            if refused or (isinstance(error, Trouble) and error.status < 500):
                self._begun.ended(errand.key)  # surely nothing was begun
                raise
            errand.doubtful = True
            errand.lost += 1
            if isinstance(error, (Late, KeyError)):  # late to begin, not to answer
                raise Unanswered("no answer to the request") from None
            raise
        await self._named(errand, name)

    async def _named(self, errand: Errand, name: str) -> None:
        errand.prediction = name
        self._ours.add(name)
        await asyncio.to_thread(self._begun.note, errand.key, name)

    async def _ended(self, errand: Errand) -> Told | None:
        """It once it has ended; None if it must be begun anew."""
        began, working, broken = time.monotonic(), 0.0, 0.0
        pause = _PAUSE
        while True:
            try:
                told = await self._site.prediction(errand.prediction)
                broken = 0.0
            except (Trouble, Unanswered, Unreadable) as error:
                now = time.monotonic()
                kind = error.kind if isinstance(error, Trouble) else ""
                broken = 0.0 if kind == "busy" else broken or now
                missing = isinstance(error, Trouble) and error.status == 404
                if missing and errand.earlier:
                    self._anew(errand)
                    return None
                if kind in ENDING and not missing:
                    raise
                if broken and now - broken > max(_LOST, self._options.server_wait):
                    raise Unanswered(str(error)) from None
                self._site.tell("away", f"{self._site.masked(error)}; asking after it again")
            else:
                now, status = time.monotonic(), str(told.get("status"))
                if status not in ("starting", "processing"):
                    return self._judged(errand, status, told)
                if status == "processing":
                    working = working or now
                elif now - began > _COLD:
                    longest = f"up to {self._options.deadline:g} s (--deadline)"
                    said = "is starting, which may take minutes; waiting for it"
                    self._site.tell("starting", f"{self._options.model} {said} {longest}")
                if working and now - working > self._options.timeout:
                    raise Late(f"still at work after {self._options.timeout:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _judged(self, errand: Errand, status: str, told: Told) -> Told | None:
        """Raises what a prediction without an output means."""
        if status == "succeeded" and (told.get("output") is not None or not errand.earlier):
            return told
        if errand.earlier:  # it failed or was canceled then, or its output is kept no longer
            self._anew(errand)
            return None
        errand.ended = True
        self._begun.ended(errand.key)
        error = " ".join(str(told.get("error") or "").split())
        if status == "failed" and _SAFETY.search(error):
            return told
        if _CREDIT.search(error):
            raise Trouble("spent", error, 402)
        if status == "failed" and _AGAIN.search(error) and not errand.again:
            self._anew(errand)
            errand.again = True
            raise Trouble("broken", f"{self._options.model} failed: {error}", 500)
        why = (
            f"{self._options.model}: the prediction {'' if status == 'failed' else 'was '}{status}"
        )
        raise self._given_up(f"{why}: {error}" if error else why)

    def _anew(self, errand: Errand) -> None:
        self._begun.ended(errand.key)
        errand.prediction, errand.earlier, errand.ended = "", False, False

    async def _input(self, errand: Errand) -> dict[str, Any]:
        """With the addresses of pictures and videos that are too large for the request."""
        message, seconds = errand.message, self._options.deadline
        pictures = []
        for picture in message.pictures[: self.most_pictures]:
            if len(picture.data) <= INLINE:
                pictures.append(picture.uri)
                continue
            pictures.append(await self.uploads.address(picture, seconds))
        film = await self.uploads.address(message.film, seconds) if message.film else ""
        fps = message.film.fps if message.film else 0.0
        said, manner = message.said, errand.manner
        return self.inputs.filled(said, manner, pictures=pictures, film=film, fps=fps)

    async def _found(self, errand: Errand) -> str:
        """The prediction that was begun without our hearing of it, "" if there is none."""
        await asyncio.sleep(_LAG)
        looks = 0
        try:
            for told in await self._site.recent():
                name, theirs = str(told.get("id")), told.get("input")
                if name in self._ours or _older(told, errand.since):
                    continue
                if errand.may_be(theirs) and not errand.holds(theirs):
                    looks += 1
                    if looks > _LOOKS:
                        break
                    theirs = (await self._site.prediction(name)).get("input")
                if errand.holds(theirs) and name not in self._ours:
                    return name
        except Late as error:
            raise Unanswered(str(error)) from None
        return ""

    async def left(self, errand: Errand) -> None:
        """Nobody waits for it any more: it is not to run on."""
        if not errand.prediction or errand.ended:
            return
        errand.ended = True
        with suppress(TimeoutError, Trouble, Unanswered, Untrusted, Unreadable):
            async with asyncio.timeout(_LEAVING):
                await self._site.cancel(errand.prediction)

    def _given_up(self, why: str) -> RuntimeError:
        return RuntimeError(f"{self._site.address}: {self._site.masked(why)}")


def _older(told: Told, since: float) -> bool:
    """True if it was begun before anything was asked; nothing is known where `since` is 0."""
    try:
        begun = datetime.fromisoformat(str(told.get("created_at"))).timestamp()
    except ValueError:
        return False
    return bool(since) and begun < since - _CLOCKS
