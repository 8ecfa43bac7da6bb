"""How one server wants to be spoken to: the fewest parameters, and a correction for each refusal.

What a server refuses is learned once: OpenAI's reasoning models want `max_completion_tokens`,
templates of Gemma 2 and Mistral know no system message, reasoning models spend the limit on
thoughts. The rest of the run is then asked in its dialect.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from stages.chat.wire import Answer, Unreadable
from stages.llm import Conversation, Manner, Reply

log = logging.getLogger(__name__)

_ROOM = 4  # times the limit, for a model that thinks within it
_SAMPLING = ("top_p", "top_k")  # sent only where the user asks for them
_NO_SYSTEM = re.compile(
    r"system (?:role|message|prompt|instruction)s? (?:is |are )?(?:not|un)\s?-?(?:supported|allowed"
    r"|enabled)|(?:does not|doesn't|not) support (?:the )?['\"`]?system|roles must alternate"
    r"|only user and assistant roles|developer instruction is not enabled",
    re.IGNORECASE,
)


class ErrorInside(Exception):
    """An answer with status 200 that holds an error object, with the status it tells, if any."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Dialect:
    """What one server and model take; shared by all threads."""

    def __init__(self, model: str, manner: Manner) -> None:
        self.model = model
        self._manner = manner
        self._limit = "max_tokens"
        self._room = 1
        self._effort: str | None = manner.reasoning_effort or None
        self._efforts_left = [] if manner.reasoning_effort else ["low"]
        self._folds = False
        self._tempered = True
        wished = {name: getattr(manner, name) for name in _SAMPLING}
        self._sampling = {name: value for name, value in wished.items() if value is not None}
        self._turn = threading.Lock()

    @property
    def longest(self) -> int:
        """Tokens that an answer may have by now."""
        return self._manner.max_tokens * self._room

    def request(
        self, messages: Conversation, temperature: float | None, room: int = 1
    ) -> dict[str, Any]:
        """The body of a request whose answer may have `room` times as many tokens as others."""
        body: dict[str, Any] = {"model": self.model, "messages": self._spoken(messages)}
        if self._tempered and temperature is not None:
            body["temperature"] = temperature
        body |= self._sampling
        body[self._limit] = self.longest * room
        if self._effort:
            body["reasoning_effort"] = self._effort
        return body

    def _spoken(self, messages: Conversation) -> list[Mapping[str, Any]]:
        if not self._folds or messages[0]["role"] != "system":
            return list(messages)
        first, second, *rest = messages
        content: Any = f"{first['content']}\n\n{second['content']}"
        if not isinstance(second["content"], str):  # parts, a picture among them
            content = [{"type": "text", "text": first["content"]}, *second["content"]]
        return [{"role": second["role"], "content": content}, *rest]

    def learn(self, sent: Mapping[str, Any], told: str) -> bool:
        """True if a refusal (its text) of a request teaches to ask otherwise, or has taught it
        since the request was made."""
        said = told.lower()
        with self._turn:
            if "reasoning_effort" in sent and re.search(r"reasoning.?effort", said):
                self._note(self._effort is not None, "takes no reasoning_effort")
                self._effort, self._efforts_left = None, []
                return True
            if "max_tokens" in sent and "max_completion_tokens" in said:
                self._note(self._limit == "max_tokens", "wants max_completion_tokens")
                self._limit = "max_completion_tokens"
                return True
            if "temperature" in sent and "temperature" in said:
                self._note(self._tempered, "takes no temperature")
                self._tempered = False
                return True
            for name in _SAMPLING:
                if name in sent and name in said:
                    self._note(name in self._sampling, f"takes no {name}")
                    self._sampling = {**self._sampling}
                    self._sampling.pop(name, None)
                    return True
            if sent["messages"][0]["role"] == "system" and _NO_SYSTEM.search(told):
                self._note(not self._folds, "takes no system message")
                self._folds = True
                return True
        return False

    def make_room(self, sent: Mapping[str, Any]) -> bool:
        """True if a request whose answer was all thoughts may be asked again: with four times the
        limit, and if that is not enough with less thinking."""
        with self._turn:
            if limit_of(sent) < self.longest or sent.get("reasoning_effort") != self._effort:
                return True  # learned since from another answer
            if self._room == 1:
                self._room = _ROOM
                self._note(True, f"thinks before it answers: {self.longest} tokens from now on")
                return True
            if self._efforts_left:
                self._effort = self._efforts_left.pop(0)
                self._note(True, f"thinks too long: reasoning_effort {self._effort} from now on")
                return True
        return False

    def _note(self, new: bool, what: str) -> None:
        if new:
            log.info("%s %s", self.model, what)


