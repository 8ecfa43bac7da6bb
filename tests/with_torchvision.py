"""The program's door, or another script, where transformers finds torchvision.

The wheel of PyPI holds operators for GPUs, which cannot be loaded beside a torch for the CPU; of
them the processors of videos need none. So they are named, without being there, and only in this
process: half loaded, torchvision would break every other test.
"""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

# Where `make test` puts it; not among the packages of the environment.
FOLDER = Path(sys.prefix) / "torchvision"
_NAMES = re.compile(r'register_(?:meta|fake)\("(?:torchvision::)?(\w+)"')


def name_operators() -> None:
    """After this `import torchvision` works, of which nothing compiled does."""
    import torch

    sys.path.insert(0, str(FOLDER))
    if torch.version.cuda is not None:  # then those of the wheel can be loaded
        return
    library = torch.library.Library("torchvision", "DEF")
    source = (FOLDER / "torchvision" / "_meta_registrations.py").read_text("utf-8")
    for name in sorted(set(_NAMES.findall(source))):
        library.define(f"{name}(Tensor a) -> Tensor")
    name_operators.library = library  # type: ignore[attr-defined]  # they go when it does


if __name__ == "__main__":
    name_operators()
    if sys.argv[1:2] == ["--script"]:
        runpy.run_path(sys.argv[2], run_name="__main__")
    else:
        from enhance.cli import main

        sys.exit(main(sys.argv[1:]))
