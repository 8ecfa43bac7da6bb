"""Where a server is, from what people paste, and whether it is theirs."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from stages.sample import Fatal

OPENAI = "https://api.openai.com/v1"


def server_address(url: str) -> str:
    """The base URL of the API, from what people paste. Raises Fatal, status 2, for one that holds
    a key or a name: it would be printed, and stand in the report."""
    url = url.strip().rstrip("/")
    if "://" not in url:
        url = f"http://{url}"
    parts = urlsplit(url)
    if parts.query or "@" in parts.netloc:
        where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise Fatal(
            f"the address {where} is given with a key or a name in it: keys belong into the "
            "environment or .env",
            2,
        )
    url = url.removesuffix("/chat/completions").rstrip("/")
    return url if urlsplit(url).path else f"{url}/v1"


def is_local(address: str) -> bool:
    """True for this machine and its network: no key needed, no proxy wanted."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan"))
