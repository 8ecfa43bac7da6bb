"""The chat client: any server that speaks OpenAI's chat completions.

Synchronous; the flow calls it from as many threads as the server bears. Here it is decided what
becomes of a request that fails; `gate` says when the next may go, `dialect` how it is put.
"""

from __future__ import annotations

import ipaddress
import logging
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from stages.chat import gate
from stages.chat.dialect import Dialect, ErrorInside, Unreadable, read_reply
from stages.chat.purse import Purse
from stages.chat.trouble import Trouble, of_answer, of_error
from stages.chat.wire import Answer, Closed, Late, Unanswered, Untrusted, Wire
from stages.llm import Conversation, Options, Reply, TooLong
from stages.sample import Fatal

log = logging.getLogger(__name__)

OPENAI = "https://api.openai.com/v1"
_NO_KEY = "none-needed"


def server_address(url: str) -> str:
    """The base URL of the API, from what people paste."""
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


@dataclass(slots=True)
class _Tries:
    """What one conversation has met so far."""

    seconds: float = 0.0  # that the server had it
    refused: int = 0
    broken: int = 0
    unreadable: int = 0
    lost: int = 0
    late: int = 0
    taught: int = 0


class Server:
    """One server and model, shared by all threads of this process."""

    batch_size = 1
    # Seconds: a model may take minutes to load, a rate limit should pass, a lost server will not.
    LOADING, PATIENCE, LOST = 300.0, 300.0, 20.0
    QUOTA = 120.0  # a longer wait that the server asks for is a quota that is spent
    TRIES = 5  # of one request that the server breaks on
    READINGS = 3  # of answers that are none
    REFUSALS = 20  # of one request, while others pass
    LESSONS = 6  # corrections that one request may teach
    HOPELESS, HOPELESS_NOW = 5, 20  # failed files in a row: of a new server, of one that answered

    def __init__(self, options: Options, key: str, ranks: int = 1) -> None:
        """`key` may be empty for a local server; `ranks` processes share every ceiling."""
        self.address = server_address(options.base_url or OPENAI)
        self._local = is_local(self.address)
        if not key and not self._local:
            raise Fatal(
                f"{self.address} needs a key: set OPENAI_API_KEY in the environment or in .env"
            )
        self._key = key or _NO_KEY
        self._options = options
        self.name = options.model or "the server's only model"
        self.workers = max(1, (options.concurrency or gate.MOST) // ranks)
        self.origin = options.model
        self._dialect = Dialect(self.origin, options)
        self._wire = Wire(
            self.address, {"authorization": f"Bearer {self._key}"}, proxies=not self._local
        )
        self._gate = gate.Gate(
            start=max(1, (4 if self._local else 8) // ranks),
            most=self.workers,
            ranks=ranks,
            rpm=options.rpm,
            tpm=options.tpm,
            timeout=options.timeout,
        )
        self._purse = Purse(options.max_cost / ranks, options.max_cost)
        self._closed = threading.Event()
        self._turn = threading.Lock()
        self._failures, self._answered = 0, False
        self._since: dict[str, float] = {}  # when it began to be "busy", "loading", "away"
        self._told: dict[str, float] = {}
        self._unlisted = ""  # why the server does not tell its models

    def prepare(self) -> None:
        """Finds the server and its model. Raises Fatal, with the address, if it cannot."""
        names = self._names(wait=self._options.server_wait)
        if not self.origin:
            self.origin = self._only(names)
            self._dialect = Dialect(self.origin, self._options)
            log.info("merging with %s at %s", self.origin, self.address)
        if not self._local or (names is not None and self.origin not in names):
            # Public lists of models need no key, and lists of local servers are not complete.
            self._probe()

    def __call__(
        self, conversations: Sequence[Conversation], temperature: float | None = None
    ) -> list[Reply]:
        """One reply each. Raises Fatal for a bad key, an unknown model, a lost server, a quota
        that is spent; RuntimeError for what costs one file; TooLong for a full context."""
        warmth = self._options.temperature if temperature is None else temperature
        return [self._counted(conversation, warmth) for conversation in conversations]

    def tokens(self, texts: Sequence[str]) -> list[int] | None:
        """By the tokenizer of llama.cpp's server or vLLM, which have an endpoint for it."""
        if not self._local:
            return None
        counts = []
        try:
            for text in texts:
                asked = {"model": self.origin, "prompt": text, "content": text}
                data = self._wire.post("/tokenize", asked, 5.0).json()
                counts.append(int(data.get("count") or len(data["tokens"])))
        except (Unanswered, Untrusted, Closed, ValueError, KeyError, TypeError, AttributeError):
            return None
        return counts

    def close(self) -> None:
        """Requests under way fail at once."""
        self._closed.set()
        self._purse.close()
        self._gate.close()
        self._wire.close()

    def _counted(self, messages: Conversation, temperature: float) -> Reply:
        """Raises Fatal if the server fails file after file: hours of it would caption nothing."""
        try:
            reply = self._ask(messages, temperature)
        except TooLong:
            raise
        except (Closed, gate.Shut):
            raise RuntimeError("the run was stopped") from None
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

    def _ask(self, messages: Conversation, temperature: float) -> Reply:
        tries = _Tries()
        while True:
            body = self._dialect.request(messages, temperature)
            try:
                reply = self._exchange(body, tries)
            except Trouble as trouble:
                self._weigh(trouble, body, tries)
            except Unreadable as error:
                tries.unreadable += 1
                if tries.unreadable == self.READINGS:
                    said = self._masked(error)
                    raise RuntimeError(f"{self.address}: unreadable answer: {said}") from None
                self._pause(tries.unreadable)
            except Late as error:
                # A local server may go on generating for the lost request: never twice.
                tries.late += 1
                if self._local or tries.late > 1:
                    raise RuntimeError(f"{self.address}: {error} (--timeout)") from None
            except Unanswered as error:
                self._search(error, tries)
            except Untrusted as error:
                raise Fatal(f"{self.address}: {self._masked(error)}") from None
            else:
                thinking = _only_thoughts(reply) and tries.taught < self.LESSONS
                if not thinking or not self._dialect.make_room(body):
                    return reply
                tries.taught += 1
            if tries.seconds > self._options.deadline:
                raise RuntimeError(
                    f"{self.address}: no usable answer within --deadline "
                    f"{self._options.deadline:g} s"
                )

    def _exchange(self, body: Mapping[str, Any], tries: _Tries) -> Reply:
        """One request through the gate. What it costs is counted, what it tells is obeyed."""
        about = sum(len(message["content"]) for message in body["messages"]) // 4
        worst = self._options.cost(about * 1.5, self._dialect.longest)
        with self._purse.hold(worst), self._gate.turn(about + self._dialect.longest) as started:
            left = self._options.deadline - tries.seconds
            try:
                answer = self._wire.post(
                    "chat/completions", body, max(0.1, min(self._options.timeout, left))
                )
            except Late:
                self._gate.late(started)
                raise
            finally:
                tries.seconds += time.monotonic() - started
            if answer.status != 200:
                trouble = self._trouble(answer)
                if trouble.kind in ("busy", "crowded"):
                    pause = self._gate.refused(
                        started, answer.headers, trouble.seconds, tries.refused
                    )
                    self._tell("busy", f"{self._masked(trouble)}; all pause for {pause:.1f} s")
                else:
                    self._gate.passed(started, answer.headers)
                raise trouble
            self._gate.passed(started, answer.headers)
            try:
                reply = read_reply(answer)
            except ErrorInside as error:
                raise of_error(self._masked(error), error.status, self.QUOTA) from None
            self._purse.pay(self._options.cost(reply.prompt_tokens, reply.completion_tokens))
            if self._since:
                self._since.clear()
            if 0 < reply.prompt_tokens < about // 3 and about > 700:
                self._tell(
                    "context",
                    f"read {reply.prompt_tokens} tokens of a prompt of about {about}: is its "
                    "context too small? (Ollama: OLLAMA_CONTEXT_LENGTH)",
                )
            return reply

    def _weigh(self, trouble: Trouble, body: Mapping[str, Any], tries: _Tries) -> None:
        """Returns to have the request made again; raises what ends the file or the run."""
        told = f"{self.address}: {self._masked(trouble)}"
        client_error = 400 <= trouble.status < 500 or trouble.status == 500
        teachable = client_error and trouble.kind not in ("busy", "spent", "key")
        if teachable and tries.taught < self.LESSONS and self._dialect.learn(body, str(trouble)):
            tries.taught += 1
            return
        match trouble.kind:
            case "key":
                raise Fatal(f"{self.address} {self._about_key()}: {self._masked(trouble)}")
            case "model" if trouble.status == 404 or not self._answered:
                raise self._unknown_model(trouble)
            case "address":
                raise Fatal(told)
            case "spent":
                when = f" in {trouble.seconds:.0f} s" if trouble.seconds else " when it is renewed"
                raise Fatal(f"{told}: start again{when}, what is done is kept")
            case "long":
                raise TooLong(told)
            case "loading":
                self._tell("loading", "is loading its model; waiting up to 5 minutes")
                if self._lasting("loading") > self.LOADING:
                    raise Fatal(f"{self.address} was still loading after 5 minutes")
                self._gate.rest(1.0)
            case "busy":
                tries.refused += 1
                if self._lasting("busy") > self.PATIENCE:
                    raise Fatal(
                        f"{told}: every request for {self.PATIENCE / 60:.0f} minutes; start again "
                        "later, what is done is kept"
                    )
                if tries.refused == self.REFUSALS and "busy" not in self._since:
                    raise RuntimeError(told)
            case "broken" | "crowded":
                tries.broken += 1
                if tries.broken == self.TRIES:
                    raise RuntimeError(told)
                self._tell("broken", f"{self._masked(trouble)}; asking again")
                self._pause(tries.broken, trouble.seconds)
            case _:
                raise RuntimeError(told)

    def _search(self, error: Unanswered, tries: _Tries) -> None:
        """The connection was refused or broke: returns while the server may come back."""
        tries.lost += 1
        if tries.lost == 1 and not error.refused:
            return  # a connection that was kept alive and is not any more
        away = self._lasting("away")
        if away > max(self.LOST, self._options.server_wait):
            self._names()  # raises Fatal if the server is gone, and not this answer alone
            raise RuntimeError(f"the server breaks off: {self._masked(error)}")
        if not error.refused and tries.lost > self.TRIES:
            raise RuntimeError(f"the server breaks off: {self._masked(error)}")
        self._tell("away", f"{self._masked(error)}; waiting for it")
        self._gate.rest(0.5)

    def _names(self, wait: float = 0.0) -> list[str] | None:
        """The models on offer, or None if the server does not tell. Waits while one is loading,
        and `wait` seconds for the server itself."""
        began = time.monotonic()
        while True:
            if self._closed.is_set():
                raise RuntimeError("the run was stopped")
            waited = time.monotonic() - began
            try:
                answer = self._wire.get("models", min(30.0, self._options.timeout))
            except Untrusted as error:
                raise Fatal(f"{self.address}: {self._masked(error)}") from None
            except Late:
                self._unlisted = "no answer"
                return None
            except Unanswered as error:
                if waited >= wait:
                    raise self._unreachable(error) from None
                self._tell("away", f"{self._masked(error)}; waiting for it up to {wait:g} s")
                self._closed.wait(0.5)
                continue
            if answer.status == 200:
                return self._listed(answer)
            trouble = self._trouble(answer)
            if trouble.kind == "key":
                raise Fatal(f"{self.address} {self._about_key()}: {self._masked(trouble)}")
            if trouble.kind == "address":
                raise Fatal(f"{self.address}: {self._masked(trouble)}")
            if answer.status != 503:
                self._unlisted = f"HTTP {answer.status}"
                return None
            if waited > self.LOADING:
                raise Fatal(f"{self.address} was still loading after 5 minutes")
            self._tell("loading", "is loading its model; waiting up to 5 minutes")
            self._closed.wait(1.0)

    def _listed(self, answer: Answer) -> list[str] | None:
        try:
            return sorted(str(model["id"]) for model in answer.json()["data"])
        except (ValueError, TypeError, KeyError):
            self._unlisted = "no list of models but something else"
            return None

    def _only(self, names: list[str] | None) -> str:
        if names is None:
            raise Fatal(
                f"{self.address} does not list its models ({self._unlisted}): is the address "
                "right? Then name a model with --model"
            )
        if len(names) != 1:
            listed = ", ".join(names) or "none"
            raise Fatal(f"{self.address} offers several models; pick one with --model: {listed}")
        return names[0]

    def _probe(self) -> None:
        """A few tokens, so that a bad key or model shows before the first draft is made."""
        body = self._dialect.request([{"role": "user", "content": "Say yes."}], 0.0)
        limit = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
        try:
            answer = self._wire.post("chat/completions", {**body, limit: 16}, 60.0)
        except (Unanswered, Untrusted):
            return  # told by the first real request, if it lasts
        if answer.status == 200:
            return
        trouble = self._trouble(answer)
        if trouble.kind in ("key", "model", "spent", "address"):
            learned = self._dialect.learn(body, str(trouble))
            if not learned:
                self._weigh(trouble, body, _Tries(taught=self.LESSONS))

    def _unknown_model(self, trouble: Trouble) -> Fatal:
        names = self._names()
        offer = f"; it offers: {', '.join(names)}" if names else ""
        return Fatal(
            f"{self.address} knows no model {self.origin!r}, or has its chat elsewhere: "
            f"{self._masked(trouble)}{offer}"
        )

    def _about_key(self) -> str:
        given = self._key != _NO_KEY
        return "refuses the key in OPENAI_API_KEY" if given else "wants a key: set OPENAI_API_KEY"

    def _unreachable(self, error: Exception) -> Fatal:
        return Fatal(
            f"cannot reach the LLM server at {self.address} ({self._masked(error)}): start it or "
            "correct --base_url (--server_wait waits for one that starts); without a server, a "
            "model merges in this process"
        )

    def _lasting(self, what: str) -> float:
        """Seconds since the server became so, and answered nobody since."""
        now = time.monotonic()
        return now - self._since.setdefault(what, now)

    def _pause(self, times: int, seconds: float | None = None) -> None:
        if seconds is None:
            seconds = min(0.25 * 2**times, 30.0) * random.uniform(0.5, 1.0)
        self._closed.wait(min(seconds, self.QUOTA))
        if self._closed.is_set():
            raise Closed

    def _tell(self, what: str, message: str) -> None:
        """Not every pause of every thread: one line a minute."""
        level = logging.DEBUG
        with self._turn:
            if time.monotonic() - self._told.get(what, -60.0) >= 60.0:
                self._told[what], level = time.monotonic(), logging.WARNING
        log.log(level, "%s: %s", self.address, message)

    def _trouble(self, answer: Answer) -> Trouble:
        """Of an answer that is no success, which may repeat the key."""
        body = answer.body.replace(self._key.encode(), b"***")
        return of_answer(Answer(answer.status, answer.headers, body), self.QUOTA)

    def _masked(self, told: object) -> str:
        return " ".join(str(told).split()).replace(self._key, "***")[:400]


def _only_thoughts(reply: Reply) -> bool:
    """True for an answer that reasoning left no room for: retried with more, never used."""
    if "<think" in reply.text and "</think" not in reply.text:
        return True
    return not reply.text.strip() and (reply.thought or reply.finish == "length")
