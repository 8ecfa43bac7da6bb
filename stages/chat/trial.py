"""A number of requests at once on trial: more only as long as that brings more answers a second."""

from __future__ import annotations

_WORTH = 0.3  # of the gain that more requests would bring at best, for them to be worth it
_SHRINK = 0.7
_FEWEST, _STEADY, _RAREST = 4, 2, 16  # answers to judge by, and rounds of them


class Trial:
    """A number of requests at once on trial: does it bring more answers a second than fewer did?"""

    def __init__(self, limit: int, now: float) -> None:
        self._fewer: tuple[int, float] | None = None  # (limit, answers a second) to compare with
        self._factor = 2.0  # to the next trial
        self._rounds = 1  # of `limit` answers each, until this one is judged
        self._begin(limit, now)

    def answered(self, now: float) -> bool:
        """Counts an answer; True once there are enough to judge by."""
        self._count += 1
        return self._count >= max(_FEWEST, self._limit * self._rounds) and now > self._since

    def next(self, now: float, most: int, hold: bool) -> int:
        """The number of the next trial. `hold`: answers are slow, more would be too many."""
        rate = self._count / (now - self._since)
        fewer, self._fewer = self._fewer, None
        if fewer and rate < fewer[1] * (1 + _WORTH * (self._limit / fewer[0] - 1)):
            # Not faster: what queues there only makes each answer later. After doubling, a little
            # more than before keeps the server busy while our own requests travel.
            kept = int(fewer[0] * 1.5) if self._factor == 2 else fewer[0]
            rounds = self._rounds * 2 if self._factor < 2 else _STEADY
            return self._calmly(min(kept, self._limit), min(rounds, _RAREST), now)
        if hold or self._limit >= most:
            return self._begin(self._limit, now)
        self._fewer = (self._limit, rate)
        return self._begin(min(most, max(self._limit + 1, int(self._limit * self._factor))), now)

    def cut(self, now: float) -> int:
        """Fewer, since the server complained."""
        self._fewer = None
        return self._calmly(max(1, int(self._limit * _SHRINK)), _STEADY, now)

    def _calmly(self, limit: int, rounds: int, now: float) -> int:
        self._factor, self._rounds = 1.25, rounds
        return self._begin(limit, now)

    def _begin(self, limit: int, now: float) -> int:
        self._limit, self._count, self._since = limit, 0, now
        return limit
