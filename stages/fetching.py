"""A checkpoint's files come from the Hugging Face hub before it is loaded, and how far they are.

transformers would fetch them by itself, and tell nobody but the terminal.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from stages.checkpoint import Checkpoint
from stages.sample import Fatal

log = logging.getLogger(__name__)

_PATIENCE = 10.0  # seconds for the list of files
# As transformers looks for them: the first that is there is loaded, and no other.
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_INDEX = "*.index.json"
_BESIDE = ("*.json", "*.jinja", "*.model", "*.tiktoken", "vocab.txt", "merges.txt")
_TEMPLATES = "additional_chat_templates/*.jinja"
_CODE = "*.py"


@dataclass(frozen=True, slots=True)
class Fetched:
    """How far the files are."""

    file: str  # the one that comes
    files: int  # that are here
    total: int
    share: float  # of all bytes, 0 to 1; it never falls


def fetch(checkpoint: Checkpoint, tell: Callable[[Fetched], None]) -> None:
    """Fetches what transformers will load and is not here yet; tells nothing if all is.

    Whatever is not known to be loaded is left to transformers, and so is a hub that does not even
    say what it has: it may be that all is here. Raises Fatal, with one line, if a file does not
    come.
    """
    if checkpoint.local:
        return
    with checkpoint.errors():
        found = _listed(checkpoint)
    if found is None:
        return
    commit, sizes = found
    fetching = _Fetching(checkpoint, commit, tell)
    names = needed(sizes, checkpoint.trust_remote_code)
    for index in [name for name in names if fnmatchcase(name, _INDEX)]:
        names += [name for name in _shards(fetching.found(index)) if name in sizes]
    fetching.bring(names, sizes)


def needed(names: Iterable[str], code: bool) -> list[str]:
    """Those of a repository's files that transformers loads, small ones first: not the same weights
    in a second format. Shards stand in the index."""
    here = sorted(names)
    beside = [name for name in here if _is_beside(name, code)]
    weights = next((name for name in _WEIGHTS if name in here), None)
    return beside + ([weights] if weights else [])


def _is_beside(name: str, code: bool) -> bool:
    if "/" in name:
        return fnmatchcase(name, _TEMPLATES) or (code and fnmatchcase(name, _CODE))
    kinds = (*_BESIDE, _CODE) if code else _BESIDE
    return any(fnmatchcase(name, kind) for kind in kinds) and not fnmatchcase(name, _INDEX)


def _listed(checkpoint: Checkpoint) -> tuple[str, Mapping[str, int]] | None:
    """(commit, size of each file), None if the hub does not say."""
    from huggingface_hub import HfApi

    try:
        told = HfApi().model_info(
            checkpoint.source, revision=checkpoint.revision, timeout=_PATIENCE, files_metadata=True
        )
    except Exception as error:  # the hub's own errors, those of its HTTP client, offline mode
        log.debug("the files of %s cannot be listed: %s", checkpoint.source, error)
        return None
    sizes = {one.rfilename: one.size or 0 for one in told.siblings or ()}
    return (told.sha, sizes) if told.sha else None


def _shards(index: Path | None) -> list[str]:
    try:
        told = json.loads(index.read_bytes()) if index else {}
        return sorted({str(name) for name in told["weight_map"].values()})
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return []  # whatever it is, transformers tells what is wrong with it


class _Fetching:
    """One by one, in the caller's thread: a pool of threads would hold up the end of the process
    until all is here, and the hub's client takes large files in parts by itself."""

    def __init__(
        self, checkpoint: Checkpoint, commit: str, tell: Callable[[Fetched], None]
    ) -> None:
        self._checkpoint, self._commit, self._tell = checkpoint, commit, tell
        self._share = 0.0

    def found(self, name: str) -> Path | None:
        """A small file whose content says what else is needed."""
        if not self._cached(name):
            self._download(name, lambda _: None)
        return self._cached(name)

    def _cached(self, name: str) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self._checkpoint.source, name, revision=self._commit)
        return Path(found) if isinstance(found, str) else None

    def bring(self, names: list[str], sizes: Mapping[str, int]) -> None:
        """All that are not here yet, in turn."""
        here = [name for name in names if self._cached(name)]
        missing = [name for name in names if name not in here]
        total = sum(sizes[name] for name in names) or 1
        came = sum(sizes[name] for name in here)
        for count, name in enumerate(missing, len(here)):

            def told(part: int, name: str = name, count: int = count, came: int = came) -> None:
                share = (came + min(part, sizes[name])) / total
                self._share = max(self._share, share)
                self._tell(Fetched(name, count, len(names), self._share))

            told(0)
            self._download(name, told)
            came += sizes[name]
        if missing:
            self._tell(Fetched("", len(names), len(names), 1.0))

    def _download(self, name: str, told: Callable[[int], None]) -> None:
        from huggingface_hub import hf_hub_download

        source, revision = self._checkpoint.source, self._checkpoint.revision
        try:
            # By the branch, not the commit: so it is noted where the branch is, for who is offline.
            hf_hub_download(source, name, revision=revision, tqdm_class=_bar(told))
        except Exception as error:
            why = " ".join(str(error).split())[:300] or type(error).__name__
            raise Fatal(f"cannot load model {source}: {name} cannot be fetched: {why}") from error


def _bar(told: Callable[[int], None]) -> Any:
    """The hub's own bar for the terminal that also tells how many bytes came. There may be two for
    one file, of what was sent and of what was written."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        came = 0

        def update(self, n: float | None = 1) -> bool | None:
            self.came += int(n or 0)
            told(self.came)
            return super().update(n)

    return Bar
