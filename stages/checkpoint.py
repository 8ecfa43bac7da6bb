"""Where a Hugging Face checkpoint comes from and how it is loaded: any model, any stage."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.sample import Fatal

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model id or folder, and how its code and weights are taken."""

    source: str
    revision: str = "main"
    trust_remote_code: bool = False

    def config(self) -> Any:
        """The model's configuration. Raises Fatal with one clear line if it cannot be had."""
        import transformers

        if not self.local:
            log.debug("looking for %s on the Hugging Face hub", self.source)
        with self.errors():
            return transformers.AutoConfig.from_pretrained(self.source, **self.arguments)

    @property
    def local(self) -> bool:
        """True for a folder, False for what is looked up on the hub."""
        return Path(self.source).is_dir()

    def described(self) -> Mapping[str, Any]:
        """What stands in its config.json: enough to know its type, whatever code it needs. Raises
        Fatal with one clear line if it cannot be had."""
        if self.local:
            try:
                text = (Path(self.source) / "config.json").read_bytes()
                own: dict[str, Any] = json.loads(text)
                return own
            except (OSError, ValueError) as error:
                raise Fatal(f"model {self.source}: no usable config.json ({error})") from None
        with self.errors():
            from transformers import PretrainedConfig

            found: dict[str, Any]
            found, _ = PretrainedConfig.get_config_dict(self.source, revision=self.revision)
            return found

    @property
    def gone(self) -> bool:
        """True for a folder that is not there."""
        looks_like_path = (
            self.source.startswith((".", "~", os.sep)) or self.source.count("/") > 1
        ) and not self.source.startswith(("http:", "https:"))
        return looks_like_path and not self.local

    def distrusted(self) -> Fatal:
        """Why a model that brings code is not loaded."""
        return Fatal(
            f"cannot load model {self.source}: it brings its own Python code, which could do "
            "anything on this machine. Read that code, then allow it to run with "
            "--trust_remote_code"
        )

    @property
    def arguments(self) -> dict[str, Any]:
        return {"revision": self.revision, "trust_remote_code": self.trust_remote_code}

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turns the many ways in which loading fails into one line that says what to do."""
        _quiet()
        if self.gone:
            # transformers would call it an invalid repository id.
            if Path(self.source).exists():
                raise Fatal(f"model {self.source}: this is a file; name the folder it lies in")
            raise Fatal(f"model {self.source}: there is no such folder")
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", self.source) and not self.local:
            raise Fatal(f"model {self.source!r} is neither a folder nor a model id like owner/name")
        try:
            yield
        except ImportError as error:
            raise Fatal(f"model {self.source} needs a package that is missing: {error}") from error
        except (OSError, ValueError) as error:
            first = next((line for line in str(error).splitlines() if line.strip()), repr(error))
            if "trust_remote_code" in str(error):
                raise self.distrusted() from error
            here = "" if self.local else " (and there is no folder of that name here)"
            raise Fatal(f"cannot load model {self.source}: {first.rstrip(': ')}{here}") from error


def torch_dtype(name: str, device: str) -> torch.dtype:
    """The dtype that `--dtype` names; "auto" is the fastest one the device computes in."""
    import torch

    if name != "auto":
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    kind = torch.device(device).type
    if kind == "cpu":
        return torch.float32  # half precision is emulated: 1.2 to 3.5 times slower
    if kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.float16 if kind == "mps" else torch.bfloat16


def generate(model: Any, **arguments: Any) -> torch.Tensor:
    """`model.generate` without gradients; its tokens, on the CPU.

    Raises MemoryError, with the device's memory freed, if the batch does not fit.
    """
    import torch

    with torch.inference_mode():
        try:
            tokens: torch.Tensor = model.generate(**arguments).cpu()
            return tokens
        except torch.OutOfMemoryError:
            pass  # raised anew below: this traceback would keep the batch's tensors alive
        except RuntimeError as error:  # so says a CPU, and Apple's GPU
            if not re.search("out of memory|not enough memory|can't allocate memory", str(error)):
                raise
    free_memory()
    raise MemoryError(f"a batch does not fit into the memory of {model.device}")


def free_memory() -> None:
    """Gives what a dropped model held back to the device."""
    import torch

    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()


def _quiet() -> None:
    """The libraries' load bars, retries and notices would bury our progress; our errors carry the
    reason. Bars of downloads stay."""
    import huggingface_hub.utils.logging as hub
    from transformers.utils import logging as models

    models.disable_progress_bar()
    models.set_verbosity_error()
    hub.set_verbosity_error()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", module=r"transformers\..*")
