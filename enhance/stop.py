"""The wish that a run ends before all is done."""

from __future__ import annotations

import signal
from types import FrameType


class Stop:
    """Whoever asks for it, a signal or another thread, is heard by the run soon."""

    def __init__(self) -> None:
        self._asked = False  # no lock: signals come while one may be held

    def ask(self) -> None:
        """What is under way ends now, what is done stays."""
        self._asked = True

    @property
    def asked(self) -> bool:
        return self._asked

    def heed(self) -> None:
        """Raises KeyboardInterrupt if it was asked for."""
        if self._asked:
            raise KeyboardInterrupt

    def on_sigterm(self) -> None:
        """Asks for it at SIGTERM. Only the main thread may say so."""
        signal.signal(signal.SIGTERM, self._interrupt)

    def _interrupt(self, *_: int | FrameType | None) -> None:
        # Once is enough: a launcher's death is told by each of its threads, and must not cut the
        # drain.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.ask()
        # At once, whatever is waited for. Where Python drops it, as in the callbacks of garbage
        # that it collects, the run heeds the wish itself.
        raise KeyboardInterrupt
