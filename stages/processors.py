"""The processor of a vision-language model: pictures by Pillow, videos where that can be.

Many models also take videos, and transformers wants torchvision for those. Where torchvision is not
at hand that part is left out: such a model is shown the frames as pictures.
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
from typing import Any

from stages.checkpoint import Checkpoint

log = logging.getLogger(__name__)


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
            return _in_parts(kind, checkpoint)
    # Some image processors know torchvision alone.
    return AutoProcessor.from_pretrained(checkpoint.source, **checkpoint.arguments)


def _kind(checkpoint: Checkpoint) -> Any:
    """The class of transformers' own processor for the model, or None."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    name = PROCESSOR_MAPPING_NAMES.get(checkpoint.described().get("model_type", ""))
    return getattr(transformers, name, None) if name else None


def _in_parts(kind: Any, checkpoint: Checkpoint) -> Any:
    """A processor of that class, with nothing in the place of a part for videos that cannot be
    loaded. The pictures' backend cannot be named for all parts: videos have none of Pillow."""
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer

    class WithoutVideos(kind):  # type: ignore[misc]
        def check_argument_for_proper_class(self, name: str, part: Any) -> Any:
            if part is None and "video" in name:
                return None
            return super().check_argument_for_proper_class(name, part)

    WithoutVideos.__name__ = kind.__name__  # by which transformers looks some things up
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
            parts[name] = _video_processor(checkpoint)
        elif name in settings:
            parts[name] = settings[name]
    lacks = "video_processor" in parts and parts["video_processor"] is None
    return WithoutVideos(**parts) if lacks else kind(**parts)


def _video_processor(checkpoint: Checkpoint) -> Any:
    """The part for videos, None where it cannot be loaded."""
    if importlib.util.find_spec("torchvision") is None:
        return None
    from transformers import AutoVideoProcessor

    try:
        return AutoVideoProcessor.from_pretrained(checkpoint.source, **checkpoint.arguments)
    except Exception as error:  # a torchvision for another torch fails as it likes
        log.info("videos are shown to %s as pictures: %s", checkpoint.source, _line(error))
        return None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
