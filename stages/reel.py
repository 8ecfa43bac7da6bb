"""When the frames of a video are shown, and which are looked at. Nothing is decoded here."""

from __future__ import annotations

import bisect
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stages.sample import Unusable

_FPS = 2.0  # frames of a second, unless the user wishes others
_FINE = 4.0  # of a short clip that is given whole: two miss what moves fast
_FASTEST = 24.0  # that any model reads
# Seconds, and share of the whole, that may lack at the end of a whole file.
_CUT = (0.4, 0.03)
# Demuxers whose packets lack times, or where a jump lands anywhere.
_MEDLEYS = ("mpegts", "mpeg", "asf", "flv")
AGAIN = "copy or download it again"


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames of a video are looked at, as the user wishes; 0: as the captioner does best."""

    frames: int = 0
    fps: float = 0.0
    source_fps: float = 0.0
    target_fps: float = 0.0
    target_frames: int = 0

    def end(self, times: Sequence[float]) -> int:
        """How many of the frames, shown at those seconds, a trainer takes that starts with the
        first one.

        A trainer that is told the speed of its source counts frames (musubi-tuner's `source_fps`);
        one that is not takes them by the clock, or as they are.
        """
        if not self.target_frames:
            return len(times)
        speed = self.target_fps or self.source_fps
        if self.source_fps or not speed:
            taken = self.target_frames * (self.source_fps / speed if speed else 1.0)
            return min(len(times), max(1, math.ceil(taken)))
        return max(1, bisect.bisect_left(times, times[0] + self.target_frames / speed - 1e-6))

    def count(self, seconds: float, least: int, most: int) -> int:
        """How many frames of a span are looked at."""
        if self.frames:
            return self.frames
        wanted = math.ceil((self.fps or _FPS) * seconds)
        return max(1, wanted) if self.fps else min(max(wanted, least), most)

    def rate(self, seconds: float, least: int, most: int) -> float:
        """Frames of each second, for a service that takes them out of the video itself."""
        if self.fps:
            return min(self.fps, _FASTEST)
        wanted = self.count(seconds, least, most) / max(seconds, 0.1)
        if not self.frames and _FINE * seconds <= most:
            wanted = max(wanted, _FINE)
        return min(wanted, _FASTEST)


@dataclass(frozen=True, slots=True)
class Reel:
    """What the packets of a stream tell of its frames, in the order in which they are shown."""

    times: array[float]  # seconds after the first
    seconds: float  # for which they are shown
    stamps: array[int]  # the same in ticks; empty if the packets do not tell
    keys: array[int]  # those from which decoding can start
    whole: bool = True  # all that there are

    @classmethod
    def read(cls, container: Any, stream: Any) -> Reel:
        """By the packets alone, where these tell. Raises Unusable if there are none, or the file
        breaks off."""
        if container.format.name in _MEDLEYS:
            return cls.played(container, stream)
        stamps, keys, last = array("q"), array("q"), 0.0
        count = packets = steps = 0
        for packet in container.demux():
            if packet.pts is not None and packet.time_base:
                last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index != stream.index or not packet.size:
                continue
            count += 1
            packets += 1
            stamp = packet.dts if packet.pts is None else packet.pts
            if packet.is_discard:  # before the cut of an edit list, or behind it: never shown
                count -= 1
            else:
                steps += packet.duration or 0
                if stamp is not None:
                    stamps.append(stamp)
            if stamp is not None and packet.is_keyframe:
                keys.append(stamp)
        if count < 1:
            raise Unusable(f"there is not one frame in it: {AGAIN}")
        _check_whole(container, stream, max(stamps, default=0), last, packets)
        stamps, keys = array("q", sorted(stamps)), array("q", sorted(keys))
        base, rate = float(stream.time_base), float(stream.average_rate or stream.base_rate or 25)
        if len(stamps) == count and (count == 1 or stamps[-1] > stamps[0]):
            times = array("d", ((stamp - stamps[0]) * base for stamp in stamps))
            step = steps * base / count or times[-1] / max(count - 1, 1) or 1 / rate
            if container.format.name == "avi":  # it tells when frames are decoded, not shown
                return cls(times, times[-1] + step, array("q"), array("q"))
            return cls(times, times[-1] + step, stamps, keys)
        # Without times, or all the same: by their number, as players do.
        times = array("d", (number / rate for number in range(count)))
        return cls(times, count / rate, array("q"), array("q"))

    @classmethod
    def played(cls, container: Any, stream: Any) -> Reel:
        """By decoding all of it: slow, and right whatever the packets say."""
        times = array("d")
        for number, frame in enumerate(container.decode(stream)):
            late = times[-1] if times else 0.0
            step = float(1 / (stream.average_rate or 25))
            # Frames without a time, or with one that goes back, follow each other.
            seconds = frame.time
            if seconds is None or (times and seconds <= late):
                seconds = late + step if number else 0.0
            times.append(seconds)
        if not times:
            raise Unusable(f"there is not one frame in it: {AGAIN}")
        first, count = times[0], len(times)
        shown = array("d", (one - first for one in times))
        step = shown[-1] / max(count - 1, 1) or 0.04
        return cls(shown, shown[-1] + step, array("q"), array("q"))

    def taken(self, sampling: Sampling) -> Reel:
        """The part of it that a trainer takes."""
        end = sampling.end(self.times)
        if end >= len(self.times):
            return self
        return Reel(self.times[:end], self.times[end], self.stamps[:end], self.keys, False)

    def evenly(self, count: int) -> list[int]:
        """The places of `count` different frames, evenly by time, the first and the last among
        them; of one alone that of the middle. Fewer where frames are shown for long."""
        times = self.times
        if count == 1:
            return [self._nearest((times[0] + times[-1]) / 2)]
        step = (times[-1] - times[0]) / (count - 1)
        places = {self._nearest(times[0] + number * step) for number in range(count)}
        return sorted(places | {0, len(times) - 1})

    def key_before(self, stamp: int) -> int | None:
        """From where a frame can be decoded."""
        place = bisect.bisect_right(self.keys, stamp) - 1
        return self.keys[place] if place >= 0 else None

    def _nearest(self, wanted: float) -> int:
        after = min(bisect.bisect_left(self.times, wanted), len(self.times) - 1)
        before = max(after - 1, 0)
        nearer = wanted - self.times[before] <= self.times[after] - wanted
        return before if nearer else after


def _check_whole(container: Any, stream: Any, last_stamp: int, last: float, packets: int) -> None:
    """Raises Unusable for a file that tells of more than is in it. `last` is when the last packet
    of any stream ends, in seconds."""
    import av

    told = (container.duration or 0) / av.time_base
    # Not since the start: a piece of a longer recording tells its end, by the clock of the whole.
    lacks = told - last
    # An AVI counts the frames that were dropped while it was recorded; its stamps do, too.
    avi = container.format.name == "avi"
    there, fewest = (last_stamp + 1, stream.frames * 0.9) if avi else (packets, stream.frames - 1)
    short = lacks > max(_CUT[0], _CUT[1] * told)
    if short or there < fewest:
        what = (
            f"{max(0.0, last):.1f} of {told:.1f} s"
            if short
            else f"{there} of {stream.frames} frames"
        )
        raise Unusable(f"the file is cut off ({what} are there): {AGAIN}")
