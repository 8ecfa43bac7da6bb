"""One key at Google's Gemini API: requests by the SDK, within a deadline, and what it offers.

The SDK is imported by the first request. Its asynchronous client works in a loop of ours, so that
each request has a total deadline and all end at once. It gets an HTTP client of ours too: on its
own it asks a second time where a connection breaks, and takes keys, proxies and addresses from the
environment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from stages.chat.address import is_local
from stages.chat.loop import Loop
from stages.chat.place import LOADING, Place, Role
from stages.chat.trouble import Trouble
from stages.chat.wire import Late, Unanswered, Unreadable, Untrusted
from stages.gemini.refusals import trouble_of
from stages.sample import Fatal

if TYPE_CHECKING:
    from google.genai.client import AsyncClient
    from google.genai.types import Model

log = logging.getLogger(__name__)

T = TypeVar("T")

GENERATES = "generateContent"
_VERSION = "v1beta"  # where videos are, and models that are new
_LISTING = 30.0  # seconds for the list of models
_CONNECT = 10.0  # to a server that is there
_PAGE = 1000  # models in an answer
_TOLD = 12  # names: those that are not told are older
_PASSES = 3  # tries to list where the server is busy
_OTHERWISE = re.compile(
    r"embedding|tts|audio|live|image|imagen|veo|lyria|robotics|computer-use|aqa|learnlm"
    r"|nano-banana|deep-research|translate"
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class Account(Place):
    """A key and the address where it holds."""

    def __init__(self, base_url: str, key: str, role: Role) -> None:
        """Raises Fatal where a key is needed and there is none, or it cannot be one."""
        address = api_address(base_url)
        super().__init__(address, key, role, is_local(address))
        if not (self.key.isascii() and self.key.isprintable()):
            raise Fatal(f"{role.key} holds characters that no key has: copy it anew")
        self._loop = Loop(self._leave)
        self._client: AsyncClient | None = None
        self._http: Any = None
        self._unlisted = ""  # why it does not tell its models
        self.at_the_end: list[Callable[[AsyncClient], Awaitable[None]]] = []  # on `close`

    def ask(self, work: Callable[[AsyncClient], Awaitable[T]], seconds: float) -> T:
        """What `work` makes of the SDK's client. Raises Trouble for a refusal, Late, Unanswered,
        Untrusted, Unreadable; Closed once it was closed; Fatal without the SDK."""
        require_sdk()
        import httpx2
        from google.genai.errors import APIError

        try:
            return self._loop.run(self._within(work, seconds))
        except APIError as error:
            raise self._trouble(error) from None
        except httpx2.ConnectTimeout:
            raise Unanswered(f"no connection within {_CONNECT:g} s", refused=True) from None
        except (TimeoutError, httpx2.TimeoutException):
            raise Late(f"no whole answer within {seconds:g} s") from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise Untrusted(f"{error} is no address") from None
        except httpx2.ConnectError as error:
            if _distrusts(error):
                raise Untrusted(f"its certificate is not trusted: {error}") from None
            raise Unanswered(str(error) or "no connection", refused=True) from None
        except httpx2.HTTPError as error:
            raise Unanswered(str(error) or type(error).__name__) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # The SDK meets them where an answer is not what it expects.
            raise Unreadable(f"{type(error).__name__}: {str(error)[:200]}") from None

    def close(self) -> None:
        """Requests under way and pauses end now, with Closed."""
        super().close()
        self._loop.close()

    def models(self, wait: float = 0.0) -> list[str] | None:
        listed = self.listed(wait)
        return None if listed is None else on_offer(listed)

    def listed(self, wait: float = 0.0) -> dict[str, Model] | None:
        """The models by name; None if it does not tell. Waits `wait` seconds for the server itself.
        Raises Fatal if it cannot be reached, or refuses the key."""
        began, busy = time.monotonic(), 0
        while True:
            try:
                return self.ask(_models, _LISTING)
            except Untrusted as error:
                raise self.fatal(self.masked(error)) from None
            except (Late, Unreadable) as error:
                self._unlisted = self.masked(error)
                return None
            except Unanswered as error:
                if time.monotonic() - began >= wait:
                    raise self.unreachable(error) from None
                self.tell("away", f"{self.masked(error)}; waiting for it up to {wait:g} s")
                self.pause(0.5)
            except Trouble as trouble:
                if trouble.kind in ("key", "address"):
                    raise self.end(trouble, "") from None
                busy += 1
                passes = trouble.kind in ("busy", "crowded", "broken", "loading")
                if not passes or busy == _PASSES or time.monotonic() - began > LOADING:
                    self._unlisted = str(trouble)
                    return None
                self.pause(min(trouble.seconds or float(busy), _LISTING))

    def known(self, model: str) -> Model | None:
        """A model that is not listed, as some are not that are new or one's own; None if there is
        none of that name."""
        try:
            return self.ask(lambda client: client.models.get(model=model), _LISTING)
        except (Trouble, Unanswered, Untrusted, Unreadable):
            return None

    def offers(self, names: list[str]) -> str:
        """So many as one reads."""
        more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
        return ", ".join(names[:_TOLD]) + more

    @property
    def unlisted(self) -> str:
        return self._unlisted

    def _offer(self) -> str:
        names = self.models()
        return f"; it offers: {self.offers(names)}" if names else ""

    def _trouble(self, error: Any) -> Trouble:
        found = getattr(error.response, "headers", None) or {}
        headers = {str(name).lower(): str(value) for name, value in found.items()}
        body = json.loads(json.dumps(error.details, default=str).replace(self.key, "***"))
        return trouble_of(int(error.code or 500), body, headers)

    async def _within(self, work: Callable[[AsyncClient], Awaitable[T]], seconds: float) -> T:
        if self._client is None:
            self._client = self._open()
        async with asyncio.timeout(seconds):
            return await work(self._client)

    def _open(self) -> AsyncClient:
        """Within the loop's thread, where the connections live."""
        import httpx2
        import truststore
        from google import genai
        from google.genai import types

        self._http = httpx2.AsyncClient(
            # The system's certificates, as browsers use them; Python's own miss those of macOS.
            verify=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=not self.local,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=None),
            event_hooks={"request": [_as_we_send]},
        )
        options = types.HttpOptions(
            base_url=self.address, api_version=_VERSION, httpx_async_client=self._http
        )
        # It tells which keys it found in the environment, and takes another one: ours.
        logging.getLogger("google_genai").setLevel(logging.ERROR)
        # All that the SDK else reads from the environment is said.
        return genai.Client(vertexai=False, api_key=self.key, http_options=options).aio

    async def _leave(self) -> None:
        if self._client is None:
            return
        for work in self.at_the_end:
            await work(self._client)
        await self._http.aclose()


