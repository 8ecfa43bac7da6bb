"""enhance: a folder of images to training captions for LoRA fine-tuning."""

from importlib.util import find_spec
from pathlib import Path

__version__ = "0.1.0"


def _guard() -> None:
    """`python -m` puts the working folder first, where a stray stages.py would hijack the run."""
    spec = find_spec("stages")
    here = Path(__file__).resolve().parent
    found = Path(spec.origin).resolve() if spec and spec.origin else None
    if found is None or found.parent.parent != here.parent:
        raise ImportError(
            f"enhance found a foreign package 'stages' ({found or 'a bare folder'}) in front of "
            "its own; rename that file or folder, or start from another folder"
        )


_guard()
