"""What becomes of a request to a service: when it goes, what it costs, and whether it is made again
when it fails. How it is made and read, each service says for itself.

Synchronous; the flow calls it from as many threads as the server bears.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from stages.chat.gate import Door, Gate, Shut
from stages.chat.loop import Closed
from stages.chat.place import LOADING, QUOTA, Place
from stages.chat.purse import Purse
from stages.chat.trouble import ENDING, Trouble
from stages.chat.wire import Late, Unanswered, Unreadable, Untrusted
from stages.llm import Options, Reply, TooLong
from stages.sample import Fatal

P = TypeVar("P", bound=Place)
R = TypeVar("R")  # a request


class BrokenOff(RuntimeError):
    """A connection that the server took, and closed without an answer, again and again."""


@dataclass(slots=True)
class Tries:
    """What one request has met so far."""

    seconds: float = 0.0  # that the server had it
    refused: int = 0
    broken: int = 0
    unreadable: int = 0
    lost: int = 0
    late: int = 0
    taught: int = 0


class Client(Generic[P, R]):
    """One service and model, shared by all threads of this process."""

    # Seconds: a rate limit should pass, a lost server will not come back.
    PATIENCE, LOST = 300.0, 20.0
    CROWDED = 1.0  # that all pause where the server broke under them
    TRIES = 5  # of one request that the server breaks on
    READINGS = 3  # of answers that are none
    REFUSALS = 20  # of one request, while others pass
    LESSONS = 6  # corrections that one request may teach
    HOPELESS, HOPELESS_NOW = 5, 20  # failed files in a row: of a new server, of one that answered

    def __init__(self, host: P, options: Options, gate: Gate | None, purse: Purse | None) -> None:
        """The gate of its address and the purse of the run may be shared with other clients."""
        self.host = host
        self.options = options
        self.origin = options.model  # the model that really answers
        self._gate = gate or Gate.of(options, host.local)
        self._door = Door(self._gate)
        self._purse = purse or Purse(options.max_cost, options.max_cost)
        self.workers = self._gate.most
        self._turn = threading.Lock()
        self._failures, self._answered = 0, False
        self._since: dict[str, float] = {}  # when it began to be "busy", "loading", "away"

    def close(self) -> None:
        """Requests under way fail at once."""
        self.host.close()
        self._purse.wake()
        self._door.close()

    # What each service does in its own way.

    def _weight(self, request: R) -> tuple[int, int]:
        """(tokens of a request, about; tokens that its answer may have)."""
        raise NotImplementedError

    def _send(self, request: R, seconds: float, tries: Tries) -> tuple[Mapping[str, str], Any]:
        """The headers of the answer, in lower case, and the answer. Raises Trouble for a refusal,
        Late, Unanswered, Untrusted, Closed."""
        raise NotImplementedError

    def _read(self, request: R, answer: Any) -> Reply:
        """Raises Unreadable, or Trouble for a refusal that came as an answer."""
        raise NotImplementedError

    def _learn(self, request: R, trouble: Trouble) -> bool:
        """True if a refusal teaches to put the next request otherwise."""
        return False

    def _make_room(self, request: R, reply: Reply) -> bool:
        """True if an answer left no room for a caption, and there can be more."""
        return False

    def _answers(self) -> bool:
        """True if the service answers at all, by a few words: then the trouble was with the
        files."""
        raise NotImplementedError

    # What is alike for all.

    def _counted(self, make: Callable[[], R]) -> Reply:
        """`make` makes the request anew for each try. Raises Fatal for a bad key, an unknown model,
        a lost server, a spent quota, or if the service fails file after file: hours of it would
        caption nothing; RuntimeError for what costs one file; TooLong for a full context."""
        try:
            reply = self._ask(make)
        except TooLong:
            raise
        except (Closed, Shut):
            raise RuntimeError("the run was stopped") from None
        except RuntimeError as error:
            with self._turn:
                self._failures += 1
                failures = self._failures
            most = self.HOPELESS_NOW if self._answered else self.HOPELESS
            # A few words it may answer all the same, where each file breaks it.
            broken = isinstance(error, BrokenOff) and not self._answered
            hopeless = broken and failures >= self.HOPELESS_NOW
            if not hopeless and failures % most == 0 and not self.host.stopped:
                hopeless = not self._answers()
            if hopeless:
                raise Fatal(f"{failures} files in a row got no answer: {error}") from None
            raise
        with self._turn:
            self._failures, self._answered = 0, True
        return reply

    def _ask(self, make: Callable[[], R]) -> Reply:
        tries, wasted = Tries(), Reply("", requests=0)
        while tries.seconds < self.options.deadline:
            request = make()
            try:
                reply = self._exchange(request, tries)
            except Trouble as trouble:
                self._weigh(trouble, request, tries)
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
                if tries.taught >= self.LESSONS or not self._make_room(request, reply):
                    return reply.after(wasted)
                wasted = reply.after(wasted)
                tries.taught += 1
        raise self._given_up(f"no usable answer within --deadline {self.options.deadline:g} s")

    def _exchange(self, request: R, tries: Tries) -> Reply:
        """One request through the gate. What it costs is counted, what it tells is obeyed."""
        about, longest = self._weight(request)
        worst = self.options.cost(about * 1.5, longest)
        hold = self._purse.hold(worst, lambda: self.host.stopped)
        with hold, self._door.turn(about + longest) as started:
            left = self.options.deadline - tries.seconds
            seconds = max(0.1, min(self.options.timeout, left))
            try:
                headers, answer = self._send(request, seconds, tries)
            except Late:
                self._gate.late(started)
                raise
            except Trouble as trouble:
                self._obey(trouble, started, tries)
                raise
            finally:
                tries.seconds += time.monotonic() - started
            self._gate.passed(started, headers)
            reply = self._read(request, answer)
            self._purse.pay(self.options.cost(reply.prompt_tokens, reply.completion_tokens))
            if self._since:
                self._since.clear()
            return reply

    def _obey(self, trouble: Trouble, started: float, tries: Tries) -> None:
        if trouble.kind not in ("busy", "crowded"):
            self._gate.passed(started, trouble.headers)
            return
        wait = trouble.seconds
        if wait is None and trouble.kind == "crowded":
            wait = self.CROWDED
        pause = self._gate.refused(started, trouble.headers, wait, tries.refused)
        self.host.tell("busy", f"{trouble}; all pause for {pause:.1f} s")

    def _weigh(self, trouble: Trouble, request: R, tries: Tries) -> None:
        """Returns to have the request made again; raises what ends the file or the run."""
        teaches = trouble.of_wording and tries.taught < self.LESSONS
        if teaches and self._learn(request, trouble):
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

    def _search(self, error: Unanswered, tries: Tries) -> None:
        """The connection was refused or broke: returns while the server may come back."""
        tries.lost += 1
        if tries.lost == 1 and not error.refused:
            return  # a connection that was kept alive and is not any more
        away = self._lasting("away") > max(self.LOST, self.options.server_wait)
        if away:
            self.host.models()  # raises Fatal if the server is gone, and not this answer alone
        if away or (not error.refused and tries.lost > self.TRIES):
            raise BrokenOff(str(self._given_up(f"the server breaks off: {error}")))
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
