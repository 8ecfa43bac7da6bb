"""Drafting: `enhance --until generated` beside two plain loops over the same model and files.

    python benchmarks/drafts.py --count 600 --batch_size 16

One run times all three in turn, several times, and prints the medians and their ratios: one image
at a time, as older scripts do it; decode, preprocess and generate in one plain loop of batches; and
this program, with its scan, journal and atomic writes. Loading the model is left out of all three.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples" / "train")]

from scenes import all_scenes, draw, held_out, save  # noqa: E402

from enhance.cli import main as enhance  # noqa: E402
from stages.captioners import Settings, family_of  # noqa: E402
from stages.checkpoint import Checkpoint  # noqa: E402
from stages.media import open_image  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model_id", default=str(ROOT / "examples/models/florence2-shapes"))
    parser.add_argument("--count", type=int, default=600, help="images")
    parser.add_argument("--scale", type=int, default=8, help="canvas: this times 80 to 128 pixels")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()

    checkpoint = Checkpoint(wanted.model_id)

    def loop(files: list[Path], size: int) -> float:
        """Seconds without loading. The captioner goes with its thread: a thread that idles beside
        the next way would slow it."""
        captioner = family_of(checkpoint).Captioner(checkpoint, Settings(device=wanted.device))
        began = time.perf_counter()
        for start in range(0, len(files), size):
            batch = files[start : start + size]
            answers = captioner([open_image(path, captioner.size) for path in batch])
            for path, answer in zip(batch, answers, strict=True):
                path.with_suffix(".draft").write_text(answer.text, encoding="utf-8")
        return time.perf_counter() - began

    def program(files: list[Path]) -> float:
        """Seconds without loading, as the report tells them: from the first batch to the last."""
        folder = files[0].parent
        began = time.perf_counter()
        flags = ["--dataset_dir", str(folder), "--model_id", wanted.model_id]
        enhance([*flags, "--until", "generated", "--batch_size", str(wanted.batch_size)])
        took = time.perf_counter() - began
        empty = _draw(1, wanted.scale)
        began = time.perf_counter()
        enhance(["--dataset_dir", str(empty[0].parent), *flags[2:], "--until", "generated"])
        return took - (time.perf_counter() - began)

    ways: dict[str, Callable[[list[Path]], float]] = {
        "one at a time": lambda files: loop(files, 1),
        "plain loop": lambda files: loop(files, wanted.batch_size),
        "enhance": program,
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(wanted.rounds):
        for way, run in ways.items():
            seconds[way].append(run(_draw(wanted.count, wanted.scale)))
    rates = {way: wanted.count / statistics.median(times) for way, times in seconds.items()}
    for way, rate in rates.items():
        ratios = [s / e for s, e in zip(seconds[way], seconds["enhance"], strict=True)]
        print(
            f"{way:15} {rate:8.1f} images/s   enhance is {statistics.median(ratios):.2f} times it"
        )
    print(json.dumps({"settings": vars(wanted), "seconds": seconds}))


def _draw(count: int, scale: int) -> list[Path]:
    """The same JPEGs in a new folder, so that nothing is cached."""
    generator = random.Random(3)
    scenes = [scene for scene in all_scenes() if held_out(scene)]
    folder = Path(tempfile.mkdtemp(prefix="enhance-drafts-"))
    pictures = [draw(generator.choice(scenes), generator, scale) for _ in range(min(count, 40))]
    files = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(files):
        if number < len(pictures):
            save(pictures[number], path)
        else:
            path.write_bytes(files[number % len(pictures)].read_bytes())
    return files


if __name__ == "__main__":
    main()
