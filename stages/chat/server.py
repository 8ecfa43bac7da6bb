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

from stages.chat.dialect import (
    Dialect,
    ErrorInside,
    Unreadable,
    limit_of,
    only_thoughts,
    read_reply,
)
from stages.chat.gate import Door, Gate, Shut
from stages.chat.host import LOADING, MERGING, QUOTA, Host, Role
from stages.chat.probe import ENDING, SMALL_TALK, Probe
from stages.chat.purse import Purse
from stages.chat.tokens import count_tokens
from stages.chat.trouble import Trouble, of_error
from stages.chat.weight import Scale, text_tokens
from stages.chat.wire import Closed, Late, Unanswered, Untrusted
from stages.llm import Conversation, Manner, Options, Reply, TooLong
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

    def __init__(
        self,
        options: Options,
        key: str,
        gate: Gate | None = None,
        purse: Purse | None = None,
        *,
        role: Role = MERGING,
        manner: Manner | None = None,
        talk: Conversation = SMALL_TALK,
    ) -> None:
        """`key` may be empty for a local server. The gate of its address and the purse of the run
        may be shared with other clients. `talk` is what it is probed with."""
        self.host = Host(options.base_url, key, role)
        self.options = options
        self.manner = manner or options.manner
        self.name = options.model or "the server's only model"
        self.origin = options.model
        self._dialect = Dialect(self.origin, self.manner)
        self._gate = gate or Gate.of(options, self.host.local)
        self._door = Door(self._gate)
        self._purse = purse or Purse(options.max_cost, options.max_cost)
        self._scale = Scale()
        self._probe = Probe(self.host, self._dialect, talk, min(60.0, options.timeout))
        self.workers = self._gate.most
        self._turn = threading.Lock()
        self._failures, self._answered = 0, False
        self._since: dict[str, float] = {}  # when it began to be "busy", "loading", "away"

    def prepare(self) -> None:
        """Finds the server and its model. Raises Fatal, with the address, if it cannot."""
        listed = self.find()
        if not self.host.local or not listed:
            # Public lists of models need no key, and lists of local servers are not complete.
            self.probe()

    def find(self) -> bool:
        """Finds the server and its model; False if it lists others. Raises Fatal as `prepare`."""
        names = self.host.models(wait=self.options.server_wait)
        if not self.origin:
            self.origin = self._dialect.model = self.host.only_model(names)
            log.info("%s with %s at %s", self.host.role.doing, self.origin, self.host.address)
        return names is None or self.origin in names

    def probe(self, talk: Conversation | None = None) -> Reply | None:
        """What it says to a few words, so that a bad key or model shows before the first file; None
        if that does not tell. Raises Fatal for what every file would meet."""
        reply = self._probe.say(talk)
        if reply:
            self._purse.pay(self.options.cost(reply.prompt_tokens, reply.completion_tokens))
        return reply

    def load(self) -> None:
        """Nothing to load."""

    def __call__(
        self,
        conversations: Sequence[Conversation],
        temperature: float | None = None,
        room: int = 1,
    ) -> list[Reply]:
        """One reply each, of up to `room` times as many tokens as its manner says. Raises Fatal for
        a bad key, an unknown model, a lost server, a quota that is spent; RuntimeError for what
        costs one file; TooLong for a full context."""
        warmth = self.manner.temperature if temperature is None else temperature
        return [self._counted(conversation, warmth, room) for conversation in conversations]

    def tokens(self, texts: Sequence[str]) -> list[int] | None:
        """By the model's own files, if they are on this machine, else by the endpoint that the
        servers of llama.cpp and vLLM have."""
        counts = count_tokens(self.origin, texts)
        return counts if counts is not None else self.host.tokens(self.origin, texts)

    def close(self) -> None:
        """Requests under way fail at once."""
        self.host.close()
        self._purse.wake()
        self._door.close()

    def _counted(self, messages: Conversation, temperature: float | None, room: int) -> Reply:
        """Raises Fatal if the server fails file after file: hours of it would caption nothing."""
        try:
            reply = self._ask(messages, temperature, room)
        except TooLong:
            raise
        except (Closed, Shut):
            raise RuntimeError("the run was stopped") from None
        except RuntimeError as error:
            with self._turn:
                self._failures += 1
                failures = self._failures
            most = self.HOPELESS_NOW if self._answered else self.HOPELESS
            if failures % most == 0 and not self.host.stopped and not self._probe.answers():
                raise Fatal(f"{failures} files in a row got no answer: {error}") from None
            raise
        with self._turn:
            self._failures, self._answered = 0, True
        return reply

    def _ask(self, messages: Conversation, temperature: float | None, room: int) -> Reply:
        tries, wasted = _Tries(), Reply("", requests=0)
        while tries.seconds < self.options.deadline:
            body = self._dialect.request(messages, temperature, room)
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
                ended = tries.seconds >= self.options.deadline
                if not ended and (self.host.local or tries.late > 1):
                    raise self._given_up(f"{error} (--timeout)") from None
            except Unanswered as error:
                self._search(error, tries)
            except Untrusted as error:
                raise self.host.fatal(self.host.masked(error)) from None
            else:
                thinking = only_thoughts(reply) and tries.taught < self.LESSONS
                if not thinking or not self._dialect.make_room(body):
                    return reply.after(wasted)
                wasted = reply.after(wasted)
                tries.taught += 1
        raise self._given_up(f"no usable answer within --deadline {self.options.deadline:g} s")

    def _exchange(self, body: Mapping[str, Any], tries: _Tries) -> Reply:
        """One request through the gate. What it costs is counted, what it tells is obeyed."""
        about, longest = self._scale.tokens(body["messages"]), limit_of(body)
        worst = self.options.cost(about * 1.5, longest)
        hold = self._purse.hold(worst, lambda: self.host.stopped)
        with hold, self._door.turn(about + longest) as started:
            left = self.options.deadline - tries.seconds
            seconds = max(0.1, min(self.options.timeout, left))
            try:
                answer = self.host.post("chat/completions", body, seconds)
            except Late:
                self._gate.late(started)
                raise
            finally:
                tries.seconds += time.monotonic() - started
            if answer.status != 200:
                trouble = self.host.trouble(answer)
                if trouble.kind in ("busy", "crowded"):
                    wait = trouble.seconds
                    if wait is None and trouble.kind == "crowded":
                        wait = self.CROWDED
                    pause = self._gate.refused(started, answer.headers, wait, tries.refused)
                    self.host.tell("busy", f"{trouble}; all pause for {pause:.1f} s")
                else:
                    self._gate.passed(started, answer.headers)
                raise trouble
            self._gate.passed(started, answer.headers)
            try:
                reply = read_reply(answer)
            except ErrorInside as error:
                raise of_error(self.host.masked(error), error.status, QUOTA) from None
            self._purse.pay(self.options.cost(reply.prompt_tokens, reply.completion_tokens))
            if self._since:
                self._since.clear()
            self._scale.learn(body["messages"], reply.prompt_tokens)
            texts = text_tokens(body["messages"])
            if 0 < reply.prompt_tokens < texts // 3 and texts > 700:
                self.host.tell(
                    "context",
                    f"read {reply.prompt_tokens} tokens of a prompt of about {texts}: is its "
                    "context too small? (Ollama: OLLAMA_CONTEXT_LENGTH)",
                )
            return reply

    def _weigh(self, trouble: Trouble, body: Mapping[str, Any], tries: _Tries) -> None:
        """Returns to have the request made again; raises what ends the file or the run."""
        teaches = trouble.of_wording and tries.taught < self.LESSONS
        if teaches and self._dialect.learn(body, str(trouble)):
            tries.taught += 1
            return
        # A model that answered before is there, and sees.
        known = self._answered and trouble.status != 404 and trouble.kind in ("model", "blind")
        if trouble.kind in ENDING and not known:
            raise self.host.end(trouble, self.origin)
        match trouble.kind:
            case "long":
                raise TooLong(f"{self.host.address}: {trouble}")
            case "loading":
                self.host.tell("loading", "is loading its model; waiting up to 5 minutes")
                if self._lasting("loading") > LOADING:
                    raise self.host.fatal("was still loading after 5 minutes")
                self._gate.rest(1.0)
            case "busy":
                tries.refused += 1
                if self._lasting("busy") > self.PATIENCE:
                    raise self.host.fatal(
                        f"{trouble}: every request for {self.PATIENCE / 60:.0f} minutes; start "
                        "again later, what is done is kept"
                    )
                if tries.refused >= self.REFUSALS and self._lasting("busy") < 1.0:
                    raise self._given_up(trouble)  # others pass
            case "broken" | "crowded":
                tries.broken += 1
                if tries.broken == self.TRIES:
                    raise self._given_up(trouble)
                self.host.tell("broken", f"{trouble}; asking again")
                self._back_off(tries.broken, trouble.seconds)
            case _:
                raise self._given_up(trouble)

    def _search(self, error: Unanswered, tries: _Tries) -> None:
        """The connection was refused or broke: returns while the server may come back."""
        tries.lost += 1
        if tries.lost == 1 and not error.refused:
            return  # a connection that was kept alive and is not any more
        away = self._lasting("away") > max(self.LOST, self.options.server_wait)
        if away:
            self.host.models()  # raises Fatal if the server is gone, and not this answer alone
        if away or (not error.refused and tries.lost > self.TRIES):
            raise self._given_up(f"the server breaks off: {error}")
        self.host.tell("away", f"{self.host.masked(error)}; waiting for it")
        self._gate.rest(0.5)

    def _given_up(self, why: object) -> RuntimeError:
        return RuntimeError(f"{self.host.address}: {self.host.masked(why)}")

    def _lasting(self, what: str) -> float:
        """Seconds since the server became so, and answered nobody since."""
        now = time.monotonic()
        return now - self._since.setdefault(what, now)

    def _back_off(self, times: int, seconds: float | None = None) -> None:
        if seconds is None:
            seconds = min(0.25 * 2**times, 30.0) * random.uniform(0.5, 1.0)
        self.host.pause(min(seconds, QUOTA))
