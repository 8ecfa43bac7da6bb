"""Replicate, by its own SDK: requests below one address, whole answers in time, an end to all.

The SDK refuses answers that it does not know, so what came is read as it came: a prediction whose
answer cannot be read was paid all the same.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from stages.chat.loop import Loop
from stages.chat.place import QUOTA, Place, Role
from stages.chat.trouble import Trouble, of_answer, wait_of
from stages.chat.wire import Answer, Late, Unanswered, Unreadable, Untrusted
from stages.picture import Film, Picture
from stages.sample import Fatal

T = TypeVar("T")
Told = Mapping[str, Any]  # an object of the service, as it told it

_CONNECT = 10.0  # seconds to a server that is there
_SHORT = 30.0  # for what is answered at once
_LONGEST = 86400.0  # seconds that a prediction may be limited to
_PACKAGE = 'pip install "enhance-captions[replicate]"'

# What came for the request that a task makes now; the SDK keeps status and headers to itself.
_HEARD: ContextVar[list[Answer]] = ContextVar("_HEARD")


class Site(Place):
    """Replicate's API at one address."""

    def __init__(self, address: str, key: str, role: Role, longest: float) -> None:
        """`longest`: seconds after which the service shall give a prediction up by itself, so that
        one that nobody waits for any more is not paid without end. Raises Fatal without a key."""
        super().__init__(address.rstrip("/").removesuffix("/v1"), key, role, local=False)
        self._loop = Loop(self._leave)
        self._longest = max(5.0, min(longest, _LONGEST))
        self.at_the_end: list[Callable[[], Awaitable[None]]] = []  # once all else has ended
        self._sdk: Any = None
        self._transport: Any = None

    def find_sdk(self) -> None:
        """Raises Fatal without the SDK."""
        try:
            import replicate  # noqa: F401
        except Exception as error:  # it may break in its own way on a Python that it does not know
            needs = f"--captioner replicate needs the package replicate ({error})"
            raise Fatal(f"{needs}: {_PACKAGE}") from None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises. Raises Closed once the run was stopped."""
        return self._loop.run(work)

    def close(self) -> None:
        """What is under way is left now, each in its own way."""
        super().close()
        self._loop.close()

    def models(self, wait: float = 0.0) -> list[str] | None:
        """None, for there are too many; asks who we are. Raises Fatal for a key that it refuses,
        and where it cannot be reached within `wait` seconds."""
        began = time.monotonic()
        while True:
            try:
                self.run(self.ask(lambda sdk: sdk.accounts.async_current(), _SHORT))
                return None
            except Trouble as trouble:
                if trouble.kind == "key":
                    raise self.refused_key(trouble) from None
                raise self.fatal(str(trouble)) from None
            except Untrusted as error:
                raise self.fatal(self.masked(error)) from None
            except Unreadable as error:
                said = f"{self.masked(error)}: is it Replicate's API? See {self.role.url}"
                raise self.fatal(said) from None
            except Unanswered as error:
                if time.monotonic() - began >= wait:
                    raise self.unreachable(error) from None
                self.tell("away", f"{self.masked(error)}; waiting for it up to {wait:g} s")
                self.pause(0.5)

    def end(self, trouble: Trouble, model: str) -> Fatal:
        """Of a trouble that every request would meet: why the run ends."""
        if trouble.kind == "model":
            what = f"{self.address} knows no model {model}, or not that version of it"
            return Fatal(f"{what}: {trouble}; name one with {self.role.model}")
        return super().end(trouble, model)

    # What is asked. Each raises Trouble for a refusal, Late, Unanswered, Untrusted, Unreadable.

    async def version(self, model: str, version: str) -> Told:
        """A version of a model, the latest if it is ""."""
        if not version:
            told = await self.ask(lambda sdk: sdk.models.async_get(model), _SHORT)
            latest = told.get("latest_version")
            return latest if isinstance(latest, dict) else {}

        def one(sdk: Any) -> Awaitable[Any]:
            from replicate.version import Versions

            return Versions(sdk, model).async_get(version)

        return await self.ask(one, _SHORT)

    async def create(self, model: str, version: str, inputs: Told, seconds: float) -> Told:
        """Of a version, or of a model that is run by its name alone."""
        # It does not wait for the output: the sooner its name is known, the less can be lost.
        if version:
            return await self.ask(
                lambda sdk: sdk.predictions.async_create(version=version, input=inputs), seconds
            )
        return await self.ask(
            lambda sdk: sdk.models.predictions.async_create(model=model, input=inputs), seconds
        )

    async def prediction(self, name: str) -> Told:
        return await self.ask(lambda sdk: sdk.predictions.async_get(name), _SHORT)

    async def recent(self) -> list[Told]:
        """The last ones of this account, the latest first."""
        page = await self.ask(lambda sdk: sdk.predictions.async_list(), _SHORT)
        return [one for one in page.get("results") or () if isinstance(one, dict)]

    async def cancel(self, name: str) -> None:
        await self.ask(lambda sdk: sdk.predictions.async_cancel(name), _SHORT)

    async def upload(self, what: Picture | Film, seconds: float) -> tuple[str, str]:
        """(its name, its address) on the service."""
        import io

        async def whole(sdk: Any) -> Any:
            # A name tells where and what people keep: only its ending is anybody's business.
            ending = what.path.suffix if isinstance(what, Film) else ".jpg"
            told = {"filename": f"media{ending.lower()}", "content_type": what.kind}
            if isinstance(what, Picture):
                return await sdk.files.async_create(io.BytesIO(what.data), **told)
            with open(what.path, "rb") as file:
                return await sdk.files.async_create(file, **told)

        told = await self.ask(whole, seconds)
        try:
            return str(told["id"]), str(told["urls"]["get"])
        except (KeyError, TypeError):
            raise Unreadable("of an uploaded file it does not tell the address") from None

    async def delete(self, name: str) -> None:
        await self.ask(lambda sdk: sdk.files.async_delete(name), _SHORT)

    async def ask(self, call: Callable[[Any], Awaitable[Any]], seconds: float) -> Told:
        """What came, once the SDK has asked for it."""
        import asyncio

        import httpx

        if self._sdk is None:
            self._sdk = self._open()
        heard: list[Answer] = []
        _HEARD.set(heard)
        try:
            async with asyncio.timeout(seconds):
                await call(self._sdk)
        except (TimeoutError, httpx.TimeoutException) as error:
            if isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout)):
                raise Unanswered("no connection within 10 s", refused=True) from None
            raise Late(f"no whole answer within {seconds:g} s") from None
        except httpx.ConnectError as error:
            if "CERTIFICATE" in str(error).upper():
                raise Untrusted(f"its certificate is not trusted: {error}") from None
            raise Unanswered(str(error) or "no connection", refused=True) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Untrusted(f"{error}: no address") from None
        except httpx.HTTPError as error:
            raise Unanswered(str(error) or type(error).__name__) from None
        except Exception as error:
            # The SDK's own, each of another kind, about an answer: that is looked at itself.
            if not heard:
                raise Unreadable(f"{type(error).__name__}: {error}") from None
        return self._read(heard[-1])

    def _read(self, answer: Answer) -> Told:
        if answer.status >= 300:
            raise self._trouble(answer)
        if not answer.body:
            return {}
        try:
            told = answer.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            shown = self.masked(answer.text[:80])
            raise Unreadable(f"HTTP {answer.status}, no object but {shown!r}")
        return told

    def _trouble(self, answer: Answer) -> Trouble:
        body = answer.body.replace(self.key.encode(), b"***")
        answer = Answer(answer.status, answer.headers, body)
        trouble = of_answer(answer, QUOTA)
        if answer.status == 429:
            # It may name the page for payments and mean the rate all the same.
            seconds = wait_of(answer.headers, answer.text)
            if seconds is None or seconds <= QUOTA:
                return Trouble("busy", str(trouble), 429, seconds, answer.headers)
        return trouble

    def _open(self) -> Any:
        """Within the loop's thread, where its connections live."""
        import httpx
        import truststore
        from replicate.client import Client

        async def hear(response: httpx.Response) -> None:
            body = await response.aread()
            headers = {name.lower(): value for name, value in response.headers.items()}
            _HEARD.get().append(Answer(response.status_code, headers, body))

        # The system's certificates, as browsers use them; the SDK's own miss those of companies.
        trust = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        self._transport = httpx.AsyncHTTPTransport(verify=trust, limits=limits)
        return Client(
            api_token=self.key,
            base_url=self.address,
            timeout=httpx.Timeout(None, connect=_CONNECT),
            headers={"Cancel-After": f"{self._longest:.0f}s"},
            transport=self._transport,
            event_hooks={"response": [hear]},
        )

    async def _leave(self) -> None:
        for work in self.at_the_end:
            await work()
        if self._transport is not None:
            await self._transport.aclose()
