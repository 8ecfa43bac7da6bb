"""The chat client: any server that speaks OpenAI's chat completions.

Synchronous; the flow calls it from as many threads as the server bears. The SDK's own retries are
off: they lose captions under rate limits, so waiting and repeating are decided here.
"""

from __future__ import annotations

import ipaddress
import logging
import random
import re
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any
from urllib.parse import urlsplit

from stages.llm import Conversation, Options, Reply
from stages.sample import Fatal

log = logging.getLogger(__name__)

OPENAI = "https://api.openai.com/v1"
_NO_KEY = "none-needed"


def server_address(url: str) -> str:
    """The base URL that the SDK wants, from what people paste."""
    url = url.strip().rstrip("/")
    if "://" not in url:
        url = f"http://{url}"
    url = url.removesuffix("/chat/completions").rstrip("/")
    return url if urlsplit(url).path else f"{url}/v1"


def is_local(address: str) -> bool:
    """True for this machine and its network: no key needed, no proxy wanted."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan"))


class _Busy(Exception):
    """The server asks to come back later: `seconds` is what it asked for, if it said."""

    def __init__(self, message: str, seconds: float | None = None, broken: bool = False) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.broken = broken  # an error of the server's own, which waiting may not cure


class _Unreadable(_Busy):
    """An answer that is none. It may pass, but not by waiting long."""


class Server:
    """One server and model, shared by all threads of this process."""

    batch_size = 1
    # Seconds: a model may take minutes to load; a rate limit should pass; a lost server will not.
    LOADING, PATIENCE, LOST = 300.0, 120.0, 20.0
    READINGS = 3  # unreadable answers to one request
    TRIES = 5  # of one request that the server breaks on; a busy server is asked for PATIENCE
    HOPELESS, HOPELESS_NOW = 5, 20  # failed files in a row: of a new server, of one that answered

    def __init__(self, options: Options, key: str, ranks: int = 1) -> None:
        """`key` may be empty for a local server; `ranks` processes share `--concurrency`."""
        self.address = server_address(options.base_url or OPENAI)
        local = is_local(self.address)
        if not key and not local:
            raise Fatal(
                f"{self.address} needs a key: set OPENAI_API_KEY in the environment or in .env"
            )
        self._key = key or _NO_KEY
        self._local = local
        self._options = options
        self.name = options.model or "the server's only model"
        self.workers = max(1, (options.concurrency or (4 if local else 8)) // ranks)
        self.origin = options.model
        self._client: Any = None
        self._closed = threading.Event()
        self._turn = threading.Lock()
        self._failures, self._answered = 0, False
        self._told = -60.0
        self._unlisted = ""  # why the server does not tell its models

    def prepare(self) -> None:
        """Finds the server and its model. Raises Fatal, with the address, if it cannot."""
        import openai

        # trust_env: a proxy from the environment must not swallow requests to this machine.
        self._client = openai.OpenAI(
            base_url=self.address,
            api_key=self._key,
            max_retries=0,
            timeout=self._options.timeout,
            http_client=openai.DefaultHttpx2Client(trust_env=not self._local),
        )
        names = self._names()
        if self.origin:
            return
        if names is None:
            raise Fatal(
                f"{self.address} does not list its models ({self._unlisted}): is the address "
                "right? Then name a model with --model"
            )
        if len(names) != 1:
            listed = ", ".join(names) or "none"
            raise Fatal(f"{self.address} offers several models; pick one with --model: {listed}")
        self.origin = names[0]
        log.info("merging with %s at %s", self.origin, self.address)

    def __call__(self, conversations: Sequence[Conversation]) -> list[Reply]:
        """One reply each. Raises Fatal for a bad key, an unknown model, a lost server."""
        return [self._ask(conversation) for conversation in conversations]

    def close(self) -> None:
        """Requests under way fail at once."""
        self._closed.set()
        if self._client is not None:
            self._client.close()

    def _ask(self, messages: Conversation) -> Reply:
        """Raises Fatal if the server fails file after file: hours of it would caption nothing."""
        try:
            reply = self._patiently(messages)
        except RuntimeError as error:
            with self._turn:
                self._failures += 1
                hopeless = self.HOPELESS_NOW if self._answered else self.HOPELESS
                if self._failures >= hopeless and not self._closed.is_set():
                    raise Fatal(f"{self._failures} files in a row got no answer: {error}") from None
            raise
        with self._turn:
            self._failures, self._answered = 0, True
        return reply

    def _patiently(self, messages: Conversation) -> Reply:
        backoff, began, unreadable, tries = 0.5, time.monotonic(), 0, 0
        while True:
            try:
                return self._request(messages)
            except _Busy as busy:
                if self._closed.is_set():
                    raise
                unreadable += isinstance(busy, _Unreadable)
                tries += 1
                if busy.seconds is not None and busy.seconds > self.PATIENCE:
                    raise Fatal(  # a quota is spent: every file would be told the same
                        f"{self.address} asks to wait {busy.seconds:.0f} s ({busy}): start again "
                        "then, what is done is kept"
                    ) from None
                pause = (
                    busy.seconds if busy.seconds is not None else backoff * random.uniform(0.5, 1)
                )
                too_long = time.monotonic() - began + pause > self.PATIENCE
                broken = busy.broken and tries == self.TRIES
                if too_long or broken or unreadable == self.READINGS:
                    raise RuntimeError(f"{self.address}: {busy}") from None
                self._tell(busy, pause)
                self._closed.wait(pause)
                backoff = min(backoff * 2, 30.0)

    def _tell(self, busy: _Busy, pause: float) -> None:
        """Not every pause of every thread: one line a minute."""
        level = logging.DEBUG
        with self._turn:
            if time.monotonic() - self._told > 60.0:
                self._told, level = time.monotonic(), logging.WARNING
        log.log(level, "%s: %s; asking again in %.1f s", self.address, busy, pause)

    def _request(self, messages: Conversation) -> Reply:
        import openai

        lost_since: float | None = None
        while True:
            try:
                return self._reply(self._answer(messages))
            except openai.APITimeoutError:
                # Not repeated: local servers may go on generating for the lost request.
                seconds = f"{self._options.timeout:g}"
                raise RuntimeError(f"no answer within --timeout {seconds} s") from None
            except openai.APIConnectionError as error:
                if self._closed.is_set():
                    raise RuntimeError("the run was stopped") from None
                lost_since = lost_since or time.monotonic()
                if time.monotonic() - lost_since > self.LOST:
                    self._names()  # raises Fatal if the server is gone, and not this answer alone
                    raise RuntimeError(f"the server breaks off: {self._masked(error)}") from None
                self._closed.wait(0.5)  # a dropped keep-alive or a server that restarts
            except openai.APIStatusError as error:
                raise self._status(error) from None
            except (ValueError, openai.APIError) as error:  # truncated JSON, an error in a 200
                raise _Unreadable(f"unreadable answer: {self._masked(error)}") from None

    def _answer(self, messages: Conversation) -> Any:
        """What the server answers. Asked in a thread of its own: closing the client does not wake
        one that waits for a slow model, and a stopped run should not wait with it."""
        answer: Future[Any] = Future()

        def ask() -> None:
            try:
                completion = self._client.chat.completions.create(
                    model=self.origin,
                    messages=list(messages),
                    temperature=self._options.temperature,
                    max_tokens=self._options.max_tokens,
                )
            except Exception as error:
                answer.set_exception(error)
            else:
                answer.set_result(completion)

        threading.Thread(target=ask, name=threading.current_thread().name, daemon=True).start()
        while not wait([answer], timeout=0.2).done:
            if self._closed.is_set():
                raise RuntimeError("the run was stopped")
        return answer.result()

    def _reply(self, answer: Any) -> Reply:
        choices = getattr(answer, "choices", None)
        if not choices:
            extra = getattr(answer, "model_extra", None) or {}
            told = extra.get("error") or (answer if isinstance(answer, str) else "no choices")
            raise _Unreadable(f"no chat completion but {self._masked(told)}")
        usage = getattr(answer, "usage", None)
        return Reply(
            text=choices[0].message.content or "",
            finish=choices[0].finish_reason,
            prompt_tokens=getattr(usage, "prompt_tokens", 0) or 0,
            completion_tokens=getattr(usage, "completion_tokens", 0) or 0,
        )

    def _names(self) -> list[str] | None:
        """The models on offer, or None if the server does not tell. Waits while one is loading."""
        import openai

        began, told = time.monotonic(), False
        while True:
            try:
                return sorted(model.id for model in self._client.models.list().data)
            except openai.APIConnectionError as error:
                raise self._unreachable(error) from None
            except openai.APIStatusError as error:
                if error.status_code in (401, 403):
                    raise self._status(error) from None
                if error.status_code != 503:
                    self._unlisted = f"HTTP {error.status_code}"
                    return None
                if time.monotonic() - began > self.LOADING:
                    raise Fatal(f"{self.address} was still loading after 5 minutes") from None
                if not told:
                    log.warning("%s is loading its model; waiting up to 5 minutes", self.address)
                    told = True
                self._closed.wait(1.0)
            except (ValueError, TypeError, AttributeError, openai.APIError):
                self._unlisted = "no list of models but something else"
                return None

    def _status(self, error: Any) -> Exception:
        """What an HTTP error means for the run."""
        code = error.status_code
        # A body that is not OpenAI's error object is told as it is.
        text = self._masked(error.message if error.body else error.response.text or error.message)
        if code in (401, 403):
            given = self._key != _NO_KEY
            key = (
                "refuses the key in OPENAI_API_KEY" if given else "wants a key: set OPENAI_API_KEY"
            )
            return Fatal(f"{self.address} {key}: {text}")
        if code == 404:
            names = self._names()
            offer = f"; it offers: {', '.join(names)}" if names else ""
            return Fatal(
                f"{self.address} knows no model {self.origin!r}, or has its chat elsewhere: "
                f"{text}{offer}"
            )
        if code in (408, 409, 429) or code >= 500:
            broken = code not in (429, 503)
            return _Busy(f"HTTP {code}: {text}", _retry_after(error.response.headers), broken)
        return RuntimeError(f"HTTP {code}: {text}")

    def _unreachable(self, error: Exception) -> Fatal:
        reason = str(error.__cause__ or error)
        return Fatal(
            f"cannot reach the LLM server at {self.address} ({reason}): start it or correct "
            "--base_url; without a server, a model merges in this process"
        )

    def _masked(self, told: object) -> str:
        text = re.sub(r"\s+", " ", str(told)).strip()
        return text.replace(self._key, "***")[:300]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None
