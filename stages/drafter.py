"""One captioner of a run, loaded by the first batch that needs it, whoever drafts with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cached_property

from stages.captioners import Captioner, Family, Settings, family_of, known_family, stand_in
from stages.checkpoint import Checkpoint, free_memory


class Drafter:
    """A captioner that is not loaded yet, and may be let go and loaded again."""

    def __init__(
        self,
        model_id: str,
        revision: str,
        trust_remote_code: bool,
        captioner: str,
        settings: Callable[[], Settings],
        device: Callable[[], str],
    ) -> None:
        """`device` says where models go; `settings` are made when the model is loaded."""
        self.asked = model_id
        source = os.path.expanduser(stand_in(model_id))
        self.checkpoint = Checkpoint(source, revision, trust_remote_code)
        self.device = device
        self._name = captioner
        self._settings = settings
        self._captioner: Captioner | None = None
        self._loading = threading.Lock()

    @cached_property
    def family(self) -> Family:
        """Raises Fatal if the model cannot be had or no captioner takes it. Loads no weights."""
        return family_of(self.checkpoint, self._name)

    @cached_property
    def known(self) -> Family | None:
        """The family as far as it shows without asking the hub, the same on every run."""
        return known_family(self.checkpoint, self._name)

    def load(self) -> Captioner:
        """Raises Fatal if the model cannot be loaded."""
        with self._loading:
            if self._captioner is None:
                self._captioner = self.family.Captioner(self.checkpoint, self._settings())
            return self._captioner

    def close(self) -> None:
        """Gives the memory back. A batch under way may fail."""
        with self._loading:
            if self._captioner is not None:
                self._captioner = None
                free_memory()
