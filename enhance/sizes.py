"""How many files go through a stage at once: fewer where a batch did not fit, slowly more again."""

from __future__ import annotations

import threading

_PATIENCE = 8  # full batches that fit before a larger one is tried


class Sizes:
    """The size of a stage's batches in this process. Safe to use from threads."""

    def __init__(self, wanted: int) -> None:
        self.wanted = self.now = wanted
        self._turn = threading.Lock()
        self._least = 0  # the smallest batch that did not fit
        self._fits = 0  # the largest that did, as far as is known
        self._good = 0  # full batches in a row
        self._patience = _PATIENCE

    @property
    def advice(self) -> int:
        """What to set next time; 0 if the size that was wanted did fit."""
        return min(self._fits or self.now, self._least - 1) if self._least else 0

    def fitted(self, count: int) -> None:
        """A batch of so many went through."""
        with self._turn:
            self._fits = max(self._fits, count)
            if count < self.now or not self._least:
                return
            self._good += 1
            larger = min(self._least - 1, self.now + max(1, self.now // 4))
            if self._good >= self._patience and larger > self.now:
                self._good, self.now = 0, larger

    def failed(self, count: int) -> bool:
        """A batch of so many did not fit. True if that is news."""
        with self._turn:
            grown = bool(self._least) and 0 < self._fits < count
            self._least = min(self._least or count, count)
            if not grown:
                self._fits = 0  # pictures differ: what fitted once need not fit now
            if count > self.now:
                return False  # gathered before the size was found too large
            if grown:
                self._patience *= 2
            self.now = self._fits if grown else (count + 1) // 2
            self._good = 0
            return True
