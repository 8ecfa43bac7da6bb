"""Any model on Replicate that takes pictures, the vendor's own and those that people put there.

Nothing is loaded here. What a model takes is read from its own schema (`stages/predictions`); the
rules for what fails are those of the client that merges (`stages/chat`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stages.captioners import Answer, Attempt, Message, Model, joycaption
from stages.chat.gate import Gate
from stages.chat.place import Role
from stages.chat.purse import Purse
from stages.joy import Wish, in_words
from stages.llm import Manner, Options
from stages.policy import Policy
from stages.predictions.begun import Begun
from stages.predictions.service import Predictions
from stages.sample import Fatal

TYPES: frozenset[str] = frozenset()  # a server tells no types
STAND_INS: dict[str, str] = {}
MODELS: tuple[Model, ...] = ()  # whichever Replicate has
IN_WORDS = True
ROLE = Role(
    name="Replicate",
    doing="drafting",
    url="--captioner_base_url",
    model="--model_id",
    key="REPLICATE_API_TOKEN",
    without="without one, a model drafts in this process",
)
# What takes pictures there, by the vendor's pages; none was tried from here, and they change.
SOME = "google/gemini-3-flash, or a Qwen-VL, JoyCaption or Florence that people put there"
LARGEST_FILM = 100_000_000  # bytes of a file that may be uploaded
_NAMED = re.compile(r"[\w.-]+/[\w.-]+(?::\w+)?")
_WARM = 0.7  # of an answer that is asked for anew, since the first ran in circles


def prompt(policy: Policy, wish: Wish, model: str = "") -> str:
    """What a model is asked by default; JoyCaption as it was trained to be."""
    asks = joycaption.prompt if joycaption.NAMED.search(model) else in_words
    return asks(policy, wish)


class Captioner:
    """Pictures and videos to drafts, by one model on Replicate."""

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
        begun: Begun | None = None,
    ) -> None:
        """The model of `options`; `begun` is what earlier processes left there. `detail` is no
        input of such models. Raises Fatal, status 2, where no model is named."""
        if not _NAMED.fullmatch(options.model):
            wrong = f" {options.model} is none" if options.model else ""
            raise Fatal(
                f"--captioner replicate: --model_id{wrong}: owner/name or owner/name:version of "
                f"a model on Replicate that takes pictures, such as {SOME}",
                2,
            )
        role = replace(ROLE, key=key_name)
        self._manner = manner or options.manner
        self._service = Predictions(options, key, gate, purse, role, self._manner, begun)
        self.name, self.workers = options.model, self._service.workers

    @property
    def origin(self) -> str:
        return self.name

    @property
    def most_pictures(self) -> int:
        return self._service.course.most_pictures

    @property
    def in_words(self) -> bool:
        """True if it has a field for what it is to do; known once prepared."""
        return self._service.course.inputs.prompt is not None

    def takes(self, kind: str, size: int) -> bool:
        inputs = self._service.course.inputs
        picture, video = inputs.picture, inputs.video
        alone = video is picture or not (picture and picture.needed)
        return video is not None and alone and size <= LARGEST_FILM

    def prompt(self, policy: Policy, wish: Wish, model: str) -> str:
        return prompt(policy, wish, model)

    def prepare(self) -> Mapping[str, Any]:
        self._service.prepare()
        return {}

    def __call__(self, message: Message, attempt: Attempt) -> Answer:
        manner = replace(self._manner, max_tokens=self._manner.max_tokens * attempt.room)
        if attempt.otherwise:
            manner = replace(manner, temperature=max(manner.temperature or 0.0, _WARM))
        errand = self._service.errand(message, attempt, manner)
        reply = self._service(errand)
        spent = dict(self._service.options.spent(reply))
        tokens = spent.pop("completion_tokens")
        if errand.seconds:
            spent["predict_seconds"] = errand.seconds
        return Answer(reply.text.strip(), reply.finish or "stop", tokens, spent=spent)

    def let_go(self, message: Message) -> None:
        self._service.let_go(message)

    def close(self) -> None:
        self._service.close()
