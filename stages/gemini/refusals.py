"""What a refusal of Gemini means: its details tell more than its status and its sentence do.

A spent minute, a spent day and a model that the key has no quota of are all 429, with the same
sentence about "your plan and billing details"; a wrong key is 400.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stages.chat.place import QUOTA
from stages.chat.trouble import Kind, Trouble, of_answer, span_of
from stages.chat.wire import Answer

_DAY = re.compile(
    r"per[ _-]?day|\bdaily\b|\bRPD\b|spend|credits? (?:are|is) |monthly", re.IGNORECASE
)
_NONE = re.compile(r"\blimit: 0\b(?!\.)")
_KEY = re.compile(
    r"API_KEY_INVALID|API key (?:not valid|expired|not found)|API_KEY_SERVICE_BLOCKED"
    r"|API_KEY_(?:HTTP_REFERRER|IP_ADDRESS|ANDROID_APP|IOS_APP)_BLOCKED|reported as leaked",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"location is not supported|not available in your (?:country|region)", re.IGNORECASE
)
_LONG = re.compile(
    r"input token count.{0,40}exceeds|exceeds the maximum number of tokens", re.IGNORECASE
)
_BLIND = re.compile(
    r"(?:image|video|vision)\s?(?:input)?\s?modality is not (?:enabled|supported)"
    r"|does not support (?:the )?(?:requested )?(?:image|video) (?:input|modalit)",
    re.IGNORECASE,
)
_FILE = re.compile(
    r"\bfiles?\b.{0,80}(?:may not exist|does not exist|not found|expired|not in an ACTIVE state)"
    r"|permission to access the file",
    re.IGNORECASE | re.DOTALL,
)


class LostUpload(Trouble):
    """An uploaded file is not there any more: uploaded anew, the same question may pass."""


def trouble_of(status: int, body: Any, headers: Mapping[str, str]) -> Trouble:
    """Of an answer that is no success; `body` is its JSON, without the key in it."""
    error = body.get("error", body) if isinstance(body, dict) else {}
    error = error if isinstance(error, dict) else {"message": str(error)}
    said = " ".join(str(error.get("message") or error.get("status") or body).split())
    plain = json.dumps({"error": {"message": said}}).encode()
    known = of_answer(Answer(status, headers, plain), QUOTA)
    details = list(_details(error))
    everything = f"{said} {json.dumps(details)}"
    seconds = known.seconds if "retry-after" in headers else _delay(details) or known.seconds
    kind, told = known.kind, str(known)
    if status in (400, 403, 404) and _FILE.search(said):
        return LostUpload("wrong", told, status, headers=headers)
    if status == 429:
        kind = _of_quota(details, said, seconds)
        names = ", ".join(sorted({one.get("quotaId", "") for one in _violations(details)} - {""}))
        told = f"{told[:300]} ({names})" if names else told
        seconds = None if kind == "spent" else seconds
    elif status in (400, 401, 403) and _KEY.search(everything):
        kind = "key"
    elif status in (400, 403) and _PLACE.search(said):
        kind = "address"  # from where we ask
    elif status == 400 and _LONG.search(said):
        kind = "long"
    elif status == 400 and _BLIND.search(said):
        kind = "blind"
    return Trouble(kind, told, status, seconds, headers)


def _of_quota(details: list[dict[str, Any]], said: str, seconds: float | None) -> Kind:
    """ "busy" for a minute that passes, "spent" for a day, or for what the key has none of."""
    violations = [*_violations(details)]
    if any(str(one.get("quotaValue")) == "0" for one in violations) or _NONE.search(said):
        return "spent"
    names = " ".join(str(one.get("quotaId") or one.get("quotaMetric")) for one in violations)
    if _DAY.search(names or said):
        return "spent"
    return "spent" if seconds is not None and seconds > QUOTA else "busy"


def _delay(details: list[dict[str, Any]]) -> float | None:
    for one in details:
        if "retryDelay" in one:
            return span_of(str(one["retryDelay"]))
    return None


def _violations(details: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in details:
        for violation in one.get("violations") or ():
            if isinstance(violation, dict):
                yield violation


def _details(error: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found = error.get("details")
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict):
            yield one
