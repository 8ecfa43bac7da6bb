"""One gate before one server: how many requests may be under way, and when the next may go.

All threads of a process pass it, whether they draft or merge there: each client of the server has a
door of its own. The number under way grows while that makes answers come faster,
shrinks when the server says that it is too much, and one pause holds all. Requests and tokens go
through buckets that fill at a known rate: given by the user, told in `x-ratelimit-*`, or learned
from refusals. Ranks of one run have a gate each, with their share of every ceiling.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from stages.chat.trial import Trial
from stages.chat.trouble import span_of
from stages.llm import Options

MOST = 64  # more threads were never faster
_LATE = 4  # answers that take a quarter of the time-out: more at once would run into it
_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_HASTY = 8  # times that one request comes back as soon as it is told
_SAFE = 0.95  # of a rate that was learned by passing it
_REGAINED, _WARY = 0.005, 20.0  # of it, a second; ten times so fast that long after a refusal


class Bucket:
    """So many a minute. Not locked: the gate does that."""

    def __init__(self, rate: float, size: float, now: float, empty: bool = False) -> None:
        """`rate` a second, at most `size` at once."""
        self.rate, self.size = rate, size
        self._held, self._at = 0.0 if empty else size, now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much may go; more than the bucket holds may go when it is full."""
        self._fill(now)
        missing = min(amount, self.size) - self._held
        if missing <= 0:
            return 0.0
        return missing / self.rate if self.rate > 0 else 1.0

    def take(self, amount: float, now: float) -> None:
        self._fill(now)
        self._held -= amount

    def hold(self, most: float, now: float) -> None:
        """The server says that no more than so much is left."""
        self._fill(now)
        self._held = min(self._held, most)

    def _fill(self, now: float) -> None:
        self._held = min(self.size, self._held + self.rate * (now - self._at))
        self._at = now


