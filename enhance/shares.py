"""Who takes which file: each rank claims from one list what it has room for, when it has room.

A rank that is slower, or ready later, so does less, and all end together. The list is walked in
wide steps: what stands together in it, such as a folder of videos or of files that are done
already, is spread over the whole run and over all ranks.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import Generic, TypeVar

from enhance.ranks import Ranks
from stages.kinds import is_video

T = TypeVar("T", bound=Hashable)

_MOST = 64  # items that are looked at in one go while nothing has to be done for any
_GOLDEN = (math.sqrt(5) - 1) / 2


def videos_first(media: list[str], world: int) -> tuple[list[str], int]:
    """The list that ranks share, and how many videos it begins with: one costs as much as dozens of
    images. In its own order where there is one rank."""
    videos = [] if world == 1 else [path for path in media if is_video(path)]
    if not videos:
        return media, 0
    return [*videos, *(path for path in media if not is_video(path))], len(videos)


class Share(Generic[T]):
    """The items of this process, in the order in which it gets them: all, if it is alone."""

    def __init__(
        self,
        items: Sequence[T],
        ranks: Ranks,
        before: Callable[[], None] = lambda: None,
        costly: int = 0,
    ) -> None:
        """All ranks must be given the same items in the same order; the first so many are `costly`,
        such as videos, and done first: at the end a rank must not wait for one. `before` is called
        before this rank gets items that another one gave back."""
        self._items = items
        self._before = before
        self._held: dict[T, int] = {}
        self._ranks = ranks
        self._alone = ranks.world == 1
        self._left = len(items)  # that nobody had claimed when this rank last looked
        self._claimed: deque[int] = deque()
        self._costly = costly
        self._steps = (_step(costly), _step(len(items) - costly))
        self._next = 1  # items of the next claim
        self._lack: Callable[[], int] | None = None
        self._served = False
        self._enough = False  # the last claim was as large as the room

    def __iter__(self) -> Iterator[T]:
        if self._alone:
            yield from self._items
            self._left = 0
            return
        while self._claimed or self._claim():
            yield self._get(self._claimed.popleft())
        for place in self._ranks.take("returned"):
            self._before()
            yield self._get(int(place))

    def ended(self, item: T) -> None:
        """This process is through with an item."""
        self._held.pop(item, None)

    def give_back(self, but: Collection[T]) -> None:
        """Lets other ranks have what this one claimed and did not end, `but` what might break them
        too."""
        held = [place for item, place in self._held.items() if item not in but]
        for place in (*held, *self._claimed):
            self._ranks.put("returned", str(place))

    def batch(self, size: int) -> int:
        """How many files this rank should take at once where a stage does best with `size`.

        Half of a fair share of what is left, so that all ranks end together. Not less than a
        quarter of a batch, for which a GPU takes nearly as long as for less, unless a fair share
        is.
        """
        if self._alone:
            return size
        half = max(math.ceil(size / 4), self._left // (2 * self._ranks.world))
        return max(1, min(size, half, math.ceil(self._left / self._ranks.world)))

    def serve(self, lack: Callable[[], int], computes: bool) -> None:
        """From now on so many are claimed at once as the room lacks: the first one that has
        something to do, and one that computes before one that asks a server."""
        if self._lack is None or (computes and not self._served):
            self._lack, self._served = lack, computes

    def rounds(self, size: int) -> int:
        """How many batches of this size are left for each rank. Near the end what one keeps ready,
        another could do now."""
        if self._alone:
            return sys.maxsize
        self._look()
        return self._left // (size * self._ranks.world)

    @property
    def used_up(self) -> bool:
        """True if this rank has got all that it claimed for the room that it has."""
        return not self._alone and not self._claimed and self._enough

    def _claim(self) -> bool:
        total = len(self._items)
        self._look()
        self._enough = self._lack is not None
        if self._lack is not None:
            size = max(1, self._lack())
        else:
            # A rank that finds something to do loads its model before it takes more. One that finds
            # all done looks at more and more.
            size = max(1, min(self._next, self._left // (2 * self._ranks.world)))
            self._next = min(2 * self._next, _MOST)
        start = self._ranks.add("claimed", size) - size
        stop = min(start + size, total)
        self._left = total - stop
        self._claimed.extend(range(start, stop))
        return start < stop

    def _look(self) -> None:
        self._left = max(0, len(self._items) - self._ranks.add("claimed", 0))

    def _get(self, place: int) -> T:
        costly = self._costly
        if place < costly:
            at = place * self._steps[0] % costly
        else:
            at = costly + (place - costly) * self._steps[1] % (len(self._items) - costly)
        item = self._items[at]
        self._held[item] = place
        return item


def _step(count: int) -> int:
    """A step that meets every place once and spreads neighbours most evenly over the walk."""
    step = max(1, round(count * _GOLDEN))
    while math.gcd(step, count) > 1:
        step += 1
    return step
