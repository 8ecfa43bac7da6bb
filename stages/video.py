"""Opens a video as a captioner wants it: a few frames, evenly by time, upright, RGB, no larger than
needed.

By PyAV. A first pass reads when each frame is shown, without decoding any; the second decodes from
the key frame before each wanted one. No more than one frame in its own size is held at a time.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image

from stages.contents import HEAD, what_it_holds
from stages.media import reach, unreachable
from stages.reel import AGAIN, Reel, Sampling
from stages.sample import Unavailable, Unusable

FEW = (4, 8)  # frames of a video where each is drafted by itself,
SEVERAL = (8, 32)  # and where a model is shown them together, at least and at most
MOST = 768  # that are ever looked at: each is held, and costs a model some hundred tokens
SIDE = 768  # pixels: the longest side of a frame that models are shown
_SMALLEST = 32  # pixels: models look at patches of 14 to 28
_UNTAGGED_HD = 720  # pixels of height from which on untagged videos are in the colours of HDTV
_BT709, _UNTAGGED = 1, 2  # of AVColorSpace


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a video."""

    image: Image.Image  # upright, RGB
    seconds: float  # after the first


def open_video(
    path: Path, sampling: Sampling, least: int, most: int, bound: int = 0
) -> list[Frame]:
    """Frames of `path` in their order, the first and the last among them: as many as `sampling`
    says, else between `least` and `most`, two a second; never more than `bound`, if there is one.

    Raises Unusable with a reason if the file holds no readable video, Unavailable if it cannot be
    read now.
    """
    reel = read_reel(path, sampling)
    wanted = _chosen(reel, sampling, least, most, bound)
    # Opened anew: where packets have no times nothing leads back to the first.
    with _opened(path) as (container, stream):
        pictures = _decoded(container, stream, reel, wanted)
    if pictures is None:
        with _opened(path) as (container, stream):
            reel = Reel.played(container, stream).taken(sampling)
        wanted = _chosen(reel, sampling, least, most, bound)
        with _opened(path) as (container, stream):
            pictures = _by_number(container, stream, wanted)
    times = (round(reel.times[place], 3) for place in wanted)
    return [Frame(*one) for one in zip(pictures, times, strict=True)]


def _chosen(reel: Reel, sampling: Sampling, least: int, most: int, bound: int) -> list[int]:
    count = min(len(reel.times), sampling.count(reel.seconds, least, most), bound or MOST)
    return reel.evenly(count)


def read_reel(path: Path, sampling: Sampling) -> Reel:
    """When the frames are shown that a trainer takes. Raises as `open_video`."""
    with _opened(path) as (container, stream):
        return Reel.read(container, stream).taken(sampling)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its video stream."""
    reach(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            cut = _lacks_index(file)
    except OSError as error:
        raise unreachable(path, error) from None
    if not head:
        raise Unusable(f"the file is empty: {AGAIN}")
    demuxer = _demuxer(head)
    if demuxer is None:
        held = what_it_holds(head, "video")
        raise Unusable(f"it holds {held}" if held else "not a video, or of a kind that is not read")
    try:
        import av
    except ImportError as error:
        raise Unavailable(f"videos are read by PyAV, which cannot be loaded: {error}") from None
    try:
        # By its demuxer: a playlist named .mp4 would have other files and addresses opened.
        with av.open(str(path), format=demuxer, metadata_errors="replace") as container:
            if cut and not container.streams.video:
                raise Unusable(f"the file is cut off: {AGAIN}")
            stream = _film(container)
            stream.thread_type = "AUTO"
            yield container, stream
    except (Unusable, Unavailable):
        raise
    except MemoryError:
        raise Unavailable("not enough memory to open it: make it smaller") from None
    except av.error.FFmpegError as error:
        if cut:
            raise Unusable(f"the file is cut off: {AGAIN}") from None
        # FFmpeg calls the end of a cut file an error of input, too.
        if isinstance(error, OSError) and error.errno not in (errno.EIO, errno.EINVAL):
            raise Unavailable(f"the video cannot be read: {error.strerror}") from None
        raise Unusable(f"the video is damaged or cut off: {AGAIN}") from None


_TYPES = {
    "mov": "video/mp4",
    "matroska": "video/x-matroska",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "mpeg": "video/mpeg",
    "mpegts": "video/mp2t",
    "asf": "video/x-ms-wmv",
}


def type_of(path: Path) -> str:
    """The media type of what the file holds, whatever its name says; "" for what is no video.
    Raises Unavailable if it cannot be read now."""
    reach(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise unreachable(path, error) from None
    demuxer = _demuxer(head) or ""
    if demuxer == "matroska" and b"webm" in head[:64]:
        return "video/webm"
    if demuxer == "mov" and head[8:12] == b"qt  ":
        return "video/quicktime"
    return _TYPES.get(demuxer, "")


_MP4 = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_IMAGES_OF_MP4 = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"crx ")
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"


def _demuxer(head: bytes) -> str | None:
    """The name of FFmpeg's demuxer for a file that begins so."""
    if head[4:8] in _MP4 and head[8:12] not in _IMAGES_OF_MP4:
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    # By another name than their own, which players do not mind.
    if head.startswith(b"FLV\x01"):
        return "flv"
    if head.startswith(b"\x00\x00\x01\xba"):
        return "mpeg"
    if head.startswith(_ASF):
        return "asf"
    # Packets of 188 bytes; of camcorders four more before each.
    plain = head[:1] == head[188:189] == head[376:377] == b"G"
    timed = head[4:5] == head[196:197] == head[388:389] == b"G"
    return "mpegts" if plain or timed else None


