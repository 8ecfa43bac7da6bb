"""How one Gemini model wants to be asked: what it refuses is learned once, for the whole run.

Models differ in how they let one say that they need not think, which eats the output limit: the
newer ones by a level, of which each has its own lowest, older ones by a budget, and some refuse
either.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stages.llm import Manner
from stages.sample import Fatal

if TYPE_CHECKING:
    from google.genai.types import GenerateContentConfig

log = logging.getLogger(__name__)

_LOWEST: tuple[str | int | None, ...] = ("MINIMAL", "LOW", 0, None)
_EFFORTS: Mapping[str, tuple[str | int | None, ...]] = {
    "": _LOWEST,
    "none": (0, *_LOWEST),
    "minimal": ("MINIMAL", None),
    "low": ("LOW", None),
    "medium": ("MEDIUM", None),
    "high": ("HIGH", None),
    "xhigh": ("XHIGH", "HIGH", None),
    "max": ("XHIGH", "HIGH", None),
}
_ROOMS = (1, 4, 16)  # times the limit, for a model that thinks within it
_THINKING = re.compile(r"think", re.IGNORECASE)
_NO_SYSTEM = re.compile(
    r"(?:developer|system) instructions? (?:is|are) not (?:enabled|supported)"
    r"|does not support (?:developer|system) instructions?",
    re.IGNORECASE,
)
# What is sent where it is wished, and as what a refusal names it.
_SETTINGS = {
    "temperature": re.compile(r"\btemperature\b", re.IGNORECASE),
    "top_p": re.compile(r"\btop_?p\b", re.IGNORECASE),
    "top_k": re.compile(r"\btop_?k\b", re.IGNORECASE),
    "media_resolution": re.compile(r"media[_ ]?resolution", re.IGNORECASE),
}
_RESOLUTIONS = {
    "low": "MEDIA_RESOLUTION_LOW",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_HIGH",
}


@dataclass(frozen=True, slots=True)
class Way:
    """How a question is put."""

    thinking: str | int | None  # a level, a budget of tokens, or nothing said
    folds: bool = False  # the system's words stand before the user's
    without: frozenset[str] = field(default_factory=frozenset)  # settings that it refuses
    room: int = 1  # times the limit


class Ways:
    """What one model takes; shared by all threads."""

    def __init__(self, manner: Manner, detail: str) -> None:
        """Raises Fatal, status 2, for an effort that has no level here."""
        effort = manner.reasoning_effort.lower()
        if effort not in _EFFORTS:
            known = ", ".join(name for name in _EFFORTS if name)
            raise Fatal(f"--reasoning_effort {effort}: Gemini takes {known}", 2)
        self.model = ""
        self.longest = 0  # tokens that it ever answers, 0 if it does not tell
        self._manner = manner
        self._levels = list(_EFFORTS[effort])
        self._resolution = _RESOLUTIONS.get(detail)
        self._way = Way(self._levels[0])
        self._turn = threading.Lock()

    @property
    def now(self) -> Way:
        """As it is asked by what was learned so far."""
        return self._way

    def thinks_not(self) -> None:
        """The model cannot think, by its own account: nothing is said of it."""
        self._levels = [None]
        self._way = replace(self._way, thinking=None)

    def limit(self, way: Way, room: int) -> int:
        """Tokens that an answer may have."""
        limit = self._manner.max_tokens * way.room * room
        return min(limit, self.longest) if self.longest else limit

    def config(
        self, way: Way, system: str, warmth: float | None, limit: int, seconds: float
    ) -> GenerateContentConfig:
        """What is said beside the question itself."""
        from google.genai import types

        wished = {
            "temperature": warmth,
            "top_p": self._manner.top_p,
            "top_k": self._manner.top_k,
            "media_resolution": self._resolution,
        }
        settings = {name: value for name, value in wished.items() if name not in way.without}
        thinking = None
        if isinstance(way.thinking, str):
            thinking = types.ThinkingConfig(thinking_level=types.ThinkingLevel(way.thinking))
        elif way.thinking is not None:
            thinking = types.ThinkingConfig(thinking_budget=way.thinking)
        return types.GenerateContentConfig.model_validate(
            {
                **{name: value for name, value in settings.items() if value is not None},
                "system_instruction": (system or None) if not way.folds else None,
                "max_output_tokens": limit,
                "thinking_config": thinking,
                # There are no functions to call, and the SDK says so at each request.
                "automatic_function_calling": {"disable": True},
                # The server gives up when we do.
                "http_options": {"timeout": int(seconds * 1000)},
            }
        )

    def learn(self, way: Way, told: str) -> bool:
        """True if the refusal of a question that was put so teaches to put it otherwise, or has
        taught it since."""
        with self._turn:
            if way.thinking is not None and _THINKING.search(told):
                if self._way.thinking == way.thinking:
                    self._levels = self._levels[1:] or [None]
                    self._way = replace(self._way, thinking=self._levels[0])
                    self._note(f"refuses thinking {way.thinking}")
                return True
            if not way.folds and _NO_SYSTEM.search(told):
                self._way = replace(self._way, folds=True)
                self._note("takes no system instruction")
                return True
            for name, named in _SETTINGS.items():
                if name not in way.without and named.search(told):
                    self._way = replace(self._way, without=self._way.without | {name})
                    self._note(f"takes no {name}")
                    return True
        return False

    def make_room(self, way: Way, limit: int) -> bool:
        """True if a question whose answer was all thoughts may be asked again with more room than
        `limit`."""
        with self._turn:
            if way.room < self._way.room:
                return True  # learned since from another answer
            more = next((room for room in _ROOMS if room > way.room), 0)
            if not more or (self.longest and limit >= self.longest):
                return False
            self._way = replace(self._way, room=more)
            self._note(f"thinks before it answers: {more} times the room from now on")
            return True

    def _note(self, what: str) -> None:
        log.info("%s %s", self.model, what)
