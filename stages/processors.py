"""The processor of a vision-language model, for pictures alone.

Many models also take videos, and transformers wants torchvision for those. Nothing here shows a
model a video, so that part is left out where torchvision is not at hand.
"""

from __future__ import annotations

import inspect
from typing import Any

from stages.checkpoint import Checkpoint


def load_processor(checkpoint: Checkpoint) -> Any:
    """Raises ImportError, OSError, ValueError as transformers does; see `Checkpoint.errors`."""
    from transformers import AutoProcessor

    # Pillow's image processors: the same pixels on every machine, and no torchvision.
    by_pillow = {"backend": "pil", **checkpoint.arguments}
    try:
        return AutoProcessor.from_pretrained(checkpoint.source, **by_pillow)
    except (ImportError, ValueError):
        kind = _kind(checkpoint)
        if kind is not None and "video_processor" in inspect.signature(kind.__init__).parameters:
            return _for_pictures(kind, checkpoint)
    # Some image processors know torchvision alone.
    return AutoProcessor.from_pretrained(checkpoint.source, **checkpoint.arguments)


def _kind(checkpoint: Checkpoint) -> Any:
    """The class of transformers' own processor for the model, or None."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    name = PROCESSOR_MAPPING_NAMES.get(checkpoint.described().get("model_type", ""))
    return getattr(transformers, name, None) if name else None


def _for_pictures(kind: Any, checkpoint: Checkpoint) -> Any:
    """A processor of that class with nothing in the place of its part for videos."""
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer

    class ForPictures(kind):  # type: ignore[misc]
        def check_argument_for_proper_class(self, name: str, part: Any) -> Any:
            if part is None and "video" in name:
                return None
            return super().check_argument_for_proper_class(name, part)

    ForPictures.__name__ = kind.__name__  # by which transformers looks some things up
    source, arguments = checkpoint.source, checkpoint.arguments
    settings, _ = kind.get_processor_dict(source, revision=checkpoint.revision)
    parts: dict[str, Any] = {}
    for name in inspect.signature(kind.__init__).parameters:
        if name == "image_processor":
            parts[name] = AutoImageProcessor.from_pretrained(source, backend="pil", **arguments)
        elif name == "tokenizer":
            parts[name] = AutoTokenizer.from_pretrained(source, **arguments)
        elif name == "feature_extractor":
            parts[name] = AutoFeatureExtractor.from_pretrained(source, **arguments)
        elif name == "video_processor":
            parts[name] = None
        elif name in settings:
            parts[name] = settings[name]
    return ForPictures(**parts)
