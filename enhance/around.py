"""What is around a run: a process of its own, or a service that lends it a model and watches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from enhance.report import Report
from enhance.stop import Stop
from stages import generate
from stages.dataset import Layout
from stages.drafting import Drafter


class Around:
    """A process of its own: nothing is there yet, and nobody looks."""

    def __init__(self) -> None:
        self.stop = Stop()

    def lend(self, options: generate.Options) -> Drafter | None:
        """Who drafts by these settings, if it is there already; a run lets go of it, no more."""
        return None

    def watch(self, layout: Layout, media: Sequence[str], report: Report) -> None:
        """Told once it is known what is captioned."""

    def ended(self, media: str) -> None:
        """A file has come to its end, with a caption or without; the report knows."""

    def tell(self, report: Mapping[str, Any]) -> None:
        """What became of all files, however it ended; before the run says so itself."""
