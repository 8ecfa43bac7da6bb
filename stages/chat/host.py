"""A server that speaks OpenAI's chat completions: whether it is there, and what it offers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from stages.chat.address import OPENAI, is_local, server_address
from stages.chat.loop import Closed
from stages.chat.place import LOADING, QUOTA, Place, Role
from stages.chat.trouble import Trouble, of_answer
from stages.chat.wire import Answer, Late, Unanswered, Untrusted, Wire
from stages.sample import Fatal

_LISTING = 30.0  # seconds for the list of models

MERGING = Role(
    name="the LLM server",
    doing="merging",
    url="--base_url",
    model="--model",
    key="OPENAI_API_KEY",
    without="without a server, a model merges in this process",
)


class Host(Place):
    """One server, whatever the model, over HTTP."""

    def __init__(self, base_url: str, key: str, role: Role = MERGING) -> None:
        """Without `base_url` it is OpenAI. Raises Fatal where a key is needed and there is none."""
        address = server_address(base_url or OPENAI)
        super().__init__(address, key, role, is_local(address))
        headers = {"authorization": f"Bearer {self.key}"}
        self._wire = Wire(self.address, headers, proxies=not self.local)
        self._unlisted = ""  # why it does not tell its models

    def post(self, path: str, body: Mapping[str, Any], seconds: float) -> Answer:
        """Raises as `Wire.post` does."""
        return self._wire.post(path, body, seconds)

    def close(self) -> None:
        """Requests under way and pauses end now, with Closed."""
        super().close()
        self._wire.close()

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
                    raise self.unreachable(error) from None
                self.tell("away", f"{self.masked(error)}; waiting for it up to {wait:g} s")
                self.pause(0.5)
                continue
            if answer.status == 200:
                return self._listed(answer)
            trouble = self.trouble(answer)
            if trouble.kind == "key":
                raise self.refused_key(trouble)
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
        body = answer.body.replace(self.key.encode(), b"***")
        return of_answer(Answer(answer.status, answer.headers, body), QUOTA)

    def _listed(self, answer: Answer) -> list[str] | None:
        try:
            return sorted(str(model["id"]) for model in answer.json()["data"])
        except (ValueError, TypeError, KeyError):
            self._unlisted = "no list of models but something else"
            return None
