"""One process per GPU: which rank this is, its device, and who takes which file.

No collectives: a rank never waits for another. What ranks share (the list of files, counts, the
end) goes through atomic counters in the launcher's own key-value store, which outlives any rank.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from stages.sample import Fatal

T = TypeVar("T")

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

    def share(self, items: Sequence[T]) -> Iterator[T]:
        """The items this process is to do: all, or what it claims in shrinking ranges."""
        if self._store is None:
            yield from items
            return
        ranges = shrinking_ranges(len(items), self.world)
        while (claim := self.add("claimed", 1) - 1) < len(ranges):
            start, stop = ranges[claim]
            yield from items[start:stop]

    def add(self, name: str, amount: int) -> int:
        """Adds to a counter that all ranks share; the new sum. Alone, a rank has no counters.

        Raises Fatal if the launcher, whose store it is, has ended.
        """
        if self._store is None:
            return amount
        try:
            return int(self._store.add(f"{self._prefix}/{name}", amount))
        except RuntimeError:
            raise Fatal("the launcher has ended, and this process ends with it") from None

    def first(self, name: str) -> bool:
        """True for the first process that asks by this name."""
        try:
            return self._store is None or self.add(f"first/{name}", 1) == 1
        except Fatal:
            return self.main

    def tell(self, text: str) -> list[str] | None:
        """Hands in this rank's text; the last rank to do so gets all of them, the others None."""
        if self._store is None:
            return [text]
        self._store.set(f"{self._prefix}/told/{self.rank}", text)
        if self.add("told", 1) < self.world:
            return None
        return [self._store.get(f"{self._prefix}/told/{r}").decode() for r in range(self.world)]


def shrinking_ranges(count: int, world: int) -> list[tuple[int, int]]:
    """The same list in every rank: each range half of a fair share of what is left, at least one.

    Large ranges first keep claims few; small ones last let all ranks end together.
    """
    ranges, start = [], 0
    while start < count:
        size = max(1, (count - start) // (2 * world))
        ranges.append((start, start + size))
        start += size
    return ranges


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
