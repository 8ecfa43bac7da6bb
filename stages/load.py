"""The first room: pairs each media file with what a person wrote."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from stages.dataset import Layout
from stages.sample import Caption, Failure, Problem, Sample
from stages.text.encoding import NAME_IT, Unreadable, readable

_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_AT_ONCE = 1 << 14  # bytes; captions are shorter


class Memory(Protocol):
    """What earlier runs did with captions."""

    def kept(self, media: Path) -> tuple[Path, ...]:
        """Where the manual caption may be kept; the last place is where it surely was, if any."""
        ...

    def was_kept(self, media: Path) -> bool:
        """True if a run kept this file's manual caption, wherever that is now."""
        ...

    def is_final(self, media: Path, path: Path, data: bytes) -> bool:
        """True if `{name}.txt` is a published caption rather than an input."""
        ...


def load(media: Iterable[str], layout: Layout, memory: Memory) -> Iterator[Sample]:
    """Each media file with the caption a person wrote for it, if any.

    `{name}_manual.txt`, which earlier runs kept, wins over `{name}.txt`.
    """
    for path in map(Path, media):
        try:
            yield Sample(media=path, manual=_manual(path, layout, memory))
        except OSError as error:
            # Without its caption the file is left alone: a draft must not pass for the whole.
            reason = f"cannot read {error.filename}: {error.strerror}"
            yield Sample(media=path, failure=Failure("manual", reason))


def uncaptioned(samples: Iterable[Sample], left: Callable[[Path], None]) -> Iterator[Sample]:
    """Those for which nobody wrote a caption yet; `left` gets the others."""
    for sample in samples:
        if sample.manual is not None and sample.manual.usable:
            left(sample.media)
        else:
            yield sample


def _manual(media: Path, layout: Layout, memory: Memory) -> Caption | None:
    places = memory.kept(media)
    for kept in places:
        data = read(kept)
        if data is not None:
            return _caption(kept, data)
    original = layout.original(media)
    data = read(original)
    if data is None:
        return None  # whoever deleted all of a picture's texts starts anew
    if not memory.is_final(media, original, data):
        return _caption(original, data)
    if memory.was_kept(media):
        # Merged without it, the published caption would lose what the person wrote.
        gone = "the manual caption kept there is gone; put it back, or an empty file to do without"
        raise FileNotFoundError(errno.ENOENT, gone, str(places[-1]))
    return None


def read(path: Path | str) -> bytes | None:
    """What stands in a file, or None if there is none. Raises OSError if it cannot be read."""
    try:
        # Not path.read_bytes(), which takes three times as long: a run that finds all done does
        # little else.
        handle = os.open(path, _READING)
        try:
            data = os.read(handle, _AT_ONCE)
            while more := os.read(handle, _AT_ONCE):
                data += more
            return data
        finally:
            os.close(handle)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        long = error.errno == errno.ENAMETOOLONG
        reason = "the name of the file is too long: shorten the image's" if long else error.strerror
        raise OSError(error.errno, reason, str(path)) from None


def _caption(path: Path, data: bytes) -> Caption:
    """Raises OSError where what was written can only be guessed."""
    try:
        text, encoding = readable(data)
    except Unreadable as reason:
        raise OSError(errno.EILSEQ, f"{reason}; {NAME_IT}", str(path)) from None
    if encoding.startswith("UTF-8"):
        return Caption(text, "human")
    message = f"{path.name} is not UTF-8: read as {encoding} (enhance fix-encoding mends it)"
    return Caption(text, "human", problems=(Problem("not_utf8", False, message=message),))
