"""What a run may cost: no request goes that could pass the limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stages.sample import Fatal


class Purse:
    """Money of one process for all its servers. Amounts are in the currency of the prices."""

    def __init__(self, most: float, whole: float) -> None:
        """At most `most` is spent here, of `whole` by all ranks; 0 is no limit."""
        self._most, self._whole = most, whole
        self._spent = self._held = 0.0
        self._change = threading.Condition()

    @contextmanager
    def hold(self, worst: float, closed: Callable[[], bool]) -> Iterator[None]:
        """While a request is under way that costs `worst` at most. Waits where requests that are
        under way may turn out cheaper, unless the client is closed; raises Fatal where only more
        money would help."""
        with self._change:
            while self._most and self._spent + self._held + worst > self._most and not closed():
                if not self._held:
                    raise Fatal(
                        f"--max_cost {self._whole:g}: {self._spent:.4g} is spent and the next "
                        f"answer may cost {worst:.2g}; raise it and start again, what is done "
                        "is kept"
                    )
                self._change.wait()
            self._held += worst
        try:
            yield
        finally:
            with self._change:
                self._held = max(0.0, self._held - worst)
                self._change.notify_all()

    @property
    def within(self) -> bool:
        """True if the limit holds even if all that is held is spent."""
        with self._change:
            return not self._most or self._spent + self._held <= self._most

    def pay(self, cost: float) -> None:
        """What an answer really cost, told while it is still held."""
        with self._change:
            self._spent += cost

    def wake(self) -> None:
        """Whoever waits looks again whether it is closed."""
        with self._change:
            self._change.notify_all()
