"""What was asked of a service that is paid by what is begun: a later process collects it."""

from __future__ import annotations

from typing import Protocol


class Begun(Protocol):
    """Remembers requests by their content's digest. Safe to use from threads."""

    def take(self, request: str) -> str | None:
        """The prediction that an earlier process began for it and nobody has collected, "" where
        that died before it knew which one; None if none was begun. It is told once."""
        ...

    def note(self, request: str, prediction: str) -> None:
        """On disk before this returns; "": it is about to be begun. Raises Fatal if that is
        impossible."""
        ...

    def ended(self, request: str) -> None:
        """Nothing of it is left to collect."""
        ...


class Forgetful:
    """Where nothing is kept: what a killed process began is begun anew."""

    def take(self, request: str) -> str | None:
        return None

    def note(self, request: str, prediction: str) -> None:
        pass

    def ended(self, request: str) -> None:
        pass