def limit_of(body: Mapping[str, Any]) -> int:
    """Tokens that the answer to a request may have."""
    return int(body.get("max_tokens") or body.get("max_completion_tokens") or 0)


def only_thoughts(reply: Reply) -> bool:
    """True for an answer that reasoning left no room for: asked with more room, never used."""
    if "<think" in reply.text and "</think" not in reply.text:
        return True
    return not reply.text.strip() and (reply.thought or reply.finish == "length")


def read_reply(answer: Answer) -> Reply:
    """The chat completion in an answer of status 200.

    Raises Unreadable for HTML, cut JSON or JSON without choices, ErrorInside for an error object.
    """
    data = _streamed(answer) if _is_stream(answer) else _json(answer)
    if not isinstance(data, dict):
        raise Unreadable(f"no chat completion but {answer.text[:200]}")
    choices = data.get("choices")
    if not choices or not isinstance(choices, list) or not isinstance(choices[0], dict):
        if data.get("error"):
            raise ErrorInside(*error_of(data))
        raise Unreadable(f"no chat completion but {answer.text[:200]}")
    choice = choices[0]
    if isinstance(choice.get("error"), dict):  # OpenRouter, where a provider fails midway
        raise ErrorInside(*error_of(choice))
    message = choice.get("message") or {}
    text = _text_of(message.get("content"))
    usage = data.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    thoughts = message.get("reasoning_content") or message.get("reasoning")
    refused = message.get("refusal")
    return Reply(
        text=text or (refused if isinstance(refused, str) else ""),
        finish="refusal" if refused and not text else choice.get("finish_reason"),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(details.get("cached_tokens")),
        thought=bool(thoughts) or "<think" in text,
    )


def error_of(data: Any) -> tuple[str, int]:
    """(message, HTTP status or 0) of an error body, in the shapes that servers give it: OpenAI's
    object, a bare string, FastAPI's `detail`, a list of Google's."""
    if isinstance(data, list) and data:
        data = data[0]
    found = data
    if isinstance(data, dict):
        found = data.get("error") or data.get("detail") or data.get("message") or data
    status = 0
    if isinstance(found, dict):
        code = found.get("code") or found.get("status")
        status = code if isinstance(code, int) and 400 <= code < 600 else 0
        metadata = found.get("metadata")
        raw = metadata.get("raw") if isinstance(metadata, dict) else None  # OpenRouter: upstream's
        message = found.get("message")
        rest = json.dumps(found.get("details")) if found.get("details") else ""
        found = " ".join(str(part) for part in (message, raw, rest) if part) or found
    return (found if isinstance(found, str) else json.dumps(found)), status


def _json(answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError:
        pass
    if answer.text.lstrip().startswith(("{", "[")):
        raise Unreadable("an answer that breaks off")
    raise Unreadable(f"no chat completion but {' '.join(answer.text.split())[:200]}")


def _is_stream(answer: Answer) -> bool:
    kind = answer.headers.get("content-type", "")
    return kind.startswith("text/event-stream") or answer.body.startswith(b"data:")


def _streamed(answer: Answer) -> dict[str, Any]:
    """The completion that a stream of events makes: some servers stream unasked."""
    text: list[str] = []
    thoughts: list[str] = []
    finish: str | None = None
    usage: Any = None
    ended = False
    for line in answer.text.splitlines():
        if not line.startswith("data:"):
            continue
        event = line.removeprefix("data:").strip()
        if event == "[DONE]":
            ended = True
            continue
        try:
            data = json.loads(event)
        except ValueError:
            raise Unreadable("an answer that breaks off") from None
        if not isinstance(data, dict):
            continue
        if data.get("error"):
            raise ErrorInside(*error_of(data))
        usage = data.get("usage") or usage
        for choice in (data.get("choices") or [])[:1]:
            delta = choice.get("delta") or {}
            text.append(_text_of(delta.get("content")))
            thoughts.append(_text_of(delta.get("reasoning_content") or delta.get("reasoning")))
            finish = choice.get("finish_reason") or finish
    if not ended and finish is None:
        raise Unreadable("an answer that breaks off")
    message = {"content": "".join(text), "reasoning": "".join(thoughts)}
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def _text_of(content: Any) -> str:
    """A message's content, which may come as a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
