"""Which files are images and videos, by their extension: as the older tools and the trainers do."""

from __future__ import annotations

import os
from pathlib import Path

# Pillow's own table holds .pdf and .mpg.
IMAGES = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".avif", ".gif", ".tif", ".tiff"),
        *(".heic", ".heif", ".jxl"),
    }
)
VIDEOS = frozenset({".mp4", ".webm", ".mov", ".avi", ".mkv"})
MEDIA = IMAGES | VIDEOS


def is_video(path: Path | str) -> bool:
    """True if the file's name is that of a video."""
    return os.path.splitext(path)[1].lower() in VIDEOS


def kind_of(path: Path | str) -> str:
    """ "image" or "video": how people are told of the file."""
    return "video" if is_video(path) else "image"
