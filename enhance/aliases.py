"""Names that other tools use for our settings, in the environment and in `.env`.

Each is told when it holds; what has no counterpart here is told too, so that nobody counts on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from stages.sample import Fatal


class _Alias(NamedTuple):
    name: str  # of our setting
    of: Callable[[str], str]  # its value, of theirs


def _same(value: str) -> str:
    return value


def _per_minute(value: str) -> str:
    try:
        return f"{float(value) * 60:g}"
    except ValueError:
        raise Fatal(f"GETCAP_THROTTLE_SUBMISSION_RATE: {value!r} is no number", 2) from None


def _level(value: str) -> str:
    level = value.lower()
    return {"warn": "warning", "critical": "error", "fatal": "error"}.get(level, level)


ALIASES = {
    "OPENAI_BASE_URL": _Alias("base_url", _same),
    "OPENAI_MODEL": _Alias("model", _same),
    # Of gen-captions.py.
    "GETCAP_THREAD_POOL": _Alias("concurrency", _same),
    "GETCAP_THROTTLE_SUBMISSION_RATE": _Alias("rpm", _per_minute),
    "GETCAP_LOG_LEVEL": _Alias("log_level", _level),
}
_WITHOUT = {
    "GETCAP_THROTTLE_RETRIES": "a rate limit is waited for, other failures end at --deadline",
    "GETCAP_THROTTLE_BACKOFF_FACTOR": "pauses are as long as the server says, else they grow",
}


def values(variables: Mapping[str, str], prefix: str) -> Iterator[tuple[str, str]]:
    """(name, value) of our settings that are given by another name, and not by their own.

    Raises Fatal, status 2, for a value that cannot be read.
    """
    for variable, alias in ALIASES.items():
        if variables.get(variable) and f"{prefix}{alias.name.upper()}" not in variables:
            yield alias.name, alias.of(variables[variable])


def notices(
    layers: Mapping[str, Mapping[str, str]], origins: Mapping[str, str], prefix: str
) -> Iterator[str]:
    """A line for each name of another tool that holds, and for each that has no counterpart.
    `layers` are variables by the name of their layer, `origins` the layer of each setting."""
    for layer, variables in layers.items():
        for variable, alias in ALIASES.items():
            own = f"{prefix}{alias.name.upper()}" in variables
            if variables.get(variable) and not own and origins[alias.name] == layer:
                said = f"--{alias.name} {alias.of(variables[variable])}"
                yield f"{variable} is read as {said}"
    for variable, why in _WITHOUT.items():
        if any(variables.get(variable) for variables in layers.values()):
            yield f"{variable} has no counterpart: {why}"
