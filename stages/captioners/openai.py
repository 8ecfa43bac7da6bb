"""Any server that speaks OpenAI's chat completions and takes pictures: OpenAI, vLLM, Ollama, LM
Studio, llama.cpp, Groq, OpenRouter.

Nothing is loaded here. The requests go through the client that merges, with its gate and its rules
for what fails (`stages/chat`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stages.captioners import MANY, Answer, Attempt, Fewer, Message, Model, joycaption
from stages.chat.gate import Gate
from stages.chat.host import Host
from stages.chat.place import Role
from stages.chat.purse import Purse
from stages.chat.server import Server
from stages.chat.shown import looked
from stages.joy import Wish, in_words
from stages.llm import Conversation, Manner, Options, Reply, TooLong
from stages.picture import Picture
from stages.policy import Policy
from stages.sight import QUESTION, Sight
from stages.text.reject import LIMIT_REASONS

TYPES: frozenset[str] = frozenset()  # a server tells no types
STAND_INS: dict[str, str] = {}
MODELS: tuple[Model, ...] = ()  # whichever the server has
IN_WORDS = True
ROLE = Role(
    name="the captioner's server",
    doing="drafting",
    url="--captioner_base_url",
    model="--model_id",
    key="OPENAI_API_KEY",
    without="without one, a model drafts in this process",
)
_WARM = 0.7  # of an answer that is asked for anew, since the first ran in circles


def prompt(policy: Policy, wish: Wish, model: str = "") -> str:
    """What a model is asked by default; JoyCaption as it was trained to be, whoever serves it."""
    asks = joycaption.prompt if joycaption.NAMED.search(model) else in_words
    return asks(policy, wish)


# "At most 1 image(s) may be provided in one prompt" (vLLM), "Max 5 images per request" (others)
_FEWER = re.compile(r"(?i)\b(?:at most|max(?:imum)?(?: of)?|up to) (\d+) (?:image|picture)")


class Captioner:
    """Pictures to drafts, by one server and model."""

    in_words = True
    cuts = False

    def __init__(
        self,
        options: Options,
        key: str,
        gate: Gate | None = None,
        purse: Purse | None = None,
        *,
        manner: Manner | None = None,
        detail: str = "auto",
        key_name: str = ROLE.key,
    ) -> None:
        """The server and model of `options`; `detail` is how closely the model shall look."""
        self._sight = Sight()
        self._shown = [_user(QUESTION, (self._sight.picture,), detail)]
        role = replace(ROLE, key=key_name)
        # Where files fail in a row it is a picture, too, that tells whether the server answers.
        self._server = Server(options, key, gate, purse, role=role, manner=manner, talk=self._shown)
        self._detail = detail
        self._most = MANY
        self.name, self.workers = self._server.name, self._server.workers

    @property
    def origin(self) -> str:
        return self._server.origin

    @property
    def most_pictures(self) -> int:
        return 1 if joycaption.NAMED.search(self.origin) else self._most

    def takes(self, kind: str, size: int) -> bool:
        return False  # no such server has a part for videos; they are shown as frames

    def prompt(self, policy: Policy, wish: Wish, model: str) -> str:
        return prompt(policy, wish, model)

    def prepare(self) -> Mapping[str, Any]:
        self.find()
        return self.look()

    def __call__(self, message: Message, attempt: Attempt) -> Answer:
        conversation = self._conversation(message)
        try:
            (reply,) = self._server([conversation], self._warmth(attempt), attempt.room)
        except TooLong as error:
            hint = "a smaller --max_side makes fewer tokens of a picture"
            raise TooLong(f"{error}; {hint}") from None
        except RuntimeError as error:
            most = _FEWER.search(str(error))
            if most and 0 < int(most[1]) < len(message.pictures):
                self._most = int(most[1])
                raise Fewer(str(error)) from None
            raise
        return answer(reply, self._server.options)

    # For those who send requests in their own way: `stages/batched.py`.

    @property
    def host(self) -> Host:
        return self._server.host

    def find(self) -> None:
        """Finds the server and its model. Raises Fatal as `prepare` does."""
        self._server.find()

    def body(self, message: Message, attempt: Attempt, learned: bool = True) -> Mapping[str, Any]:
        """The request that would be sent; not `learned`: as to a server of which nothing is known
        yet, which is the same in every run."""
        talk = self._conversation(message)
        return self._server.body(talk, self._warmth(attempt), attempt.room, learned)

    def weight(self, body: Mapping[str, Any]) -> tuple[int, int]:
        """(tokens of a request, about; tokens that its answer may have)."""
        return self._server.weight(body)

    def look(self) -> Mapping[str, Any]:
        """Looks whether the model sees; what it cost. Raises Fatal if it is sure that it does not,
        or for a key or a model that does not work."""

        def trial(picture: bool) -> Reply | None:
            talk = self._shown if picture else [{"role": "user", "content": QUESTION}]
            return self._server.probe(talk)

        return looked(self._sight, trial, self._server)

    def _warmth(self, attempt: Attempt) -> float | None:
        given = self._server.manner.temperature
        return max(given or 0.0, _WARM) if attempt.otherwise else given

    def let_go(self, message: Message) -> None:
        """Each request holds all that it shows."""

    def close(self) -> None:
        self._server.close()

    def _conversation(self, message: Message) -> Conversation:
        said = message.said
        system = said.system
        if not system and joycaption.NAMED.search(self.origin):
            system = joycaption.SYSTEM
        talk: list[Mapping[str, Any]] = [{"role": "system", "content": system}] if system else []
        talk.append(_user(said.prompt, message.pictures, self._detail))
        if said.reply:
            talk.append({"role": "assistant", "content": said.answer})
            talk.append({"role": "user", "content": said.reply})
        return talk


def answer(reply: Reply, prices: Options) -> Answer:
    """A draft of what the model said."""
    spent = dict(prices.spent(reply))
    tokens = spent.pop("completion_tokens")
    cut = (reply.finish or "").lower() in LIMIT_REASONS
    finish = "length" if cut else reply.finish or "stop"
    return Answer(reply.text.strip(), finish, tokens, spent=spent)


def _user(text: str, pictures: Sequence[Picture], detail: str) -> Mapping[str, Any]:
    """A user's message of a text and pictures. The text comes first: what it has in common with
    others can be cached. `detail` is sent only where it is asked for: not every server knows it."""
    parts: list[Mapping[str, Any]] = [{"type": "text", "text": text}]
    for picture in pictures:
        image = {"url": picture.uri}
        if detail != "auto":
            image["detail"] = detail
        parts.append({"type": "image_url", "image_url": image})
    return {"role": "user", "content": parts}
