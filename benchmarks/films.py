"""Videos: `enhance --until generated` beside a plain loop that decodes a clip and then drafts it.

    python benchmarks/films.py --count 24

The loop is what a script does: every frame of a clip decoded into a list, four of them picked
evenly and drafted in one batch, the next clip after that. This program decodes those four alone,
while the model is at work on others. Loading the model is left out of both, as in drafts.py. Then
the peak memory of opening a long video, over that of a short one: frames are held, not films.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples" / "train"), str(ROOT / "benchmarks")]

import av  # noqa: E402
from drafts import MODELS, Plain  # noqa: E402
from PIL import Image  # noqa: E402
from scenes import all_scenes, draw, held_out  # noqa: E402

FRAMES = 4
OPEN = """
import re, sys
from pathlib import Path
from stages.reel import Sampling
from stages.video import open_video
open_video(Path(sys.argv[1]), Sampling(), 4, 8)
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def encode(path: Path, seconds: int, size: tuple[int, int], rate: int = 25) -> Path:
    """A clip of scenes, one after the other."""
    generator = random.Random(3)
    scenes = [scene for scene in all_scenes() if held_out(scene)]
    stills = [draw(generator.choice(scenes), generator, 8).resize(size) for _ in range(4)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(seconds * rate):
            frame = av.VideoFrame.from_image(stills[number * len(stills) // (seconds * rate)])
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def copies(clip: Path, count: int) -> list[Path]:
    folder = Path(tempfile.mkdtemp(prefix="enhance-films-"))
    return [Path(shutil.copy(clip, folder / f"{number:04}.mp4")) for number in range(count)]


def loop(plain: Plain, files: Sequence[Path]) -> float:
    """Seconds to draft all, one clip after the other."""
    began = time.perf_counter()
    for path in files:
        with av.open(str(path)) as container:
            frames: list[Image.Image] = [one.to_image() for one in container.decode(video=0)]
        few = [frames[number * (len(frames) - 1) // (FRAMES - 1)] for number in range(FRAMES)]
        inputs = plain.prepare(few)
        texts = plain.texts(inputs, plain.generate(inputs))
        path.with_suffix(".draft").write_text("\n".join(texts), encoding="utf-8")
    return time.perf_counter() - began


def program(files: Sequence[Path], clip: Path, model_id: str) -> float:
    """Seconds without loading and start-up, which a run over one clip tells."""
    flags = ["--model_id", model_id, "--until", "generated", "--log_level", "error"]
    flags += ["--frames", str(FRAMES), "--batch_size", str(FRAMES), "--dtype", "float32"]
    seconds = []
    for folder in (files[0].parent, copies(clip, 1)[0].parent):
        began = time.perf_counter()
        command = [sys.executable, "-m", "enhance", "--dataset_dir", str(folder), *flags]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    report = json.loads((files[0].parent / ".enhance/report.json").read_text())
    if report["stages"]["generated"]["done"] != len(files):
        raise SystemExit("not all clips were drafted")
    return seconds[0] - seconds[1]


def memory(clip: Path) -> float:
    """MB at most, of opening it."""
    command = [sys.executable, "-c", OPEN, str(clip)]
    done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=24, help="clips")
    parser.add_argument("--seconds", type=int, default=3, help="of each")
    parser.add_argument("--long", type=int, default=300, help="seconds of the long one")
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="enhance-films-"))
    clip = encode(folder / "clip.mp4", wanted.seconds, (1280, 720))
    plain = Plain(MODELS[0], "cpu", "float32", 64)
    ratios = []
    for _ in range(wanted.rounds):
        slow = loop(plain, copies(clip, wanted.count))
        fast = program(copies(clip, wanted.count), clip, MODELS[0])
        print(f"  plain loop {slow:.1f} s, enhance {fast:.1f} s: {slow / fast:.2f}")
        ratios.append(slow / fast)
    more = memory(encode(folder / "long.mp4", wanted.long, (1280, 720))) - memory(clip)
    print(
        f"  a video of {wanted.long} s takes {more:.0f} MB more to open than one of "
        f"{wanted.seconds} s"
    )
    rows = [
        {
            "what": "videos: clips a second over a plain loop",
            "measured": statistics.median(ratios),
            "wanted": ">= 1.2",
        },
        {
            "what": "videos: MB more for one a hundred times as long",
            "measured": more,
            "wanted": "<= 50",
        },
    ]
    print(json.dumps({"settings": vars(wanted), "rows": rows, "ratios": ratios}))


if __name__ == "__main__":
    main()
