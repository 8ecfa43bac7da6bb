"""One process per GPU: which rank this is, its device, and who takes which file.

No collectives: a rank never waits for another. What ranks share (the list of files, counts, the
end) goes through atomic counters in the launcher's own key-value store, which outlives any rank.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from stages.sample import Fatal

_STARTED = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")  # how many processes an MPI launcher started


class Ranks:
    """This process among those of its launch."""

    def __init__(self, rank: int = 0, world: int = 1, local: int = 0, store: Any = None) -> None:
        self.rank, self.world, self.local = rank, world, local
        self._store = store
        self._prefix = "enhance"
        # One name for all processes of this launch, another for every launch.
        self.launch = uuid.uuid4().hex[:16]
        if store is not None:
            self._prefix = f"enhance/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
            won = store.compare_set(f"{self._prefix}/launch", "", self.launch)
            self.launch = won.decode()

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Ranks:
        """What the launcher says. Raises Fatal if it contradicts itself."""
        try:
            values = {
                name: int(environment[name])
                for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
                if name in environment
            }
            started = max(int(environment.get(name) or 1) for name in _STARTED)
        except ValueError:
            names = ", ".join(("RANK", "WORLD_SIZE", "LOCAL_RANK", *_STARTED))
            raise Fatal(f"the launcher's {names} must be numbers") from None
        rank, world = values.get("RANK", 0), values.get("WORLD_SIZE", 1)
        if ("RANK" in values) != ("WORLD_SIZE" in values) or not 0 <= rank < world:
            raise Fatal(
                f"the launcher says RANK={environment.get('RANK')} of "
                f"WORLD_SIZE={environment.get('WORLD_SIZE')}: use `accelerate launch` or start "
                "without these variables"
            )
        if started > 1 and world == 1:
            raise Fatal(
                f"{started} processes were started, but each was told it is alone: every file "
                "would be done by all of them. Use `accelerate launch --multi_gpu "
                f"--num_processes {started}`"
            )
        if world == 1:
            return cls()
        ranks = cls(rank, world, values.get("LOCAL_RANK", rank), _launcher_store(environment))
        if ranks.add(f"rank {rank}", 1) > 1:
            raise Fatal(f"two processes were started as rank {rank} of {world}")
        return ranks

    @property
    def cores(self) -> int:
        """This process's part of the cores of its machine, at least one."""
        usable = getattr(os, "sched_getaffinity", None)
        count = len(usable(0)) if usable else os.cpu_count() or 1
        beside = os.environ.get("LOCAL_WORLD_SIZE", "")
        return max(1, count // int(beside) if beside.isdigit() and int(beside) else count)

    @property
    def main(self) -> bool:
        """True for the one process that shows progress."""
        return self.rank == 0

    def device(self) -> str:
        """The accelerator of this process as torch names it, else "cpu". Imports torch."""
        import torch

        wish = os.environ.get("ACCELERATE_TORCH_DEVICE")
        if wish:
            return wish
        on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
        if on_cpu or not torch.accelerator.is_available():
            return "cpu"
        # Not accelerate's PartialState: it starts a process group, which is a collective.
        kind = str(torch.accelerator.current_accelerator()).partition(":")[0]
        count = torch.accelerator.device_count()
        if self.local >= count:
            raise Fatal(
                f"process {self.local + 1} of this machine has no {kind} device of its own: there "
                f"are {count}; start with --num_processes {count}"
            )
        return kind if kind == "mps" else f"{kind}:{self.local}"

    def add(self, name: str, amount: int) -> int:
        """Adds to a counter that all ranks share; the new sum. Alone, a rank has no counters.

        Raises Fatal if the launcher, whose store it is, has ended.
        """
        if self._store is None:
            return amount
        with _launcher():
            return int(self._store.add(f"{self._prefix}/{name}", amount))

    def first(self, name: str) -> bool:
        """True for the first process that asks by this name."""
        try:
            return self._store is None or self.add(f"first/{name}", 1) == 1
        except Fatal:
            return self.main

    def put(self, name: str, text: str) -> None:
        """Lays a text where any rank may take it."""
        if self._store is not None:
            place = self.add(name, 1)
            with _launcher():
                self._store.set(f"{self._prefix}/{name}/{place}", text)

    def take(self, name: str) -> Iterator[str]:
        """The texts that were put there by now, each for one rank alone."""
        place = 0
        while self._store is not None and place < self.add(name, 0):
            place += 1
            if self.add(f"{name}/{place}/taken", 1) == 1:
                with _launcher():
                    text = self._store.get(f"{self._prefix}/{name}/{place}").decode()
                yield text

    def tell(self, text: str) -> list[str]:
        """Hands in this rank's text; those of all ranks that did so by now, as many as there are
        ranks to the last one."""
        if self._store is None:
            return [text]
        with _launcher():
            self._store.set(f"{self._prefix}/told/{self.rank}", text)
        self.add("told", 1)
        return self.told()

    def told(self) -> list[str]:
        """The texts that ranks have handed in by now."""
        if self._store is None:
            return []
        names = [f"{self._prefix}/told/{rank}" for rank in range(self.world)]
        with _launcher():
            return [self._store.get(name).decode() for name in names if self._store.check([name])]


@contextmanager
def _launcher() -> Iterator[None]:
    """Turns what its store raises into what that means."""
    try:
        yield
    except RuntimeError:
        raise Fatal("the launcher has ended, and this process ends with it") from None


def _launcher_store(environment: Mapping[str, str]) -> Any:
    """The store that the launcher hosts for its processes. Raises Fatal if there is none."""
    if environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        raise Fatal(
            "this launcher offers its processes no store to share work: use `accelerate launch`"
        )
    # Else a launcher that ends is mourned with C++ stack traces.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    try:
        return TCPStore(
            environment["MASTER_ADDR"],
            int(environment["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=60),
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise Fatal(f"the launcher's store cannot be reached: {error}") from None
