"""Who may ask, and how much: hosts, token, size; in front of every route."""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Refused(Exception):
    """A body that is larger than what is read."""


class Guard:
    """Refuses what no route is to see. A page of another site that somebody looks at on this
    machine may begin nothing here, and no cross-origin header is ever sent, so it reads nothing; a
    name that was rebound to this address is refused by its Host."""

    def __init__(self, app: App, hosts: Iterable[str], token: str, largest: int) -> None:
        """`hosts` are the names under which it may be asked, "*" for any; `token` "" for none;
        `largest` bytes of a body are read."""
        self._app, self._token, self._largest = app, token, largest
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value for name, value in scope["headers"]}
        refusal = self._refusal(headers, scope["path"])
        if refusal:
            await self._read_out(receive)
            await _answer(send, *refusal)
            return
        read = 0

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._largest:
                raise Refused
            return message

        begun = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, bounded, watched)
        except Refused:
            if not begun:
                await self._read_out(receive)
                await _answer(send, 413, f"the body is larger than {self._largest} bytes")

    async def _read_out(self, receive: Receive) -> None:
        """A client that is answered while it sends may see a broken connection instead."""
        read = 0
        while read <= 4 * self._largest:
            message = await receive()
            read += len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return

    def _refusal(self, headers: MutableMapping[str, bytes], path: str) -> tuple[int, str] | None:
        host = _name(headers.get("host", b"").decode("latin-1"))
        if "*" not in self._hosts and host not in self._hosts:
            return 421, "this host is not served here: --allow_host names others"
        if _foreign(headers):
            return 403, "pages of other sites may not ask"
        length = headers.get("content-length", b"0").decode("latin-1")
        if length.isdigit() and int(length) > self._largest:
            return 413, f"the body is larger than {self._largest} bytes"
        if self._token and path != "/health":
            given = headers.get("authorization", b"").decode("latin-1")
            if not hmac.compare_digest(f"Bearer {self._token}".encode(), given.encode()):
                return 401, "a token is needed: Authorization: Bearer …"
        return None


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _foreign(headers: Mapping[str, bytes]) -> bool:
    """True if a browser asks for a page that is not of this service. Others send neither header."""
    origin = headers.get("origin")
    if origin is not None:
        own = headers.get("host", b"")
        return origin not in (b"http://" + own, b"https://" + own)
    return headers.get("sec-fetch-site", b"none") not in (b"none", b"same-origin")


def _name(host: str) -> str:
    """A Host header without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


async def _answer(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
