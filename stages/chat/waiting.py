"""Requests under way in batches: sent once, waited for, their answers collected.

What is sent is written down before (`Memory`), so that whoever comes after this process, however it
ended, finds it: nothing is sent, and paid for, a second time.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

from stages.chat.batches import FULL, Batch, Batches
from stages.chat.dialect import only_thoughts
from stages.chat.host import Host
from stages.chat.outcome import outcome
from stages.chat.purse import Purse
from stages.llm import Options, Reply

log = logging.getLogger(__name__)

_FIRST, _RAREST = 1.0, 60.0  # seconds between two looks at a batch
_FIRST_LOCAL = 0.1  # where the server is this machine's own
# Batches that an empty queue of ours refuses, one after the other, and seconds until the second:
# other processes and people may have filled it.
_REFUSALS, _FULL = 5, 60.0
_FEW = 10  # answers that do not yet show what all will be


class Sent(Protocol):
    """Requests that were sent together."""

    tag: str
    at: float
    ids: set[str]
    batch: str
    given: set[str]


class Memory(Protocol):
    """What was sent and what came of it, kept beyond this process: see `enhance/submitted.py`."""

    def of(self, name: str) -> Any: ...
    def unsure(self, address: str) -> list[Any]: ...
    def begin(self, address: str, ids: Collection[str]) -> Any: ...
    def created(self, sent: Any, batch: str) -> None: ...
    def drop(self, sent: Any) -> None: ...
    def lose(self, sent: Any, ids: Collection[str]) -> None: ...
    def give(self, ids: Iterable[str]) -> None: ...
    def answer(self, name: str) -> Mapping[str, Any] | None: ...
    def answered(self, name: str, told: Mapping[str, Any]) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _Batch:
    """A batch that this process waits for."""

    sent: Sent
    due: float  # when it is looked at next
    pause: float
    alone: bool = False  # no other one of this process was under way when it was sent
    ended: bool = False
    status: str = ""
    turn: threading.Lock = field(default_factory=threading.Lock)
    held: ExitStack = field(default_factory=ExitStack)  # the money that it may cost


class Waiting:
    """The batches of one captioner. Any thread may ask."""

    def __init__(
        self,
        host: Host,
        batches: Batches,
        memory: Memory,
        purse: Purse,
        prices: Options,
        wait: float | None,
    ) -> None:
        """`prices` are those of a batch; `wait` is how many seconds the run waits for answers, None
        for as long as it takes."""
        self._host, self._batches, self._memory = host, batches, memory
        self._purse, self._prices, self._wait = purse, prices, wait
        self._until: float | None = None
        self._turn = threading.Lock()
        self._known: dict[str, _Batch] = {}  # by tag
        self._full = False  # the server's queue takes no more until a batch has ended
        self._not_before = 0.0  # or until some time has passed, if none of ours is in it
        self._refusals = 0  # of batches in a row that were alone
        self._pause = _FIRST_LOCAL if host.local else _FIRST
        self._closed = False
        self.outcomes: dict[str, Reply | RuntimeError] = {}
        self.heaviest = 0  # tokens of a request, as the answers tell

    @property
    def late(self) -> bool:
        """True when the run waits no longer."""
        return self._until is not None and time.monotonic() >= self._until

    def prepare(self) -> None:
        """Finds what runs that died may have left at the server. Raises Fatal for a server without
        batches."""
        if self._wait is not None:
            self._until = time.monotonic() + self._wait
        self._batches.check()
        unsure = {sent.tag: sent for sent in self._memory.unsure(self._host.address)}
        if not unsure:
            return
        chosen = {tag: sent.at for tag, sent in unsure.items()}
        found = self._batches.find(chosen)
        missing = chosen.keys() - found.keys()
        if missing:
            # A batch that is on its way to the server yet must find nothing to work on.
            self._batches.remove_inputs(missing)
            found |= self._batches.find({tag: chosen[tag] for tag in missing})
        for tag, sent in unsure.items():
            if tag in found:
                self._memory.created(sent, found[tag])
            else:
                self._memory.drop(sent)

    def knows(self, name: str) -> bool:
        """True if a request need not be sent: it is answered, or under way."""
        return name in self.outcomes or self._memory.of(name) is not None

    def send(self, requests: IO[bytes], ids: Collection[str], tokens: int, answer: int) -> bool:
        """Starts a batch of requests, which may cost so many tokens of prompts and answers; False
        if the run does not wait until it can. Raises Fatal if there is not the money for it."""
        while self._crowded and not self.late:
            self._host.pause(self._pause)
        held = ExitStack()
        worst = self._prices.cost(max(tokens * 1.5, self.heaviest * len(ids)), answer)
        held.enter_context(self._purse.hold(worst, lambda: self._host.stopped or self.late))
        if self._host.stopped or self._crowded or not self._purse.within:
            held.close()
            return False
        sent = self._memory.begin(self._host.address, ids)
        batch = self._batches.submit(requests, sent.tag)
        self._memory.created(sent, batch.id)
        log.info("%s: batch %s of %s", self._host.address, batch.id, _pictures(len(ids)))
        pause = self._pause if batch.wait is None else self._wished(batch)
        with self._turn:
            alone = all(one.ended for one in self._known.values())
            due = time.monotonic() + pause
            self._known[sent.tag] = _Batch(sent, due, self._pause, alone=alone, held=held)
        return True

    def wait(self, ids: Collection[str]) -> None:
        """Until each is answered, or has to be sent, or the run waits no longer."""
        while waiting := self._under_way(ids):
            for batch in waiting:
                with batch.turn:
                    # One look is due to each, even where nothing is waited for.
                    due = 0.0 if self.late else time.monotonic()
                    if not batch.ended and batch.due <= due:
                        self._look(batch)
            if not (waiting := self._under_way(ids)):
                return
            if self.late:
                self._purse.wake()  # who waits for money of these
                return
            next_look = min(batch.due for batch in waiting)
            ends = [next_look] if self._until is None else [next_look, self._until]
            self._host.pause(max(0.01, min(ends) - time.monotonic()))

    def close(self) -> None:
        """What is under way goes on at the server; says so."""
        if self._closed:
            return
        self._closed = True
        self._batches.close()
        with self._turn:
            left = [batch for batch in self._known.values() if not batch.ended]
        for batch in self._known.values():
            batch.held.close()
        if left:
            count = _pictures(sum(len(batch.sent.ids) for batch in left))
            are = f"{len(left)} batches of {count} are" if left[1:] else f"a batch of {count} is"
            told = "under way; the same command collects the answers"
            log.warning("%s: %s %s", self._host.address, are, told)
        self._memory.close()

    @property
    def _crowded(self) -> bool:
        return self._full or time.monotonic() < self._not_before

    def _wished(self, told: Batch) -> float:
        """Seconds until the server wants to be asked again; "at once" is meant for one request."""
        return max(told.wait or 0.0, 0.0 if self._host.local else _FIRST)

    def _under_way(self, ids: Collection[str]) -> list[_Batch]:
        found: dict[str, _Batch] = {}
        for name in ids:
            sent = None if name in self.outcomes else self._memory.of(name)
            if sent is not None and sent.tag not in found:
                with self._turn:
                    new = _Batch(sent, 0.0, self._pause)
                    found[sent.tag] = self._known.setdefault(sent.tag, new)
        return [batch for batch in found.values() if not batch.ended]

    def _look(self, batch: _Batch) -> None:
        if not batch.sent.batch:  # it is on its way
            batch.due = time.monotonic() + batch.pause
            return
        told = self._batches.look(batch.sent.batch)
        if told is None:
            raise self._host.fatal(
                f"does not know the batch {batch.sent.batch}, in which answers of this dataset are "
                "under way: is the key one of another project? To have its pictures asked anew, "
                "delete .enhance/batches.*.jsonl"
            )
        if told.status != batch.status:
            level = logging.INFO if told.ended else logging.DEBUG
            log.log(level, "%s: batch %s: %s", self._host.address, told.id, told.status)
            batch.status = told.status
        if told.ended:
            self._collect(batch, told)
            return
        batch.due = time.monotonic() + (batch.pause if told.wait is None else self._wished(told))
        batch.pause = min(batch.pause * 1.5, _RAREST)

    def _collect(self, batch: _Batch, told: Batch) -> None:
        sent = batch.sent
        answers: dict[str, Reply | RuntimeError] = {}
        for file in told.files:
            with tempfile.TemporaryFile() as into:
                if self._batches.fetch(file, into):
                    into.seek(0)
                    answers |= dict(outcome(line, self._host) for line in into)
                else:
                    log.warning("%s: the answers of batch %s are gone", self._host.address, told.id)
        answers = {name: answer for name, answer in answers.items() if name in sent.ids}
        turned_away = told.status == "failed" and bool(told.errors or not answers)
        if not turned_away:
            why = RuntimeError(
                f"{self._host.address}: its batch {told.status} without an answer to it; the same "
                "command asks again"
            )
            answers |= dict.fromkeys(sent.ids - answers.keys(), why)
        replies = [answer for answer in answers.values() if isinstance(answer, Reply)]
        for name, reply in answers.items():
            if not isinstance(reply, Reply):
                continue
            if name not in sent.given:  # in an earlier run, which paid
                self._purse.pay(self._prices.cost(reply.prompt_tokens, reply.completion_tokens))
            self.heaviest = max(self.heaviest, reply.prompt_tokens)
        self.outcomes.update(answers)
        lost = {name for name in sent.ids if not isinstance(answers.get(name), Reply)}
        with self._turn:
            batch.ended = True
            self._full = False
            if replies:
                self._refusals = 0
        batch.held.close()
        self._memory.lose(sent, lost)
        if told.input:
            self._batches.remove(told.input)  # the pictures: the server needs them no longer
        if turned_away:
            self._turned_away(batch, told, len(lost))
        self._doubt(replies)

    def _turned_away(self, batch: _Batch, told: Batch, count: int) -> None:
        """A batch of which the server did nothing."""
        said = "; ".join(dict.fromkeys(": ".join(filter(None, one)) for one in told.errors[:5]))
        if not any(code == FULL for code, _ in told.errors):
            raise self._host.fatal(
                f"refuses a batch of {_pictures(count)}: {said or 'it does not say why'}"
            )
        with self._turn:
            self._full = any(not one.ended for one in self._known.values())
            if batch.alone and not self._full:
                self._refusals += 1
                pause = _FULL * 2 ** (self._refusals - 1) if told.wait is None else told.wait
                self._not_before = time.monotonic() + pause
        if self._refusals == _REFUSALS:
            raise self._host.fatal(
                f"{said.rstrip('.')}: {count} pictures are too many for its queue now; wait for "
                "batches that others have there, or send fewer with --batch_size"
            )
        self._host.tell("full", f"{said.rstrip('.')}; {count} pictures wait for room")

    def _doubt(self, replies: Collection[Reply]) -> None:
        """Raises Fatal if most answers are thoughts alone: each would be asked for again."""
        empty = sum(only_thoughts(reply) for reply in replies)
        if empty >= _FEW and empty > len(replies) / 2:
            raise self._host.fatal(
                f"{empty} of {len(replies)} answers of a batch are thoughts without a caption: "
                "give it more room (--max_new_tokens) or less to think (--reasoning_effort low)"
            )


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"