def _lacks_index(file: IO[bytes]) -> bool:
    """True for an MP4 without its index, or that ends within a box: it was cut off."""
    end, at, indexed = file.seek(0, 2), 0, False
    while at + 8 <= end:
        file.seek(at)
        start = file.read(16)
        size, kind = int.from_bytes(start[:4]), start[4:8]
        if at == 0 and kind not in _MP4:
            return False
        if size == 1:
            size = int.from_bytes(start[8:16])
        elif size == 0:
            size = end - at
        indexed = indexed or kind == b"moov"
        if size < 8 or at + size > end:
            return True
        at += size
    return not indexed


def _film(container: Any) -> Any:
    """The stream of moving pictures: not the cover of a song."""
    for stream in container.streams.video:
        if not stream.disposition & stream.disposition.attached_pic:
            return stream
    what = "sound only" if container.streams.audio else "neither pictures nor sound"
    raise Unusable(f"it holds {what}: there is no video stream in it")


def _decoded(
    container: Any, stream: Any, reel: Reel, wanted: list[int]
) -> list[Image.Image] | None:
    """The frames of those places, each from the key frame before it; None if one of them is not
    shown when its packet said: some key frames are none, and some packets hold nothing to show.
    Raises Unusable if none of them can be decoded."""
    if not reel.stamps:
        return _by_number(container, stream, wanted)
    pictures: list[Image.Image] = []
    frames, at = container.decode(stream), -math.inf
    for place in wanted:
        stamp = reel.stamps[place]
        key = reel.key_before(stamp)
        if key is not None and key > at:
            container.seek(key, stream=stream)
            frames = container.decode(stream)
        found = next((frame for frame in frames if frame.pts is None or frame.pts >= stamp), None)
        if found is None or found.pts != stamp:
            return None
        at = found.pts
        pictures.append(_picture(found, stream))
    return pictures


def _by_number(container: Any, stream: Any, wanted: list[int]) -> list[Image.Image]:
    pictures, last = [], None
    for number, frame in enumerate(container.decode(stream)):
        last = frame
        if number in wanted:
            pictures.append(_picture(frame, stream))
    if last is None:
        raise Unusable(f"none of its frames can be decoded: {AGAIN}")
    while len(pictures) < len(wanted):
        pictures.append(_picture(last, stream))
    return pictures


_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


def _picture(frame: Any, stream: Any) -> Image.Image:
    """Upright, in square pixels, at most SIDE long. Raises Unusable for a damaged frame."""
    if frame.is_corrupt:
        raise Unusable(f"the video is damaged at {frame.time or 0:.1f} s: {AGAIN}")
    wide = float(stream.sample_aspect_ratio or 1) or 1.0
    width, height = frame.width * wide, float(frame.height)
    scale = min(1.0, SIDE / max(width, height))
    colours = frame.colorspace
    if colours == _UNTAGGED and frame.height >= _UNTAGGED_HD:
        colours = _BT709
    shrunk = frame.reformat(
        width=max(_SMALLEST, round(width * scale)),
        height=max(_SMALLEST, round(height * scale)),
        format="rgb24",
        src_colorspace=colours,
        interpolation="AREA" if scale < 1 else "BICUBIC",
    )
    image: Image.Image = shrunk.to_image()
    turn = _TURNS.get(round(frame.rotation) % 360)
    return image.transpose(turn) if turn is not None else image
