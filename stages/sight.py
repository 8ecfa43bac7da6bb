"""Whether a model behind a server sees the pictures that are sent to it.

Some servers drop what their model cannot take, without a word, and the model describes pictures
that it never saw. A drawn one shows that, before the first file.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from PIL import Image

from stages.picture import Picture, encoded

QUESTION = "Which colour fills this picture? Answer with one word."
# What a model that sees nothing would not guess first.
_COLOURS = {"green": (0, 160, 0), "yellow": (255, 220, 0), "orange": (255, 130, 0)}
_SIDE = 256  # pixels: enough for every model to make some dozens of tokens of it
_FEWEST = 16  # tokens of a picture that was read


@dataclass(frozen=True, slots=True)
class Sight:
    """A picture of one colour, and what an answer about it tells."""

    colour: str = field(default_factory=lambda: random.choice([*_COLOURS]))

    @property
    def picture(self) -> Picture:
        return encoded(Image.new("RGB", (_SIDE, _SIDE), _COLOURS[self.colour]), _SIDE, 90)

    def seen(self, answer: str) -> bool:
        """True if the answer names the colour."""
        return self.colour in answer.lower()


def uncounted(with_picture: int, without: int) -> bool:
    """True if a picture added next to nothing to the tokens that were counted."""
    return min(with_picture, without) > 0 and with_picture - without < _FEWEST