def require_sdk() -> None:
    """Raises Fatal where the SDK is not installed."""
    try:
        import google.genai  # noqa: F401
        import httpx2  # noqa: F401 - by which it asks; older ones had another
    except ImportError as error:
        install = 'pip install -U "enhance-captions[gemini]"'
        raise Fatal(f"--captioner gemini needs google-genai ({error}): {install}") from None


def api_address(url: str) -> str:
    """Where the API is, from what people paste."""
    url = url.strip().rstrip("/")
    if "://" not in url:
        url = f"http://{url}"
    path = urlsplit(url).path
    kept = re.sub(r"/v1(?:alpha|beta)?(?:/openai)?$", "", path)
    return url.removesuffix(path) + kept if path else url


def on_offer(listed: Mapping[str, Model]) -> list[str]:
    """Those that may be shown a picture and asked for words, the newest first."""
    names = [
        name
        for name, model in listed.items()
        if generates(model) and not _OTHERWISE.search(name.lower())
    ]
    return sorted(names, key=_age)


def generates(model: Model) -> bool:
    """True if it answers questions, or does not tell what it does."""
    return not model.supported_actions or GENERATES in model.supported_actions


def _age(name: str) -> tuple[bool, float, str]:
    number = _NUMBER.search(name)
    version = float(number[0]) if number else float("inf")  # "gemini-flash-latest"
    return not name.startswith("gemini"), -version, name


async def _models(client: AsyncClient) -> dict[str, Model]:
    pages = await client.models.list(config={"page_size": _PAGE})
    return {plain(model.name or ""): model async for model in pages}


def plain(model: str) -> str:
    return model.strip().removeprefix("models/")


async def _as_we_send(request: Any) -> None:
    # How the file is called on this machine is nobody's business.
    request.headers.pop("x-goog-upload-file-name", None)
    # The SDK has one limit for a whole request; who does not listen is known sooner.
    limits = dict(request.extensions.get("timeout") or {})
    limits["connect"] = min(limits.get("connect") or _CONNECT, _CONNECT)
    request.extensions["timeout"] = limits


def _distrusts(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
