"""The chat client: any server that speaks OpenAI's chat completions.

Synchronous; the flow calls it from as many threads as the server bears. Here it is decided what
becomes of a request that fails; `gate` says when the next may go, `dialect` how it is put.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.chat import gate
from stages.chat.dialect import Dialect, ErrorInside, Unreadable, read_reply
from stages.chat.host import LOADING, QUOTA, Host
from stages.chat.purse import Purse
from stages.chat.tokens import count_tokens
from stages.chat.trouble import Trouble, of_error
from stages.chat.wire import Answer, Closed, Late, Unanswered, Untrusted
from stages.llm import Conversation, Options, Reply, TooLong
from stages.sample import Fatal

log = logging.getLogger(__name__)


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
    # Seconds: a rate limit should pass, a lost server will not come back.
    PATIENCE, LOST = 300.0, 20.0
    CROWDED = 1.0  # that all pause where the server broke under them
    TRIES = 5  # of one request that the server breaks on
    READINGS = 3  # of answers that are none
    REFUSALS = 20  # of one request, while others pass
    LESSONS = 6  # corrections that one request may teach
    HOPELESS, HOPELESS_NOW = 5, 20  # failed files in a row: of a new server, of one that answered

    def __init__(self, options: Options, key: str, ranks: int = 1) -> None:
        """`key` may be empty for a local server; `ranks` processes share every ceiling."""
        if options.max_cost and not (options.price_in or options.price_out):
            raise Fatal("--max_cost: say what tokens cost, --price_in and --price_out", 2)
        self._host = Host(options.base_url, key)
        self._options = options
        self.name = options.model or "the server's only model"
        self.workers = max(1, (options.concurrency or gate.MOST) // ranks)
        self.origin = options.model
        self._dialect = Dialect(self.origin, options)
        self._gate = gate.Gate(
            start=max(1, (4 if self._host.local else 8) // ranks),
            most=self.workers,
            ranks=ranks,
            rpm=options.rpm,
            tpm=options.tpm,
            timeout=options.timeout,
        )
        self._purse = Purse(options.max_cost / ranks, options.max_cost)
        self._turn = threading.Lock()
        self._failures, self._answered = 0, False
        self._since: dict[str, float] = {}  # when it began to be "busy", "loading", "away"

    def prepare(self) -> None:
        """Finds the server and its model. Raises Fatal, with the address, if it cannot."""
        names = self._host.models(wait=self._options.server_wait)
        if not self.origin:
            self.origin = self._host.only_model(names)
            self._dialect = Dialect(self.origin, self._options)
            log.info("merging with %s at %s", self.origin, self._host.address)
        if not self._host.local or (names is not None and self.origin not in names):
            # Public lists of models need no key, and lists of local servers are not complete.
            self._probe()

    def load(self) -> None:
        """Nothing to load."""

    def __call__(
        self, conversations: Sequence[Conversation], temperature: float | None = None
    ) -> list[Reply]:
        """One reply each. Raises Fatal for a bad key, an unknown model, a lost server, a quota
        that is spent; RuntimeError for what costs one file; TooLong for a full context."""
        warmth = self._options.merge_temperature if temperature is None else temperature
        return [self._counted(conversation, warmth) for conversation in conversations]

    def tokens(self, texts: Sequence[str]) -> list[int] | None:
        """By the model's own files, if they are on this machine, else by the endpoint that the
        servers of llama.cpp and vLLM have."""
        counts = count_tokens(self.origin, texts)
        if counts is not None or not self._host.local:
            return counts
        counts = []
        try:
            for text in texts:
                asked = {"model": self.origin, "prompt": text, "content": text}
                data = self._host.post("/tokenize", asked, 5.0).json()
                counts.append(int(data.get("count") or len(data["tokens"])))
        except (Unanswered, Untrusted, Closed, ValueError, KeyError, TypeError, AttributeError):
            return None
        return counts

    def close(self) -> None:
        """Requests under way fail at once."""
        self._host.close()
        self._purse.close()
        self._gate.close()

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
                failures = self._failures
            most = self.HOPELESS_NOW if self._answered else self.HOPELESS
            if failures % most == 0 and not self._host.stopped and not self._answers():
                raise Fatal(f"{failures} files in a row got no answer: {error}") from None
            raise
        with self._turn:
            self._failures, self._answered = 0, True
        return reply

    def _ask(self, messages: Conversation, temperature: float) -> Reply:
        tries, wasted = _Tries(), Reply("", requests=0)
        while tries.seconds < self._options.deadline:
            body = self._dialect.request(messages, temperature)
            try:
                reply = self._exchange(body, tries)
            except Trouble as trouble:
                self._weigh(trouble, body, tries)
            except Unreadable as error:
                tries.unreadable += 1
                if tries.unreadable == self.READINGS:
                    raise self._given_up(f"unreadable answer: {error}") from None
                self._back_off(tries.unreadable)
            except Late as error:
                # A local server may go on generating for the lost request: never twice.
                tries.late += 1
                ended = tries.seconds >= self._options.deadline
                if not ended and (self._host.local or tries.late > 1):
                    raise self._given_up(f"{error} (--timeout)") from None
            except Unanswered as error:
                self._search(error, tries)
            except Untrusted as error:
                raise self._host.fatal(self._host.masked(error)) from None
            else:
                thinking = _only_thoughts(reply) and tries.taught < self.LESSONS
                if not thinking or not self._dialect.make_room(body):
                    return reply.after(wasted)
                wasted = reply.after(wasted)
                tries.taught += 1
        raise self._given_up(f"no usable answer within --deadline {self._options.deadline:g} s")

    def _exchange(self, body: Mapping[str, Any], tries: _Tries) -> Reply:
        """One request through the gate. What it costs is counted, what it tells is obeyed."""
        about = sum(len(message["content"]) for message in body["messages"]) // 4
        longest = self._dialect.longest
        worst = self._options.cost(about * 1.5, longest)
        with self._purse.hold(worst), self._gate.turn(about + longest) as started:
            left = self._options.deadline - tries.seconds
            seconds = max(0.1, min(self._options.timeout, left))
            try:
                answer = self._host.post("chat/completions", body, seconds)
            except Late:
                self._gate.late(started)
                raise
            finally:
                tries.seconds += time.monotonic() - started
            if answer.status != 200:
                trouble = self._host.trouble(answer)
                if trouble.kind in ("busy", "crowded"):
                    wait = trouble.seconds
                    if wait is None and trouble.kind == "crowded":
                        wait = self.CROWDED
                    pause = self._gate.refused(started, answer.headers, wait, tries.refused)
                    self._host.tell("busy", f"{trouble}; all pause for {pause:.1f} s")
                else:
                    self._gate.passed(started, answer.headers)
                raise trouble
            self._gate.passed(started, answer.headers)
            try:
                reply = read_reply(answer)
            except ErrorInside as error:
                raise of_error(self._host.masked(error), error.status, QUOTA) from None
            self._purse.pay(self._options.cost(reply.prompt_tokens, reply.completion_tokens))
            if self._since:
                self._since.clear()
            if 0 < reply.prompt_tokens < about // 3 and about > 700:
                self._host.tell(
                    "context",
                    f"read {reply.prompt_tokens} tokens of a prompt of about {about}: is its "
                    "context too small? (Ollama: OLLAMA_CONTEXT_LENGTH)",
                )
            return reply

    def _weigh(self, trouble: Trouble, body: Mapping[str, Any], tries: _Tries) -> None:
        """Returns to have the request made again; raises what ends the file or the run."""
        if (
            (400 <= trouble.status < 500 or trouble.status == 500)
            and trouble.kind not in ("busy", "spent", "key")
            and tries.taught < self.LESSONS
            and self._dialect.learn(body, str(trouble))
        ):
            tries.taught += 1
            return
        match trouble.kind:
            case "key":
                raise self._host.refused_key(trouble)
            case "model" if trouble.status == 404 or not self._answered:
                raise self._host.unknown_model(self.origin, trouble)
            case "address":
                raise self._host.fatal(str(trouble))
            case "spent":
                when = f"in {trouble.seconds:.0f} s" if trouble.seconds else "when it is renewed"
                raise self._host.fatal(f"{trouble}: start again {when}, what is done is kept")
            case "long":
                raise TooLong(f"{self._host.address}: {trouble}")
            case "loading":
                self._host.tell("loading", "is loading its model; waiting up to 5 minutes")
                if self._lasting("loading") > LOADING:
                    raise self._host.fatal("was still loading after 5 minutes")
                self._gate.rest(1.0)
            case "busy":
                tries.refused += 1
                if self._lasting("busy") > self.PATIENCE:
                    raise self._host.fatal(
                        f"{trouble}: every request for {self.PATIENCE / 60:.0f} minutes; start "
                        "again later, what is done is kept"
                    )
                if tries.refused >= self.REFUSALS and self._lasting("busy") < 1.0:
                    raise self._given_up(trouble)  # others pass
            case "broken" | "crowded":
                tries.broken += 1
                if tries.broken == self.TRIES:
                    raise self._given_up(trouble)
                self._host.tell("broken", f"{trouble}; asking again")
                self._back_off(tries.broken, trouble.seconds)
            case _:
                raise self._given_up(trouble)

    def _search(self, error: Unanswered, tries: _Tries) -> None:
        """The connection was refused or broke: returns while the server may come back."""
        tries.lost += 1
        if tries.lost == 1 and not error.refused:
            return  # a connection that was kept alive and is not any more
        away = self._lasting("away") > max(self.LOST, self._options.server_wait)
        if away:
            self._host.models()  # raises Fatal if the server is gone, and not this answer alone
        if away or (not error.refused and tries.lost > self.TRIES):
            raise self._given_up(f"the server breaks off: {error}")
        self._host.tell("away", f"{self._host.masked(error)}; waiting for it")
        self._gate.rest(0.5)

    def _probe(self) -> None:
        """A few tokens, so that a bad key or model shows before the first draft is made."""
        try:
            body, answer = self._small_talk()
        except (Unanswered, Untrusted):
            return  # told by the first real request, if it lasts
        trouble = self._host.trouble(answer) if answer.status != 200 else None
        if trouble and trouble.kind in ("key", "model", "spent", "address"):
            self._weigh(trouble, body, _Tries())

    def _answers(self) -> bool:
        """True if the server answers at all: then the trouble was with the files."""
        try:
            _, answer = self._small_talk()
            return answer.status == 200 and bool(read_reply(answer))
        except (Unanswered, Untrusted, Closed, Unreadable, ErrorInside):
            return False

    def _small_talk(self) -> tuple[dict[str, Any], Answer]:
        body = self._dialect.request([{"role": "user", "content": "Say yes."}], 0.0)
        limit = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
        seconds = min(60.0, self._options.timeout)
        return body, self._host.post("chat/completions", {**body, limit: 16}, seconds)

    def _given_up(self, why: object) -> RuntimeError:
        return RuntimeError(f"{self._host.address}: {self._host.masked(why)}")

    def _lasting(self, what: str) -> float:
        """Seconds since the server became so, and answered nobody since."""
        now = time.monotonic()
        return now - self._since.setdefault(what, now)

    def _back_off(self, times: int, seconds: float | None = None) -> None:
        if seconds is None:
            seconds = min(0.25 * 2**times, 30.0) * random.uniform(0.5, 1.0)
        self._host.pause(min(seconds, QUOTA))


def _only_thoughts(reply: Reply) -> bool:
    """True for an answer that reasoning left no room for: asked with more room, never used."""
    if "<think" in reply.text and "</think" not in reply.text:
        return True
    return not reply.text.strip() and (reply.thought or reply.finish == "length")
