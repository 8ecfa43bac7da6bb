"""A room that several concepts share: each file goes to the stage of its own concept."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.generate import Generate
from stages.llm import Chat
from stages.sample import Caption, Sample, Stage


class Shared:
    """One room of a run for all concepts. A concept without a stage here is passed on."""

    def __init__(
        self, output: str, parts: Mapping[str, Stage | None], whose: Callable[[Path], str]
    ) -> None:
        """`parts` are the stages by the name of their concept, some of them perhaps one object;
        `whose` tells the name of the concept that a media file belongs to."""
        self.output = output
        self._parts = parts
        self._whose = whose
        self._turn = threading.Lock()
        self._doors: dict[int, threading.Semaphore] = {}
        # Each stage once.
        self.parts = list({id(part): part for part in parts.values() if part}.values())

    @property
    def batch_size(self) -> int:
        return max(part.batch_size for part in self.parts)

    @property
    def workers(self) -> int:
        return max(part.workers for part in self.parts)

    @property
    def spent(self) -> Counter[str]:
        return sum((part.spent for part in self.parts), Counter[str]())

    def part(self, sample: Sample) -> Stage | None:
        """The stage that a sample goes to."""
        return self._parts[self._whose(sample.media)]

    def key(self, sample: Sample) -> str:
        part = self.part(sample)
        return part.key(sample) if part else ""

    def settings(self, media: Path) -> str:
        part = self._parts[self._whose(media)]
        return part.settings(media) if part else ""

    def prepare(self) -> None:
        """Prepares all; a run prepares those that have something to do, see `part_of`."""
        for part in self.parts:
            part.prepare()

    def load(self) -> None:
        """Loads all; a run loads those that have something to do."""
        for part in self.parts:
            part.load()

    def __call__(self, batch: Sequence[Sample]) -> Sequence[Caption]:
        """Each stage with its own samples, in batches that it can take."""
        by_stage: dict[int, tuple[Stage, list[int]]] = {}
        for place, sample in enumerate(batch):
            its = self.part(sample)
            assert its is not None  # the cache passes on what has none
            by_stage.setdefault(id(its), (its, []))[1].append(place)
        captions: dict[int, Caption] = {}
        for stage, mine in by_stage.values():
            size = max(1, stage.batch_size)
            for start in range(0, len(mine), size):
                places = mine[start : start + size]
                with self._door(stage):
                    answers = stage([batch[place] for place in places])
                captions.update(zip(places, answers, strict=True))
        return [captions[place] for place in range(len(batch))]

    def close(self) -> None:
        for part in self.parts:
            part.close()

    def _door(self, stage: Stage) -> threading.Semaphore:
        """The room has as many workers as its busiest stage; the others bear fewer."""
        with self._turn:
            return self._doors.setdefault(id(stage), threading.Semaphore(max(1, stage.workers)))


class OneChat:
    """A chat model that the merges of several concepts share: prepared once."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._prepared = False

    def prepare(self) -> None:
        if not self._prepared:
            self._chat.prepare()
            self._prepared = True

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        return self._chat(*arguments, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chat, name)


def room(
    output: str, parts: Mapping[str, Stage | None], whose: Callable[[Path], str]
) -> Stage | None:
    """The stage of all concepts, if they have one and the same; else a room that they share."""
    different = {id(part): part for part in parts.values()}
    if len(different) == 1:
        return next(iter(different.values()))
    return Shared(output, parts, whose)


def part_of(stage: Stage, sample: Sample) -> Stage | None:
    """The stage that a sample really goes to; None if it is passed on."""
    return stage.part(sample) if isinstance(stage, Shared) else stage


def computes(stage: Stage) -> bool:
    """True if a model works for this stage within this process: it has to be loaded, may not fit
    into the memory, and may take the process with it. A server is asked one file at a time."""
    return any(
        part.server is None if isinstance(part, Generate) else part.batch_size > 1
        for part in parts_of(stage)
    )


def parts_of(stage: Stage) -> list[Stage]:
    """The stages behind a room."""
    return stage.parts if isinstance(stage, Shared) else [stage]
