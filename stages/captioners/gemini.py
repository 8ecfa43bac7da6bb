"""Google's Gemini, by its own API and SDK (extra `gemini`): pictures, and videos as they are.

Nothing is loaded here, and the SDK only by the first request (`stages/gemini`). The rules for what
fails are those for all servers (`stages/chat`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stages.asking import Asked
from stages.captioners import MANY, Answer, Attempt, Message, Model
from stages.chat.gate import Gate
from stages.chat.place import Role
from stages.chat.purse import Purse
from stages.chat.shown import looked
from stages.gemini.client import Gemini
from stages.gemini.videos import taken
from stages.joy import Wish, in_words
from stages.llm import Manner, Options, Reply, TooLong
from stages.policy import Policy
from stages.sight import QUESTION, Sight

TYPES: frozenset[str] = frozenset()  # a service tells no types
STAND_INS: dict[str, str] = {}
MODELS: tuple[Model, ...] = ()  # they change by the month: the service lists them
IN_WORDS = True
ROLE = Role(
    name="Gemini",
    doing="drafting",
    url="--captioner_base_url",
    model="--model_id",
    key="GEMINI_API_KEY",
    without="without --captioner gemini, a model drafts in this process",
)
_WARM = 0.7  # of an answer that is asked for anew, since the first ran in circles


def prompt(policy: Policy, wish: Wish) -> str:
    """What a model is asked by default."""
    return in_words(policy, wish)


class Captioner:
    """Pictures and videos to drafts, by one Gemini model."""

    in_words = True
    cuts = True

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
        """The model of `options`. Raises Fatal where a key is needed and there is none."""
        self._sight = Sight()
        self._gemini = Gemini(
            options,
            key,
            gate,
            purse,
            role=replace(ROLE, key=key_name),
            manner=manner or options.manner,
            detail=detail,
            talk=Message(Asked(QUESTION), (self._sight.picture,)),
        )
        self.name, self.workers = self._gemini.name, self._gemini.workers

    @property
    def origin(self) -> str:
        return self._gemini.origin

    @property
    def most_pictures(self) -> int:
        return MANY

    def takes(self, kind: str, size: int) -> bool:
        return taken(kind, size)

    def prompt(self, policy: Policy, wish: Wish, model: str) -> str:
        return prompt(policy, wish)

    def prepare(self) -> Mapping[str, Any]:
        self._gemini.find()

        def trial(picture: bool) -> Reply | None:
            shown = (self._sight.picture,) if picture else ()
            return self._gemini.trial(Message(Asked(QUESTION), shown))

        return looked(self._sight, trial, self._gemini)

    def __call__(self, message: Message, attempt: Attempt) -> Answer:
        given = self._gemini.manner.temperature
        warmth = max(given or 0.0, _WARM) if attempt.otherwise else given
        try:
            reply = self._gemini(message, warmth, attempt.room)
        except TooLong as error:
            hint = "a smaller --max_side makes fewer tokens of a picture"
            raise TooLong(f"{error}; {hint}") from None
        spent = dict(self._gemini.options.spent(reply))
        tokens = spent.pop("completion_tokens")
        return Answer(reply.text.strip(), reply.finish or "stop", tokens, spent=spent)

    def let_go(self, message: Message) -> None:
        self._gemini.let_go(message)

    def close(self) -> None:
        self._gemini.close()
