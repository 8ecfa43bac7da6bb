"""A large folder in which everything is done: `make bench` runs it.

    python benchmarks/scale.py --count 100000

1. Seconds of a second run, which scans, pairs and finds every text up to date, over those of a
   plain loop that lists the folder with `os.scandir` and reads the same texts; start-up apart.
2. Peak memory with a hundredth of the files and with all of them.

The folder is made from one file that was really captioned: pictures and texts are copied as links,
and its journal is written once for each name, as the program would have.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples" / "train")]

from scenes import all_scenes, draw, save  # noqa: E402

from enhance.cli import main as enhance  # noqa: E402

NAME = "picture-000000"
MOST_LINKS = 50_000  # to one file; disks allow 65,000
TEXTS = ("_manual.txt", "_generated.txt", "_combined.txt", ".txt")


def captioned(folder: Path) -> list[str]:
    """One picture captioned from draft to final; the flags of that run."""
    save(draw(all_scenes()[0], random.Random(1)), folder / f"{NAME}.png")
    (folder / f"{NAME}.txt").write_text("on the second shelf")
    os.utime(folder / f"{NAME}.png", (time.time() - 60,) * 2)  # settled: its content is trusted
    models = ROOT / "examples/models"
    flags = ["--dataset_dir", str(folder), "--model_id", str(models / "florence2-shapes")]
    flags += ["--model", str(models / "chat-shapes"), "--anchor", "cutout style"]
    flags += ["--lora_type", "style", "--log_level", "error"]
    if enhance(flags):
        raise SystemExit("the first file was not captioned")
    return flags


def multiplied(one: Path, count: int) -> Path:
    """A folder of `count` files, each like the one that was captioned."""
    folder = Path(tempfile.mkdtemp(prefix="scale"))
    journals = {path.name: path.read_text() for path in (one / ".enhance").glob("journal*")}
    report = one / ".enhance" / "report.json"
    (folder / ".enhance").mkdir()
    shutil.copy(report, folder / ".enhance")
    for name, text in journals.items():
        lines = text.splitlines(keepends=True)
        of_file = "".join(line for line in lines if NAME in line)
        with open(folder / ".enhance" / name, "w") as journal:
            names = (f"picture-{number:06}" for number in range(count))
            journal.writelines(of_file.replace(NAME, name) for name in names)
            journal.writelines(line for line in lines if NAME not in line)
    for number in range(count):
        first = number - number % MOST_LINKS
        for ending in (".png", *TEXTS):
            path = folder / f"picture-{number:06}{ending}"
            if number == first:
                shutil.copy2(one / f"{NAME}{ending}", path)
            else:
                os.link(folder / f"picture-{first:06}{ending}", path)
    return folder


def plain_loop(folder: Path) -> float:
    """Seconds to list the folder and read every text in it."""
    began = time.perf_counter()
    for entry in os.scandir(folder):
        if entry.name.endswith(TEXTS):
            with open(entry.path, "rb") as file:
                file.read()
    return time.perf_counter() - began


def second_run(flags: list[str], folder: Path) -> tuple[float, float]:
    """(seconds, peak memory in MB) of the program, as a process of its own."""
    # VmHWM is of the program alone; ru_maxrss would begin at what this process had when it forked.
    code = "import sys; from enhance.cli import main; status = main(sys.argv[1:]); "
    code += (
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]); sys.exit(status)"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, "--dataset_dir", str(folder), *flags[2:]],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, int(done.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    one = Path(tempfile.mkdtemp(prefix="scale"))
    flags = captioned(one)
    many, few, single = (multiplied(one, n) for n in (wanted.count, wanted.count // 100, 1))
    found: dict[str, list[float]] = {"plain loop": [], "enhance": [], "few_mb": [], "many_mb": []}
    for _ in range(wanted.rounds):
        found["plain loop"].append(plain_loop(many))
        start, _ = second_run(flags, single)
        _, memory = second_run(flags, few)
        found["few_mb"].append(memory)
        seconds, memory = second_run(flags, many)
        found["enhance"].append(seconds - start)
        found["many_mb"].append(memory)
    middle = {name: statistics.median(values) for name, values in found.items()}
    print(
        f"{wanted.count} files, all done: enhance {middle['enhance']:.1f} s, scandir and reading "
        f"the texts {middle['plain loop']:.1f} s: {middle['enhance'] / middle['plain loop']:.2f} "
        "times it"
    )
    print(
        f"peak memory: {middle['few_mb']:.0f} MB with {wanted.count // 100} files, "
        f"{middle['many_mb']:.0f} MB with {wanted.count}"
    )
    rows = [
        {
            "what": f"{wanted.count} cached files: second run over scandir and reading the texts",
            "measured": middle["enhance"] / middle["plain loop"],
            "wanted": "<= 3",
        },
        {
            "what": f"MB more at the peak for {wanted.count} files than for a hundredth of them",
            "measured": middle["many_mb"] - middle["few_mb"],
            "wanted": "< 100",
        },
    ]
    print(json.dumps({"settings": vars(wanted), "rows": rows, **found}))
    for folder in (one, many, few, single):
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
