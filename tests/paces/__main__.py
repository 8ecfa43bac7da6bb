"""The program with the paced captioner beside its own: `python -m paces …`."""

from pathlib import Path

import stages.captioners
from enhance.cli import main

stages.captioners.__path__.append(str(Path(__file__).parent / "captioners"))

if __name__ == "__main__":
    raise SystemExit(main())
