"""Who may ask, and how much: hosts, token, size; in front of every route."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException

from enhance.service.told import refusal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Headers = Mapping[str, Sequence[bytes]]

_PATIENCE = 10.0  # seconds for the rest of a body that is not read
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Nothing but a name and a port: in "localhost:@elsewhere" others see another host than we do.
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\\?#\s]+)(:[0-9]*)?", re.ASCII | re.IGNORECASE)


class Guard:
    """Refuses what no route is to see. A page of another site that somebody looks at on this
    machine may begin nothing here, and no cross-origin header is ever sent, so it reads nothing; a
    name that was rebound to this address is refused by its Host."""

    def __init__(
        self, app: App, hosts: Iterable[str], token: str, largest: int, by_number: bool = False
    ) -> None:
        """`hosts` are the names under which it may be asked, "*" for any; `by_number`: by any
        address, too, which is no name that could be rebound; `token` "" for none; `largest` bytes
        of a body are read."""
        self._by_number = by_number
        # As bytes: so it is sent, and a variable of the environment may hold what is no UTF-8.
        self._app, self._token, self._largest = app, os.fsencode(token), largest
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[str, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value)
        refused = self._refused(headers, scope["path"])
        if refused:
            await self._read_out(receive)
            await _answer(send, scope["path"], *refused)
            return
        read = 0

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._largest:
                await self._read_out(receive)
                raise HTTPException(413, f"the body is larger than {self._largest} bytes")
            return message

        begun = False

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, bounded, watched)
        except asyncio.CancelledError:  # the time that it had to end is over
            if not begun:
                await _answer(send, scope["path"], 503, "the service stops")

    async def _read_out(self, receive: Receive) -> None:
        """A client that is answered while it sends may see a broken connection instead."""
        read = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while read <= 4 * self._largest:
                    message = await receive()
                    read += len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body"):
                        return

    def _refused(self, headers: Headers, path: str) -> tuple[int, str] | None:
        host = _host(headers)
        if not self._served(host):
            name = f"{host[:100]} is" if host else "without one Host header this is"
            return 421, f"{name} not served here: --allow_host names others"
        if _foreign(headers):
            return 403, "pages of other sites may not ask"
        length = _one(headers, "content-length").decode("latin-1")
        if length.isdecimal() and (len(length) > 20 or int(length) > self._largest):
            return 413, f"the body is larger than {self._largest} bytes"
        if self._token and path != "/health":
            scheme, _, given = _one(headers, "authorization").partition(b" ")
            known = hmac.compare_digest(given.strip(), self._token)
            if not known or scheme.lower() != b"bearer":
                return 401, "a token is needed: Authorization: Bearer …"
        return None

    def _served(self, name: str | None) -> bool:
        if name is None:
            return False
        return bool({"*", name} & self._hosts) or (self._by_number and _is_number(name))


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _foreign(headers: Headers) -> bool:
    """True if a browser asks for a page that is not of this service. Others send neither header."""
    if "origin" in headers:
        own = _one(headers, "host")
        return _one(headers, "origin") not in (b"http://" + own, b"https://" + own)
    return not {b"none", b"same-origin"}.issuperset(headers.get("sec-fetch-site", ()))


def _one(headers: Headers, name: str) -> bytes:
    """A header; b"" for none, and for several: which of them others believe is not known."""
    values = headers.get(name, ())
    return values[0] if len(values) == 1 else b""


def _host(headers: Headers) -> str | None:
    """The Host header without its port, in lower case; None for none that can be told."""
    found = _HOST.fullmatch(_one(headers, "host").decode("latin-1"))
    return found[1].strip("[]").lower().rstrip(".") if found else None


async def _answer(send: Send, path: str, status: int, message: str) -> None:
    body = json.dumps(refusal(path, message, status)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
