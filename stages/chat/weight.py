"""How much a request weighs before the server has counted it."""

from __future__ import annotations

from stages.llm import Conversation

_LETTERS = 4  # a token, about
# Tokens of a picture of 1536 pixels a side, where no answer has told: models make between 85 and
# 2,500 of it, and some of OpenAI's small ones 25,000.
_PICTURE = 2500


class Scale:
    """Weighs the requests to one model; what a picture weighs it learns from the answers."""

    def __init__(self) -> None:
        self._picture = 0

    def tokens(self, messages: Conversation) -> int:
        """Of all texts and pictures, about."""
        return text_tokens(messages) + _pictures(messages) * (self._picture or _PICTURE)

    def learn(self, messages: Conversation, prompt_tokens: int) -> None:
        """What the server counted: the heaviest picture is what the next one may weigh."""
        pictures = _pictures(messages)
        if pictures and prompt_tokens:
            told = (prompt_tokens - text_tokens(messages)) // pictures
            self._picture = max(self._picture, told, 1)


def text_tokens(messages: Conversation) -> int:
    """Of the texts alone, about."""
    return sum(len(text) for message in messages for text in _texts(message["content"])) // _LETTERS


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] for part in parts if part["type"] == "text"]


def _pictures(messages: Conversation) -> int:
    contents = (message["content"] for message in messages)
    return sum(
        part["type"] != "text"
        for content in contents
        if isinstance(content, list)
        for part in content
    )
