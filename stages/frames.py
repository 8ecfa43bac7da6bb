"""The draft of a video by a captioner that sees one frame at a time: a line each, with its time.

"0.0 to 1.5 s: a red circle at the right edge"
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_LINE = re.compile(r"(\d+\.\d+)(?: to (\d+\.\d+))? s: (.*)")


def joined(frames: Iterable[tuple[float, str]]) -> str:
    """What was said of each frame, by its seconds; neighbours that say the same are one."""
    told: list[tuple[float, float, str]] = []
    for seconds, text in frames:
        line = " ".join(text.split())
        if told and told[-1][2] == line:
            told[-1] = (told[-1][0], seconds, line)
        else:
            told.append((seconds, seconds, line))
    return "\n".join(
        f"{start:.1f} s: {line}" if start == end else f"{start:.1f} to {end:.1f} s: {line}"
        for start, end, line in told
    )


def by_frames(draft: str) -> bool:
    """True if each line begins with its time, as `joined` writes it."""
    lines = draft.strip().splitlines()
    return bool(lines) and all(_LINE.match(line) for line in lines)


def time_of(text: str) -> str:
    """The time that a text begins with, "" for none."""
    found = _LINE.match(text)
    return text[: found.start(3)].strip() if found else ""


def without_times(draft: str) -> str:
    """What the lines say."""
    found = (_LINE.match(line) for line in draft.strip().splitlines())
    return "\n".join(one[3] for one in found if one)