class Gate:
    """What lets the requests of one process to one server pass."""

    def __init__(
        self,
        *,
        start: int,
        most: int,
        ranks: int = 1,
        rpm: float = 0.0,
        tpm: float = 0.0,
        timeout: float = 300.0,
    ) -> None:
        """`start` and `most` requests at once in this process; `rpm` and `tpm` for all ranks: of
        requests, and of tokens with all that an answer may have, as most servers count them."""
        now = time.monotonic()
        self._most = max(1, most)
        self.limit = max(1, min(start, self._most))
        self._ranks = ranks
        self._late = timeout / _LATE
        self._under_way = 0
        self._not_before = now
        self._pause = _PAUSE
        self._cut_at = now
        self._trial = Trial(self.limit, now)
        self._buckets: dict[str, Bucket] = {}
        # A second's worth at once: servers count a minute in their own ways.
        if rpm:
            rate = rpm / 60 / ranks
            self._buckets["rpm"] = Bucket(rate, max(1.0, rate), now)
        if tpm:
            rate = tpm / 60 / ranks
            self._buckets["tpm"] = Bucket(rate, rate * 10, now)
        self._regained_at = now
        self._answered: deque[float] = deque(maxlen=4096)  # when, of those within a minute
        self._room = threading.Condition()  # where one thread of each client waits

    @classmethod
    def of(cls, options: Options, local: bool, ranks: int = 1) -> Gate:
        """One for a server, by the ceilings that are set; `ranks` processes share them."""
        return cls(
            start=max(1, (4 if local else 8) // ranks),
            most=max(1, (options.concurrency or MOST) // ranks),
            ranks=ranks,
            rpm=options.rpm,
            tpm=options.tpm,
            timeout=options.timeout,
        )

    @property
    def most(self) -> int:
        """Requests that may ever be under way at once."""
        return self._most

    def enter(self, tokens: int, closed: Callable[[], bool]) -> float:
        """Waits until a request of so many tokens may go, and tells when it went. Raises Shut once
        the client is closed."""
        with self._room:
            while not closed() and (pause := self._wait(tokens)) > 0:
                self._room.wait(None if pause == float("inf") else pause)
            if closed():
                raise Shut
            now = time.monotonic()
            self._under_way += 1
            for name, bucket in self._buckets.items():
                bucket.take(tokens if _counts_tokens(name) else 1, now)
            return now

    def leave(self) -> None:
        """A request has ended, however."""
        with self._room:
            self._under_way -= 1
            self._room.notify_all()

    def wake(self) -> None:
        """Whoever waits looks again whether it is closed."""
        with self._room:
            self._room.notify_all()

    def passed(self, started: float, headers: Mapping[str, str]) -> None:
        """An answer came, whatever it said: the server is not too busy for us."""
        with self._room:
            now = time.monotonic()
            self._pause = _PAUSE
            self._answered.append(now)
            self._obey(headers, now)
            if "learned" in self._buckets:  # it may have been learned in a bad minute
                slowly = now - self._cut_at < _WARY
                gain = (_REGAINED if slowly else 10 * _REGAINED) * (now - self._regained_at)
                self._buckets["learned"].rate *= 1 + gain
                self._regained_at = now
            slow = now - started > self._late
            if self._trial.answered(now):
                self.limit = self._trial.next(now, self._most, hold=slow)
                self._room.notify_all()

    def refused(
        self, started: float, headers: Mapping[str, str], seconds: float | None, times: int
    ) -> float:
        """The server is too busy: all pause for `seconds`, or longer each time if it does not say.
        How long, in seconds. `times`: how often it refused this request before."""
        with self._room:
            now = time.monotonic()
            told = self._obey(headers, now)
            if started >= self._cut_at:  # once for all that were sent together
                self._cut_at = now
                self.limit = self._trial.cut(now)
                if not told and seconds != 0 and "rpm" not in self._buckets:
                    self._learn(now)
                if seconds is None:
                    self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            pause = self._pause / 2 * random.uniform(0.5, 1.0) if seconds is None else seconds
            if times > _HASTY:  # "come back at once", again and again
                pause = max(pause, min(0.1 * 2 ** (times - _HASTY), 5.0))
            # Not all ranks in the same instant.
            pause += random.uniform(0, 0.1) * (self._ranks > 1)
            self._not_before = max(self._not_before, now + pause)
            return pause

    def rest(self, seconds: float) -> None:
        """All pause: the server is away or loads its model."""
        with self._room:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def late(self, started: float) -> None:
        """A request ran into its time limit: fewer at once, they may have queued behind us."""
        with self._room:
            if started >= self._cut_at:
                self._cut_at = time.monotonic()
                self.limit = self._trial.cut(self._cut_at)

    def _wait(self, tokens: int) -> float:
        """Seconds until a request may go; infinity: until another one ends."""
        if self._under_way >= self.limit:
            return float("inf")
        now = time.monotonic()
        waits = [self._not_before - now]
        for name, bucket in self._buckets.items():
            waits.append(bucket.wait(tokens if _counts_tokens(name) else 1, now))
        return max(waits)

    def _obey(self, headers: Mapping[str, str], now: float) -> bool:
        """What `x-ratelimit-*` tell of requests and tokens: the limit, what is left, and when all
        of it is there again. True if they told anything."""
        told = False
        for what in ("requests", "tokens"):
            limit = _plain(headers.get(f"x-ratelimit-limit-{what}"))
            left = _plain(headers.get(f"x-ratelimit-remaining-{what}"))
            reset = span_of(headers.get(f"x-ratelimit-reset-{what}", ""))
            if limit is None or left is None or limit <= 0:
                continue
            told = True
            self._buckets.pop("learned", None)
            bucket = self._buckets.get(f"told {what}")
            if bucket is None:
                size = limit / self._ranks
                # A minute to fill is what most mean; the spent part and its time tell it exactly.
                bucket = Bucket(size / 60, size, now)
                self._buckets[f"told {what}"] = bucket
            if reset and limit > left:
                bucket.rate = (limit - left) / reset / self._ranks
            # Requests under way may or may not be counted in it already.
            ahead = self._under_way if what == "requests" else 0
            bucket.hold(left / self._ranks - ahead, now)
        return told

    def _learn(self, now: float) -> None:
        """A rate that the server bears: at first by what it answered within the last minute, then
        a little less whenever it refuses again."""
        known = self._buckets.get("learned")
        while self._answered and now - self._answered[0] > 60:
            self._answered.popleft()
        if known:
            rate = known.rate * _SAFE
        elif len(self._answered) > 1:
            rate = _SAFE * len(self._answered) / max(now - self._answered[0], 0.5)
        else:
            return
        self._regained_at = now
        self._buckets["learned"] = Bucket(rate, max(1.0, rate / 4), now, empty=True)


class Shut(Exception):
    """The client is closed: the run was stopped."""


class Door:
    """The way of one client through a gate that others may share; closed without them."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        # One thread at a time waits for room, the others for it: a return wakes one, not all.
        self._queue = threading.Lock()
        self._closed = False

    @contextmanager
    def turn(self, tokens: int) -> Iterator[float]:
        """Waits until a request of so many tokens may go, and tells when it went. Raises Shut once
        the door is closed."""
        with self._queue:
            started = self._gate.enter(tokens, lambda: self._closed)
        try:
            yield started
        finally:
            self._gate.leave()

    def close(self) -> None:
        """Whoever waits is told so."""
        self._closed = True
        self._gate.wake()


def _counts_tokens(bucket: str) -> bool:
    return bucket in ("tpm", "told tokens")


def _plain(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
