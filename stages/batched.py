"""A captioner behind a server that answers within a day, at half price: many pictures at once.

Pictures are opened when it is their turn to be sent, a batch at a time, and go from there to a
temporary file: a dataset would fill the memory. What is asked again, since an answer was cut off or
breaks the rules, is asked at once and alone: another day for a few files would be a bad bargain.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from stages import drafter, llm
from stages.asking import Asked
from stages.captioners import Answer, Attempt, Message, Shown
from stages.captioners.openai import Captioner, answer
from stages.chat.batches import ENDPOINT, Batches
from stages.chat.purse import Purse
from stages.chat.shard import MOST, Line, Shard
from stages.chat.waiting import Memory, Waiting
from stages.hosted import Served
from stages.kinds import is_video
from stages.llm import Reply
from stages.reel import Sampling
from stages.sample import NotYet, Unavailable, Unusable

SIZE = 300  # pictures of a batch
_WORKERS = 64  # batches that are waited for at once
_OPENED = 4  # pictures at once
_AGAIN = 8  # requests at once that are asked again
_FIRST = Attempt()


@dataclass(frozen=True, slots=True)
class Options:
    """Batches of drafts."""

    batch_api: bool = field(
        default=False,
        metadata={
            "help": "with --captioner openai: send pictures in batches (of --batch_size 300), at "
            "half price, answered within a day"
        },
    )
    batch_wait: float | None = field(
        default=None,
        metadata={
            "help": "seconds to wait for batches; what is under way then, the same command "
            "collects later; 0: send them and end (default: wait until all are answered)",
            "metavar": "S",
            "least": 0,
        },
    )


class Halved(llm.Options):
    """A server whose batches cost half of its prices."""

    @classmethod
    def of(cls, server: llm.Options) -> Halved:
        half = {"price_in": server.price_in / 2, "price_out": server.price_out / 2}
        return cls(**asdict(server) | half)


@dataclass(frozen=True, slots=True)
class Later:
    """What is opened when it is sent."""

    media: Path
    background: str
    sampling: Sampling
    part: int = 0  # of what the file is shown as
    broken: Unusable | Unavailable | None = None  # why it cannot be opened
    asked: Asked = field(default_factory=lambda: Asked(""))
    alone: bool = False  # asked at once, in no batch


class Batched(Served):
    """A model on a server that takes batches."""

    def __init__(
        self,
        drafts: drafter.Options,
        options: Options,
        server: llm.Options,
        captioner: Captioner,
        memory: Memory,
        purse: Purse,
    ) -> None:
        """`server` is the one that `captioner` asks, with its prices; `memory` outlives the run."""
        half = Halved.of(server)
        super().__init__(drafts, half, captioner)
        self.workers = _WORKERS
        self._prices = half
        self._one: Captioner = captioner
        self._memory = memory
        host, wait = captioner.host, options.batch_wait
        self._waiting = Waiting(host, Batches(host), memory, purse, half, wait)
        self._sending = threading.Lock()
        self._sees = False
        self._turn = threading.Lock()
        self._ids: dict[Later, str] = {}
        self._shown: dict[Later, list[Shown]] = {}  # videos, without their frames
        self._alone: dict[str, Answer | RuntimeError] = {}  # what was asked again
        self._told: set[str] = set()  # whose cost is counted
        self._owed = Counter[str]()  # what was asked for no picture

    def prepare(self) -> Mapping[str, Any]:
        """Whether the model sees is asked before the first batch is sent, if one is."""
        if not self._prepared:
            self._prepared = True
            self._one.find()
            self._waiting.prepare()
        return {}

    def batch_size(self, wished: int) -> int:
        return min(wished or SIZE, MOST)

    def open(self, media: Path, background: str, sampling: Sampling) -> list[Shown]:
        later = Later(media, background, sampling)
        if not is_video(media):
            return [Shown(later)]
        if later not in self._shown:  # when its frames are shown is asked for before it is sent
            try:
                several = super().open(media, background, sampling)
            except (Unusable, Unavailable) as error:
                several = [Shown(replace(later, broken=error.with_traceback(None)))]
            else:
                several = [
                    replace(one, given=replace(later, part=part))
                    for part, one in enumerate(several)
                ]
            self._shown[later] = several
        return self._shown[later]

    def request(self, shown: Shown, asked: Asked) -> Any:
        return replace(shown.given, asked=asked)

    def again(self, request: Any, asked: Asked) -> Any:
        return replace(request, asked=asked, alone=True)

    def __call__(self, requests: Sequence[Any], attempt: Attempt) -> list[Answer]:
        """Raises Unusable, Unavailable or RuntimeError for one that has no answer: the others keep
        theirs."""
        if attempt != _FIRST or any(request.alone for request in requests):
            return self._asked_alone(requests, attempt)
        while True:
            ids = self._sent(requests)
            self._waiting.wait(ids)
            if self._waiting.late or all(name in self._waiting.outcomes for name in ids):
                return self._taken(ids)

    def close(self) -> None:
        super().close()
        self._waiting.close()

    def _sent(self, requests: Sequence[Later]) -> list[str]:
        """The ids of requests, all of which are answered or under way, or will not be in this run.
        Raises what the first picture does that cannot be opened, once the others are sent."""
        known = [self._ids.get(request, "") for request in requests]
        if all(name and self._waiting.knows(name) for name in known):
            return known  # as when the flow comes back with a part of them
        ids: list[str] = []
        broken: Exception | None = None
        with self._sending, Shard(self._waiting) as shard, ThreadPoolExecutor(_OPENED) as pool:
            for start in range(0, len(requests), _OPENED):
                for made in pool.map(self._made, requests[start : start + _OPENED]):
                    if isinstance(made, Exception):
                        broken = broken or made
                    elif isinstance(made, str):
                        ids.append(made)
                    else:
                        ids.append(made.name)
                        shard.add(made)
                if self._one.host.stopped:
                    raise RuntimeError("the run was stopped")
            shard.send()
        if broken is not None:
            raise broken
        return ids

    def _made(self, request: Later) -> Line | str | Exception:
        """The request, or only its id if it need not be sent, or what is wrong with the picture."""
        known = self._ids.get(request)
        if known is not None and self._waiting.knows(known):
            return known
        try:
            message = self._message(request)
        except (Unusable, Unavailable) as error:
            return error
        name = self._id(self._one.body(message, _FIRST, learned=False))
        self._ids[request] = name
        if self._waiting.knows(name):
            return name
        self._look()
        body = self._one.body(message, _FIRST)
        line = {"custom_id": name, "method": "POST", "url": ENDPOINT, "body": body}
        return Line(name, json.dumps(line).encode() + b"\n", *self._one.weight(body))

    def _message(self, request: Later) -> Message:
        if request.broken is not None:
            raise request.broken
        shown = super().open(request.media, request.background, request.sampling)[request.part]
        return super().request(shown, request.asked)

    def _id(self, body: Mapping[str, Any]) -> str:
        """The same whenever the same is asked: by that it is known what was paid for."""
        said = json.dumps([self._one.host.address, body], sort_keys=True)
        return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()

    def _look(self) -> None:
        with self._turn:
            if not self._sees:
                self._owed.update(self._one.look())
                self._sees = True

    def _taken(self, ids: Sequence[str]) -> list[Answer]:
        """The answers, whose cost is told once. Raises for the first that has none."""
        replies: list[Reply] = []
        for name in ids:
            outcome = self._waiting.outcomes.get(name)
            if isinstance(outcome, Reply):
                replies.append(outcome)
            elif outcome is not None:
                raise RuntimeError(str(outcome))
            elif self._memory.of(name) is not None:
                where = self._one.host.address
                raise NotYet(
                    f"under way in a batch at {where}; the same command collects the answer"
                )
            else:
                raise NotYet("not sent yet; the same command goes on from here")
        for name in ids:
            sent = self._memory.of(name)
            if sent is not None and name in sent.given:  # an earlier run paid and told
                self._told.add(name)
        self._memory.give(ids)
        answers = [answer(reply, self._prices) for reply in replies]
        return [self._counted(*one) for one in zip(ids, answers, strict=True)]

    def _asked_alone(self, requests: Sequence[Later], attempt: Attempt) -> list[Answer]:
        """Asked by the client that asks at once, at full price; once, however often the flow comes
        back with the same, and whatever ends the run between."""
        with ThreadPoolExecutor(_AGAIN) as pool:
            found = list(pool.map(lambda one: self._answer_alone(one, attempt), requests))
        for _, outcome in found:
            if isinstance(outcome, RuntimeError):
                raise RuntimeError(str(outcome))
        return [self._counted(name, one) for name, one in found if isinstance(one, Answer)]

    def _answer_alone(self, request: Later, attempt: Attempt) -> tuple[str, Answer | RuntimeError]:
        message = self._message(request)
        name = self._id(self._one.body(message, attempt, learned=False))
        outcome = self._alone.get(name)
        if outcome is None and (told := self._memory.answer(name)) is not None:
            outcome = Answer(str(told["text"]), str(told["finish"]))
        if outcome is None:
            try:
                outcome = self._one(message, attempt)
                told = {"text": outcome.text, "finish": outcome.finish}
                self._memory.answered(name, told)
            except RuntimeError as error:
                outcome = error.with_traceback(None)
        self._alone[name] = outcome
        return name, outcome

    def _counted(self, name: str, one: Answer) -> Answer:
        """With what it cost, unless that was told."""
        with self._turn:
            if name in self._told:
                return replace(one, tokens=0, spent={})
            self._told.add(name)
            owed, self._owed = self._owed, Counter()
        return replace(one, spent=owed + Counter(one.spent)) if owed else one
