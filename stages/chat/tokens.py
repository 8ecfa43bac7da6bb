"""Tokens counted by a model's own tokenizer, where its files are on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_FILE = "tokenizer.json"


def count_tokens(model: str, texts: Sequence[str]) -> list[int] | None:
    """How many tokens each text has; None if the model is no folder and in no cache here."""
    file = _file(model)
    if file is None:
        return None
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception:  # the library raises it bare
        return None
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts))]


def _file(model: str) -> Path | None:
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return folder / _FILE if (folder / _FILE).is_file() else None
    if model.count("/") != 1:
        return None  # no id of a model on the hub
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(model, _FILE)
    except HFValidationError:
        return None
    return Path(cached) if isinstance(cached, str) else None
