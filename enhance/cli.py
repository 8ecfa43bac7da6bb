"""From argv to exit status."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence

from stages.sample import Fatal

# Other jobs than captioning: `enhance <name> …` is the module of that name in enhance/jobs.
JOBS = ("captioners", "serve", "init", "show", "check", "clean", "undo", "fix-encoding")


def main(argv: Sequence[str] | None = None) -> int:
    """0 done, 1 unexpected, 2 usage, 3 some files need a person (--strict, check),
    4 configuration, credential or model, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Read when torch is first imported. Else its idle threads spin, and take the cores from those
    # that decode the next pictures, and from a server on this machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    ranks = None
    try:
        if arguments and arguments[0] in JOBS:
            if not _first(os.environ):
                return 0  # a launcher started several processes: one does the job
            job = arguments[0].replace("-", "_")
            return int(importlib.import_module(f"enhance.jobs.{job}").main(arguments[1:]))
        if arguments and not arguments[0].startswith("-"):
            raise Fatal(
                f"unknown job {arguments[0]!r}: enhance --dataset_dir DIR captions a folder; "
                f"other jobs: {', '.join(JOBS)}",
                2,
            )
        from enhance import config
        from enhance.ranks import Ranks

        settings = config.read(arguments)
        ranks = Ranks.of_environment()
        from enhance.run import run

        return run(settings, ranks)
    except Fatal as error:
        # Every rank may meet the same wall: the first says so.
        if ranks.first("fatal") if ranks else _first(os.environ):
            print(f"enhance: {error}", file=sys.stderr, flush=True)
        logging.getLogger(__name__).debug("the reason", exc_info=True)
        return error.status
    except KeyboardInterrupt:
        # A launcher stops the others when one has ended, which has said why.
        if ranks is None or ranks.first("fatal"):
            print("enhance: interrupted", file=sys.stderr, flush=True)
        return 130


def _first(environment: Mapping[str, str]) -> bool:
    """False if the launcher's variables tell of a lower rank beside this one, and make sense."""
    rank, world = (environment.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    return not (rank.isdigit() and world.isdigit() and 0 < int(rank) < int(world))
