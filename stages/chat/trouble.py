"""What a server's refusal means for the run: wait, ask again, give the file up, or stop.

The sentences are those that servers were seen to send; a status alone says too little: a spent day
and a busy second are both 429, a model that loads and a broken one are both 503.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from typing import Literal

from stages.chat.dialect import error_of
from stages.chat.wire import Answer

Kind = Literal[
    "busy",  # too many requests: all wait, then ask again
    "crowded",  # the server broke under them: as "busy", but it may as well break again
    "loading",  # the model is not there yet
    "broken",  # the server's own error: this request may be asked again a few times
    "long",  # the conversation does not fit into the context
    "wrong",  # this request is refused, and would be again
    "spent",  # a quota or credit that no waiting within this run brings back
    "key",  # the key is missing, wrong or may not
    "model",  # the model, or the path of the chat, is unknown
    "address",  # it answers from elsewhere
    "blind",  # the model takes no pictures
]

# Those that every request would meet.
ENDING = ("key", "model", "address", "spent", "blind")

_LOADING = re.compile(
    r"loading (?:the )?model|model (?:\S+ )?is (?:still |currently )?loading|warming up"
    r"|no model (?:is )?loaded|not ready yet|starting up",
    re.IGNORECASE,
)
_SPENT = re.compile(
    r"insufficient_quota|exceeded your current quota, please check your plan|per[ _-]?day"
    r"|\bdaily\b|PerDay|requests per day|tokens per day|\((?:RPD|TPD)\)|free-models-per-day"
    r"|credit balance|insufficient (?:credits|balance|funds)|more credits|billing"
    r"|spend(?:ing)? limit|monthly",
    re.IGNORECASE,
)
_LONG = re.compile(
    r"context[ _-]?(?:length|size|window)|exceed_context_size|maximum context"
    r"|too many tokens|prompt is too long|input is too long|exceeds? (?:the )?(?:available|model)"
    r".{0,20}context|reduce the length|request too large|larger than .{0,20}n_ctx",
    re.IGNORECASE,
)
_CROWDED = re.compile(
    r"kv[ _-]?cache|out of memory|no (?:free |available )?slot|overloaded|at capacity|queue is full"
    r"|server busy|too many (?:requests|concurrent)|resource[ _]exhausted|max.{0,20}concurren",
    re.IGNORECASE,
)
_MODERATED = re.compile(r"moderation|flagged|content.?policy|safety", re.IGNORECASE)
_MODEL = re.compile(
    r"(?:model|engine|deployment)\b.{0,120}?(?:not found|not exist|unknown|invalid|unavailable"
    r"|not available|decommissioned|deprecated|not supported|no access)"
    r"|(?:unknown|invalid|no such|unsupported|cannot find|not a valid) (?:the )?model"
    r"|model_not_found|model_decommissioned",
    re.IGNORECASE | re.DOTALL,
)
# Of OpenAI, OpenRouter, Ollama, LM Studio, llama.cpp, vLLM, DeepSeek, Groq. That a model does not
# support a format or a size of images says that it takes some.
_BLIND = re.compile(
    r"support(?:s|ed|ing)? (?:for )?image inputs?|image inputs? (?:is|are) not"
    r"|required for image input|mmproj|not (?:a )?(?:multi-?modal|vision)\b|at most 0 image"
    r"|does(?: not|n't) support (?:images?|vision|multi-?modal(?:ity)?)"
    r"(?=\W*(?:inputs?\b|[.,;:!]|$))"
    r"|image_url\W* (?:is |are )?(?:only|not) supported|unknown variant \W?image_url"
    r"|unsupported content (?:part )?type\W*image_url|content must be a string"
    r"|can only concatenate str",
    re.IGNORECASE,
)
_PICTURE = re.compile(
    r"\b(?:image|picture|base64|data ur[il])s?\b.{0,80}?\b(?:too (?:large|big|small|many)|invalid"
    r"|corrupt\w*|unsupported|not (?:supported|valid|allowed)|could not|cannot|can't|fail\w*|unable"
    r"|exceed\w*|malformed|truncated|larger than)"
    r"|\b(?:invalid|unsupported|corrupt\w*|could not|cannot|can't|fail\w* to|unable to)\b.{0,60}?"
    r"\b(?:image|picture|base64|data ur[il])",
    re.IGNORECASE | re.DOTALL,
)
# "try again in 5.289s", "retry in 1m3.5s", "retryDelay": "30s", "resets in ~30s"
_AGAIN_IN = re.compile(
    r"(?:(?:try|retry)(?: again)? (?:in|after)|retry_?delay\W+|resets? in|wait) *~? *"
    r"((?:\d+(?:\.\d+)? ?(?:ms|h|m|s)[a-z]*[ ,]*)+)",
    re.IGNORECASE,
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(ms|h|m|s)", re.IGNORECASE)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Trouble(Exception):
    """A refusal: what kind, what the server said, and for how long it asks to be left alone."""

    def __init__(
        self,
        kind: Kind,
        message: str,
        status: int = 0,
        seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind, self.status, self.seconds = kind, status, seconds
        self.headers: Mapping[str, str] = headers or {}  # their names in lower case

    @property
    def of_wording(self) -> bool:
        """True if the same may have been refused only for how it was put."""
        refused = 400 <= self.status < 500 or self.status == 500
        return refused and self.kind not in ("busy", "spent", "key", "blind")


def of_answer(answer: Answer, patience: float) -> Trouble:
    """Of an HTTP answer that is no success. A wait longer than `patience` seconds is a quota that
    is spent."""
    try:
        text, _ = error_of(answer.json())
    except ValueError:
        text = answer.text  # a body that is not OpenAI's error object is told as it is
    message = f"HTTP {answer.status}: {' '.join(text.split())[:400]}"
    if 300 <= answer.status < 400:
        where = answer.headers.get("location", "elsewhere")
        said = f"answers from {where}: use that address"
        return Trouble("address", said, answer.status, headers=answer.headers)
    return _of(answer.status, message, answer.headers, patience, text)


def of_error(message: str, status: int, patience: float) -> Trouble:
    """Of an error object in an answer whose own status was a success."""
    text = " ".join(message.split())[:400]
    # Without a status it may be anything; like a gateway's page it is asked for again.
    return _of(status or 500, f"an error instead of an answer: {text}", {}, patience)


def _of(
    status: int, text: str, headers: Mapping[str, str], patience: float, whole: str = ""
) -> Trouble:
    """`text` is what people are told, `whole` all that the server said."""
    seconds = wait_of(headers, whole or text)
    kind: Kind
    if status == 402 or (status in (403, 429) and _spent(whole or text)):
        kind = "spent"
    elif status == 429 and _LONG.search(text) and seconds is None:
        kind = "long"  # one request larger than a minute's tokens
    elif status == 429:
        kind = "spent" if seconds is not None and seconds > patience else "busy"
    elif status == 403 and _MODERATED.search(text):
        kind = "wrong"
    elif status in (401, 403):
        kind = "key"
    elif status >= 500 and _LOADING.search(text):
        kind = "loading"
    elif status in (503, 529):
        kind = "busy"
    elif status >= 500 and _CROWDED.search(text):
        kind = "crowded"
    elif status in (400, 404, 415, 422, 500, 501) and _BLIND.search(text):
        kind = "blind"
    elif status in (400, 413, 415, 422, 500) and _PICTURE.search(text):
        kind = "wrong"
    elif status in (400, 413, 422, 500) and _LONG.search(text):
        kind = "long"
    elif status == 404 or (status in (400, 422) and _MODEL.search(text)):
        kind = "model"
    elif status in (408, 409, 425) or status >= 500:
        kind = "broken"
    else:
        kind = "wrong"
    return Trouble(kind, text, status, seconds, headers)


def _spent(text: str) -> bool:
    # Google says the same of a minute and of a day, and names the quota behind it.
    return bool(_SPENT.search(text)) and ("PerMinute" not in text or "PerDay" in text)


def wait_of(headers: Mapping[str, str], text: str = "") -> float | None:
    """Seconds until the server wants to be asked again, from its headers or its sentence."""
    if (span := headers.get("retry-after-ms")) and (value := _number(span)) is not None:
        return value / 1000
    if span := headers.get("retry-after"):
        value = _number(span)
        if value is not None:
            return value
        try:
            date = email.utils.parsedate_to_datetime(span).timestamp()
            return max(0.0, date - time.time())
        except (ValueError, TypeError, OverflowError):
            pass
    for limited in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{limited}") == "0":
            reset = span_of(headers.get(f"x-ratelimit-reset-{limited}", ""))
            if reset is not None:
                return reset
    found = _AGAIN_IN.search(text)
    return span_of(found[1]) if found else None


def span_of(text: str) -> float | None:
    """Seconds in "2m59.56s", "20ms", "7.66" or a time of day as epoch seconds or milliseconds."""
    value = _number(text)
    if value is not None:
        if value > 1e11:
            value = value / 1000
        return max(0.0, value - time.time()) if value > 1e9 else value
    spans = _SPAN.findall(text)
    return sum(float(count) * _UNITS[unit.lower()] for count, unit in spans) if spans else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e15 else None
