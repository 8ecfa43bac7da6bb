"""`enhance captioners`: which vision models draft, what memory they need, under which licence."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from enhance.console import say
from enhance.flags import Parser
from stages.captioners import HOSTED, families


def main(argv: Sequence[str]) -> int:
    parser = Parser(
        prog="enhance captioners",
        description=__doc__,
        epilog="--captioner names one; without it a model's own type chooses.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(argv)
    for name, family in families():
        say(f"{name}: {_first_sentence(family)}")
        if name in HOSTED:
            say("  whichever models the server has: --captioner_base_url, --model_id")
        width = max((len(model.name) for model in family.MODELS), default=0)
        for model in family.MODELS:
            say(f"  {model.name:{width}}  {model.memory:>5}  {model.licence}")
        for asked, used in family.STAND_INS.items():
            say(f"  {asked} is loaded as {used}")
    say("Memory: of a GPU, in bfloat16, for a small batch; --quantize 4bit needs about a third.")
    return 0


def _first_sentence(family: object) -> str:
    text = " ".join((family.__doc__ or "").split("\n\n")[0].split())
    return text.partition(": ")[2] or text
