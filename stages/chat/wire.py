"""HTTP to one server: whole answers within a deadline, and an end to all of them at once.

An asynchronous client in a thread of its own behind a synchronous call. A blocking client bounds
each read, not the answer, and nothing wakes a thread that waits in it; here a deadline is total and
`close` ends every request now. It costs a quarter of the SDK's CPU time per request (`make bench`).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stages.chat.loop import Loop

_CONNECT = 10.0  # seconds to a server that is there
_LARGEST = 16_000_000  # bytes of an answer: nothing that holds a caption is longer


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @cached_property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Raises ValueError for anything but JSON."""
        return json.loads(self.body)


class Unanswered(Exception):
    """No whole answer came. `refused`: nobody listens there; else the connection broke."""

    def __init__(self, reason: str, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


class Late(Unanswered):
    """The answer was not whole by its deadline."""


class Untrusted(Exception):
    """The server's certificate, or the address itself, cannot be used: no repetition helps."""


class Unreadable(Exception):
    """An answer came whole, and is none of the kind that was asked for."""


class Wire:
    """Requests below one base address. Any thread may ask."""

    def __init__(self, address: str, headers: Mapping[str, str], proxies: bool) -> None:
        """`proxies`: whether those of the environment are for this server."""
        self._address = address
        self._headers = dict(headers)
        self._proxies = proxies
        self._session: Any = None
        self._loop = Loop(self._leave)

    def get(self, path: str, seconds: float) -> Answer:
        """Raises as `post` does. A path that begins with a slash is below the address's host."""
        return self._ask("GET", path, None, seconds)

    def post(self, path: str, body: Mapping[str, Any], seconds: float) -> Answer:
        """The whole answer, within `seconds`.

        Raises Late, Unanswered, Untrusted, or Closed once the wire was closed.
        """
        return self._ask("POST", path, json.dumps(body).encode(), seconds)

    def close(self) -> None:
        """Requests under way raise Closed now. The wire cannot be opened again."""
        self._loop.close()

    def _ask(self, method: str, path: str, data: bytes | None, seconds: float) -> Answer:
        return self._run(self._exchange(method, path, data, seconds), seconds)

    def _run(self, exchange: Coroutine[Any, Any, Answer], seconds: float) -> Answer:
        """The answer of an exchange; what it raises becomes what that means."""
        import aiohttp

        try:
            return self._loop.run(exchange)
        except TimeoutError as error:  # to connect at all: nobody was asked
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                raise Unanswered("no connection within 10 s", refused=True) from None
            raise Late(f"no whole answer within {seconds:g} s") from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise Untrusted(f"its certificate is not trusted: {error}") from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise Untrusted(f"{error} is no address") from None
        except aiohttp.ClientConnectorError as error:
            raise Unanswered(str(error.os_error or error), refused=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unanswered(str(error) or type(error).__name__) from None

    async def _exchange(self, method: str, path: str, data: bytes | None, seconds: float) -> Answer:
        async with self._request(method, path, data, seconds) as response:
            return await self._whole(response)

    async def _whole(self, response: Any) -> Answer:
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > _LARGEST:
                break
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, bytes(body))

    def _request(self, method: str, path: str, data: Any, seconds: float, **more: Any) -> Any:
        """Within the loop's thread. Answers from elsewhere are not followed, unless asked for."""
        import aiohttp

        if self._session is None:
            self._session = self._open()
        limit = aiohttp.ClientTimeout(total=seconds, sock_connect=min(_CONNECT, seconds))
        url = f"{self._address}/{path}" if not path.startswith("/") else self._above(path)
        more = {"allow_redirects": False, **more}
        return self._session.request(method, url, data=data, timeout=limit, **more)

    def _above(self, path: str) -> str:
        scheme, _, rest = self._address.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}{path}"

    def _open(self) -> Any:
        """Within the loop's thread, where the session lives."""
        import aiohttp
        import truststore

        # The system's certificates, as browsers use them; Python's own miss those of macOS.
        trust = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust),
            headers={**self._headers, "content-type": "application/json"},
            trust_env=self._proxies,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _leave(self) -> None:
        if self._session is not None:
            await self._session.close()
