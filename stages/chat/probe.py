"""A few tokens to a server, to know of it what a list of models does not tell."""

from __future__ import annotations

from typing import Any

from stages.chat.dialect import Dialect, ErrorInside, read_reply
from stages.chat.host import Host
from stages.chat.loop import Closed
from stages.chat.trouble import ENDING
from stages.chat.wire import Answer, Unanswered, Unreadable, Untrusted
from stages.llm import Conversation, Reply

SMALL_TALK: Conversation = [{"role": "user", "content": "Say yes."}]
_SHORT = 32  # tokens of an answer
_LESSONS = 6  # corrections of how it wants to be asked


class Probe:
    """Small talk with one server and model."""

    def __init__(self, host: Host, dialect: Dialect, talk: Conversation, seconds: float) -> None:
        self._host, self._dialect = host, dialect
        self._talk, self._seconds = talk, seconds

    def say(self, talk: Conversation | None = None) -> Reply | None:
        """What it says; None if nothing that tells. Raises Fatal for what every request would
        meet."""
        for _ in range(_LESSONS):
            try:
                body, answer = self._asked(talk or self._talk)
                if answer.status == 200:
                    return read_reply(answer)
            except (Unanswered, Untrusted, Unreadable, ErrorInside):
                return None  # told by the first real request, if it lasts
            trouble = self._host.trouble(answer)
            if trouble.of_wording and self._dialect.learn(body, str(trouble)):
                continue
            if trouble.kind in ENDING:
                raise self._host.end(trouble, self._dialect.model)
            return None
        return None

    def answers(self) -> bool:
        """True if it answers at all: then the trouble was with the files."""
        try:
            _, answer = self._asked(self._talk)
            return answer.status == 200 and bool(read_reply(answer))
        except (Unanswered, Untrusted, Closed, Unreadable, ErrorInside):
            return False

    def _asked(self, talk: Conversation) -> tuple[dict[str, Any], Answer]:
        body = self._dialect.request(talk, 0.0)
        limit = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
        short = {**body, limit: _SHORT}
        return body, self._host.post("chat/completions", short, self._seconds)
