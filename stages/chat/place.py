"""A service that is asked, whatever it speaks: its address, and how it is spoken of."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from stages.chat.loop import Closed
from stages.chat.trouble import Trouble
from stages.sample import Fatal

log = logging.getLogger(__name__)

_NO_KEY = "none-needed"
LOADING = 300.0  # seconds: a model may take minutes to load
QUOTA = 120.0  # a longer wait that a server asks for is a quota that is spent


@dataclass(frozen=True, slots=True)
class Role:
    """What a server is for, and by which settings it is named: for what is said to people."""

    name: str
    doing: str
    url: str
    model: str
    key: str
    without: str


class Place:
    """One server, whatever the model. Every message names its address and no key."""

    def __init__(self, address: str, key: str, role: Role, local: bool) -> None:
        """Raises Fatal where a key is needed and there is none."""
        self.address, self.local, self.role = address, local, role
        if not key and not local:
            raise Fatal(f"{address} needs a key: set {role.key} in the environment or in .env")
        self.key = key or _NO_KEY
        self._stopped = threading.Event()
        self._turn = threading.Lock()
        self._told: dict[str, float] = {}

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def close(self) -> None:
        """Pauses end now, with Closed; so does what is under way."""
        self._stopped.set()

    def pause(self, seconds: float) -> None:
        """Raises Closed if the run is stopped meanwhile."""
        if self._stopped.wait(seconds):
            raise Closed("the run was stopped")

    def models(self, wait: float = 0.0) -> list[str] | None:
        """Those on offer, or None if it does not tell. Waits `wait` seconds for the server itself.
        Raises Fatal if it cannot be reached."""
        raise NotImplementedError

    def fatal(self, what: str) -> Fatal:
        return Fatal(f"{self.address}: {what}")

    def end(self, trouble: Trouble, model: str) -> Fatal:
        """Of a trouble that every request would meet: why the run ends."""
        match trouble.kind:
            case "key":
                return self.refused_key(trouble)
            case "model":
                what = f"{self.address} knows no model {model!r}, or has its chat elsewhere"
                return Fatal(f"{what}: {trouble}{self._offer()}")
            case "blind":
                what = f"{self.address}: {model} takes no pictures"
                return Fatal(f"{what}: {trouble}; name one with {self.role.model}{self._offer()}")
            case "spent":
                when = f"in {trouble.seconds:.0f} s" if trouble.seconds else "when it is renewed"
                return self.fatal(f"{trouble}: start again {when}, what is done is kept")
            case _:
                return self.fatal(str(trouble))

    def refused_key(self, trouble: Trouble) -> Fatal:
        name = self.role.key
        what = f"refuses the key in {name}" if self.key != _NO_KEY else f"wants a key: set {name}"
        return Fatal(f"{self.address} {what}: {trouble}")

    def tell(self, what: str, message: str) -> None:
        """Not every pause of every thread: one line a minute of each kind."""
        level = logging.DEBUG
        with self._turn:
            if time.monotonic() - self._told.get(what, -60.0) >= 60.0:
                self._told[what], level = time.monotonic(), logging.WARNING
        log.log(level, "%s: %s", self.address, message)

    def masked(self, told: object) -> str:
        return " ".join(str(told).split()).replace(self.key, "***")[:400]

    def unreachable(self, error: Exception) -> Fatal:
        role = self.role
        return Fatal(
            f"cannot reach {role.name} at {self.address} ({self.masked(error)}): start it or "
            f"correct {role.url} (--server_wait waits for one that starts); {role.without}"
        )

    def _offer(self) -> str:
        names = self.models()
        return f"; it offers: {', '.join(names)}" if names else ""
