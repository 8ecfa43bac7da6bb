"""A captioner that computes nothing: each picture says by its colour how long it takes and what
goes wrong with it, the environment how fast each process is."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from glob import glob
from typing import Any

from paces import KINDS, SAID

from stages.captioners import Answer

TYPES = frozenset({"resnet"})  # no captioner of ours will ever claim it
STAND_INS: dict[str, str] = {}
MODELS = ()
PROMPT = ""
HEAVY = 30.0


def prompt(*_: object) -> str:
    return PROMPT


def _of_rank(name: str, otherwise: float) -> float:
    """The value for this process in a list such as "1,1,0.6"."""
    values = os.environ.get(name, "").split(",")
    rank = int(os.environ.get("RANK", "0"))
    return float(values[rank % len(values)] or otherwise)


def _wait() -> None:
    """Tells that this process waits at the gate, and does until it is opened."""
    gate = os.environ["PACED_GATE"]
    with open(f"{gate}.{os.getpid()}", "w"):
        pass
    while not os.path.exists(gate):
        time.sleep(0.02)


class Captioner:
    size = None

    def __init__(self, *_: object) -> None:
        time.sleep(_of_rank("PACED_LOAD", 0.0))
        if _of_rank("PACED_LATE", 0.0):
            _wait()
        while _of_rank("PACED_AFTER", 0.0) and not glob(f"{os.environ['PACED_GATE']}.*"):
            time.sleep(0.02)
        self._log = os.environ.get("PACED_LOG", "")
        self._seconds = _of_rank("PACED_SECONDS", 0.0) / _of_rank("PACED_SPEED", 1.0)
        self._fits = int(_of_rank("PACED_FITS", 1e9))
        self._turn = threading.Lock()
        self._broken = bool(_of_rank("PACED_BROKEN", 0.0))

    def check(self, *_: object) -> None:
        """Any prompt will do."""

    def __call__(self, batch: Sequence[Any], *_: object) -> list[Answer]:
        with self._turn:
            return self._answers([getattr(one, "image", one).getpixel((0, 0)) for one in batch])

    def _answers(self, colours: Sequence[tuple[int, int, int]]) -> list[Answer]:
        kinds = [KINDS[blue] for _, _, blue in colours]
        if "breaks" in kinds:
            self._broken = True
        if self._broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if "too large" in kinds or len(kinds) > self._fits:
            raise MemoryError(f"a batch of {len(kinds)} does not fit")
        if "confuses" in kinds:
            raise ValueError("this picture confuses the model")
        if "waits" in kinds:
            _wait()
        if "kills" in kinds:
            os.abort()
        ready = time.time()
        time.sleep(self._seconds * sum(HEAVY if kind == "heavy" else 1.0 for kind in kinds))
        if self._log:
            with open(os.path.join(self._log, os.environ.get("RANK", "0")), "a") as log:
                print(
                    json.dumps({"ready": ready, "ended": time.time(), "count": len(kinds)}),
                    file=log,
                )
        return [Answer(SAID.format(red * 256 + green), "stop") for red, green, _ in colours]
