"""A server as such: whether it is there, which models it offers, and how it is spoken of."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.chat.address import OPENAI, is_local, server_address
from stages.chat.trouble import Trouble, of_answer
from stages.chat.wire import Answer, Closed, Late, Unanswered, Untrusted, Wire
from stages.sample import Fatal

log = logging.getLogger(__name__)

_NO_KEY = "none-needed"
LOADING = 300.0  # seconds: a model may take minutes to load
QUOTA = 120.0  # a longer wait that a server asks for is a quota that is spent
_LISTING = 30.0  # seconds for the list of models


@dataclass(frozen=True, slots=True)
class Role:
    """What a server is for, and by which settings it is named: for what is said to people."""

    name: str
    doing: str
    url: str
    model: str
    key: str
    without: str


MERGING = Role(
    name="the LLM server",
    doing="merging",
    url="--base_url",
    model="--model",
    key="OPENAI_API_KEY",
    without="without a server, a model merges in this process",
)


class Host:
    """One server, whatever the model. Every message names its address and no key."""

    def __init__(self, base_url: str, key: str, role: Role = MERGING) -> None:
        """Without `base_url` it is OpenAI. Raises Fatal where a key is needed and there is none."""
        self.address = server_address(base_url or OPENAI)
        self.local = is_local(self.address)
        self.role = role
        if not key and not self.local:
            raise Fatal(f"{self.address} needs a key: set {role.key} in the environment or in .env")
        self._key = key or _NO_KEY
        headers = {"authorization": f"Bearer {self._key}"}
        self._wire = Wire(self.address, headers, proxies=not self.local)
        self._stopped = threading.Event()
        self._turn = threading.Lock()
        self._told: dict[str, float] = {}
        self._unlisted = ""  # why it does not tell its models

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def post(self, path: str, body: Mapping[str, Any], seconds: float) -> Answer:
        """Raises as `Wire.post` does."""
        return self._wire.post(path, body, seconds)

    def close(self) -> None:
        """Requests under way and pauses end now, with Closed."""
        self._stopped.set()
        self._wire.close()

    def pause(self, seconds: float) -> None:
        """Raises Closed if the run is stopped meanwhile."""
        if self._stopped.wait(seconds):
            raise Closed("the run was stopped")

    def models(self, wait: float = 0.0) -> list[str] | None:
        """Those on offer, or None if it does not tell. Waits while one is loading, and `wait`
        seconds for the server itself. Raises Fatal if it cannot be reached."""
        began = time.monotonic()
        while True:
            waited = time.monotonic() - began
            try:
                answer = self._wire.get("models", _LISTING)
            except Untrusted as error:
                raise self.fatal(self.masked(error)) from None
            except Late:
                self._unlisted = "no answer"
                return None
            except Unanswered as error:
                if waited >= wait:
                    raise self._unreachable(error) from None
                self.tell("away", f"{self.masked(error)}; waiting for it up to {wait:g} s")
                self.pause(0.5)
                continue
            if answer.status == 200:
                return self._listed(answer)
            trouble = self.trouble(answer)
            if trouble.kind == "key":
                raise self._refused_key(trouble)
            if trouble.kind == "address":
                raise self.fatal(str(trouble))
            if answer.status != 503:
                self._unlisted = f"HTTP {answer.status}"
                return None
            if waited > LOADING:
                raise self.fatal("was still loading after 5 minutes")
            self.tell("loading", "is loading its model; waiting up to 5 minutes")
            self.pause(1.0)

    def only_model(self, names: list[str] | None) -> str:
        """The one on offer. Raises Fatal if there are several or none, or it does not tell."""
        if names is None:
            raise Fatal(
                f"{self.address} does not list its models ({self._unlisted}): is the address "
                f"right? Then name a model with {self.role.model}"
            )
        if len(names) != 1:
            listed = ", ".join(names) or "none"
            pick = f"offers several models; pick one with {self.role.model}"
            raise Fatal(f"{self.address} {pick}: {listed}")
        return names[0]

    def tokens(self, model: str, texts: Sequence[str]) -> list[int] | None:
        """How many tokens each text has, by the endpoint that the servers of llama.cpp and vLLM
        have; None if it has none. Nobody else's server is asked."""
        if not self.local:
            return None
        counts = []
        try:
            for text in texts:
                asked = {"model": model, "prompt": text, "content": text}
                data = self.post("/tokenize", asked, 5.0).json()
                counts.append(int(data.get("count") or len(data["tokens"])))
        except (Unanswered, Untrusted, Closed, ValueError, KeyError, TypeError, AttributeError):
            return None
        return counts

    def trouble(self, answer: Answer) -> Trouble:
        """Of an answer that is no success; it may repeat the key."""
        body = answer.body.replace(self._key.encode(), b"***")
        return of_answer(Answer(answer.status, answer.headers, body), QUOTA)

    def fatal(self, what: str) -> Fatal:
        return Fatal(f"{self.address}: {what}")

    def end(self, trouble: Trouble, model: str) -> Fatal:
        """Of a trouble that every request would meet: why the run ends."""
        match trouble.kind:
            case "key":
                return self._refused_key(trouble)
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

    def _refused_key(self, trouble: Trouble) -> Fatal:
        key = self.role.key
        what = f"refuses the key in {key}" if self._key != _NO_KEY else f"wants a key: set {key}"
        return Fatal(f"{self.address} {what}: {trouble}")

    def _offer(self) -> str:
        names = self.models()
        return f"; it offers: {', '.join(names)}" if names else ""

    def tell(self, what: str, message: str) -> None:
        """Not every pause of every thread: one line a minute of each kind."""
        level = logging.DEBUG
        with self._turn:
            if time.monotonic() - self._told.get(what, -60.0) >= 60.0:
                self._told[what], level = time.monotonic(), logging.WARNING
        log.log(level, "%s: %s", self.address, message)

    def masked(self, told: object) -> str:
        return " ".join(str(told).split()).replace(self._key, "***")[:400]

    def _listed(self, answer: Answer) -> list[str] | None:
        try:
            return sorted(str(model["id"]) for model in answer.json()["data"])
        except (ValueError, TypeError, KeyError):
            self._unlisted = "no list of models but something else"
            return None

    def _unreachable(self, error: Exception) -> Fatal:
        role = self.role
        return Fatal(
            f"cannot reach {role.name} at {self.address} ({self.masked(error)}): start it or "
            f"correct {role.url} (--server_wait waits for one that starts); {role.without}"
        )
