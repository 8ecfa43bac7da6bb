"""What helps the training of the tiny Qwen2.5-VL, and is thrown away afterwards.

Captions alone teach the grammar first and leave the rest to chance for a long time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from moves import DIRECTIONS, SHAPES, STILL
from scenes import COLOURS
from torch import Tensor, nn
from torch.nn import functional
from watching import MERGE, Seen

BINS = 5  # of a place along each axis


class VisionHead(nn.Module):
    """Names what is in each frame, and where, straight from what the tower saw of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.parts = (len(COLOURS), len(SHAPES), BINS, BINS)
        self.linear = nn.Linear(width, sum(self.parts))

    def forward(self, features: Tensor, seen: Seen) -> Tensor:
        """Return the sum of the cross-entropies."""
        places = seen.places.flatten(0, 1)
        frames = features.view(len(places), -1, features.shape[-1]).mean(1)
        times = len(places) // len(seen.moves)
        where = (places * BINS).long().clamp(0, BINS - 1)
        colours, shapes = _what(seen)
        right = (
            *(colours.repeat_interleave(times), shapes.repeat_interleave(times)),
            *where.unbind(1),
        )
        return _summed(self.linear(frames).split(self.parts, dim=-1), right)


class MotionHead(nn.Module):
    """Names what happens, from what the language model makes of the last frame, where it has just
    seen the one before, and of the question."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.directions = [*DIRECTIONS, STILL]
        self.parts = (len(COLOURS), len(SHAPES), len(self.directions))
        self.at_frame = nn.Linear(width, sum(self.parts))
        self.at_question = nn.Linear(width, sum(self.parts))

    def forward(self, states: Tensor, seen: Seen, kinds: Tensor, starts: Sequence[int]) -> Tensor:
        """Return the sum of the cross-entropies. `kinds` tells which tokens are seen, `starts`
        where the answers start."""
        each = len(seen.patches) // MERGE**2 // seen.places.shape[0] // seen.places.shape[1]
        shown = kinds[0].nonzero()[-each:, 0]  # in the same places of all questions
        directions = torch.tensor([self.directions.index(one.direction) for one in seen.moves])
        right = (*_what(seen), directions)
        frame = self.at_frame(states[:, shown].mean(1)).split(self.parts, dim=-1)
        last = states[torch.arange(len(starts)), torch.tensor(starts) - 1]
        question = self.at_question(last).split(self.parts, dim=-1)
        return _summed(frame, right) + _summed(question, right)


def _what(seen: Seen) -> tuple[Tensor, Tensor]:
    colours = [list(COLOURS).index(move.colour) for move in seen.moves]
    shapes = [SHAPES.index(move.shape) for move in seen.moves]
    return torch.tensor(colours), torch.tensor(shapes)


def _summed(parts: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    losses = [functional.cross_entropy(*pair) for pair in zip(parts, right, strict=True)]
    return torch.stack(losses).sum()
