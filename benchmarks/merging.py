"""Merging against a loopback server of known speed: `make bench` runs it.

    python benchmarks/merging.py --count 2000

1. How much of a server's capacity (50 ms, 32 at once) is used over a whole run, ramp-up included:
   by `enhance` with its scan, cleaning, ledger, journal and atomic writes; by the merge stage
   alone; by a bare HTTP client with as many threads; and one after the other, as older scripts do
   it. CPU time per file beside it.
2. A server limited to 600 requests a minute, with and without headers that tell so: seconds over
   the ideal, refused answers, files lost.
3. Drafting and merging together beside the longer of the two alone.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples" / "train")]

import aiohttp  # noqa: E402,F401  (imported here, so that no way pays for it)
from PIL import Image  # noqa: E402
from scenes import all_scenes, draw, save  # noqa: E402

from enhance.cli import main as enhance  # noqa: E402
from stages.chat.server import Server  # noqa: E402
from stages.chat.wire import Wire  # noqa: E402
from stages.llm import Options  # noqa: E402
from stages.merge import Merge  # noqa: E402
from stages.policy import Options as Rules  # noqa: E402
from stages.policy import policy_of  # noqa: E402
from stages.sample import Caption, Sample  # noqa: E402

LATENCY, CAPACITY = 0.05, 32
RULES = Rules(lora_type="style", anchor="inkwash style")
MANUAL = "a boat number {0} drifts past an old mill, {0} gulls behind it, seen from the bank"


@contextmanager
def serving(**settings: Any) -> Iterator[str]:
    """The address of a paced server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = [
        f"--{name}" if value is True else f"--{name}={value}" for name, value in settings.items()
    ]
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "benchmarks/paced.py"), f"--port={port}", *flags]
    )
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models")
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


def counts(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url.replace("/v1", "/count")) as answer:
        result: dict[str, int] = json.load(answer)
    return result


def files(count: int) -> Path:
    """A dataset with a manual caption for each picture; one picture for all."""
    folder = Path(tempfile.mkdtemp(prefix="merging"))
    Image.new("RGB", (64, 64), "grey").save(folder / "00000.png")
    for number in range(count):
        if number:
            (folder / f"{number:05}.png").hardlink_to(folder / "00000.png")
        (folder / f"{number:05}.txt").write_text(MANUAL.format(number))
    return folder


def program(url: str, count: int) -> tuple[float, float]:
    """(seconds, CPU seconds) of a run, from the first file to the last."""
    folder = files(count)
    flags = ["--dataset_dir", str(folder), "--base_url", url, "--anchor", RULES.anchor]
    began, used = time.perf_counter(), time.process_time()
    status = enhance([*flags, "--lora_type", "style", "--no_generate", "--log_level", "error"])
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    done = len(list(folder.glob("*_combined.txt")))
    shutil.rmtree(folder)
    if status or done != count:
        raise SystemExit(f"status {status}, {done} of {count} files merged")
    return seconds, cpu


def stage(url: str, count: int) -> tuple[float, float]:
    server = Server(Options(base_url=url), "")
    merge = Merge(server, Options(), policy_of(RULES), RULES)
    merge.prepare()

    def one(number: int) -> None:
        merge([Sample(Path("x"), manual=Caption(MANUAL.format(number), "human"))])

    result = timed(one, count, merge.workers)
    merge.close()
    return result


def bare(url: str, count: int, threads: int = 64) -> tuple[float, float]:
    wire = Wire(url, {}, proxies=False)
    body = request(url)
    result = timed(lambda _: wire.post("chat/completions", body, 30).json(), count, threads)
    wire.close()
    return result


def one_by_one(url: str, count: int) -> tuple[float, float]:
    seconds, cpu = bare(url, count // 20, threads=1)
    return seconds * 20, cpu * 20


def request(url: str) -> dict[str, Any]:
    policy = policy_of(RULES)
    user = policy.user(RULES.anchor, MANUAL.format(1), "")
    messages = [
        {"role": "system", "content": policy.system(RULES.anchor)},
        {"role": "user", "content": user},
    ]
    return {"model": "paced", "messages": messages, "temperature": 0, "max_tokens": 512}


def timed(one: Callable[[int], object], count: int, threads: int) -> tuple[float, float]:
    one(0)
    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(count)))
    return time.perf_counter() - began, time.process_time() - used


def capacity(count: int, rounds: int) -> dict[str, Any]:
    ideal = count * LATENCY / CAPACITY
    ways = {"one by one": one_by_one, "bare client": bare, "merge stage": stage, "enhance": program}
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with serving(latency=LATENCY, capacity=CAPACITY) as url:
        for _ in range(rounds):
            for way, run in ways.items():
                found[way].append(run(url, count))
    print(f"{count} merges, {LATENCY * 1000:.0f} ms each, {CAPACITY} at once: ideal {ideal:.2f} s")
    rows, bounds = [], {"merge stage": ">= 0.9"}
    for way, results in found.items():
        seconds = statistics.median(seconds for seconds, _ in results)
        cpu = statistics.median(cpu for _, cpu in results)
        print(
            f"  {way:12} {seconds:7.2f} s   {ideal / seconds:5.2f} of capacity   "
            f"{cpu / count * 1000:5.2f} ms CPU a file"
        )
        what = f"merging, {way}: of the capacity of a server of 50 ms, 32 at once"
        rows.append(row(what, ideal / seconds, bounds.get(way, "")))
    return {"rows": rows, "ideal": ideal, "results": found}


def limited(count: int) -> dict[str, Any]:
    ideal = (count - 10) / 10
    result: dict[str, Any] = {"rows": [], "ideal": ideal}
    print(f"{count} merges, 600 requests a minute (10 at once): ideal {ideal:.1f} s")
    for name, settings in {"told in headers": {"tells": True}, "not told": {}}.items():
        with serving(latency=LATENCY, capacity=64, rpm=600, **settings) as url:
            seconds, _ = program(url, count)
            refused = counts(url)["refused"]
        share = refused / (refused + count)
        print(
            f"  {name:16} {seconds:6.1f} s   {seconds / ideal:4.2f} of the ideal   "
            f"{refused} refused ({share:.1%})   0 lost"
        )
        result[name] = {"seconds": seconds, "refused": refused}
        what = f"600 merges a minute, {name}"
        result["rows"] += [
            row(f"{what}: seconds over the ideal", seconds / ideal, "<= 1.1"),
            row(f"{what}: % of answers 429", 100 * share, "< 2"),
        ]
    return result


def overlap(count: int, rounds: int) -> dict[str, Any]:
    model = str(ROOT / "examples/models/florence2-shapes")
    found: dict[str, list[float]] = {"draft": [], "merge": [], "together": []}
    with serving(latency=0.3, capacity=4) as url:
        for _ in range(rounds):
            folder = Path(tempfile.mkdtemp(prefix="overlap"))
            for number, scene in zip(range(count), all_scenes(), strict=False):
                save(draw(scene, random.Random(number), 4), folder / f"{number:04}.jpg")
            shared = ["--dataset_dir", str(folder), "--model_id", model, "--log_level", "error"]
            merging = ["--base_url", url, "--anchor", RULES.anchor, "--lora_type", "style"]
            merging += ["--concurrency", "4"]
            for name, flags in {
                "draft": ["--until", "generated"],
                "merge": merging,
                "together": [*merging, "--overwrite", "all"],
            }.items():
                began = time.perf_counter()
                enhance([*shared, *flags])
                found[name].append(time.perf_counter() - began)
            shutil.rmtree(folder)
    middle = {name: statistics.median(values) for name, values in found.items()}
    longer = max(middle["draft"], middle["merge"])
    print(
        f"{count} files: draft {middle['draft']:.1f} s, merge {middle['merge']:.1f} s, together "
        f"{middle['together']:.1f} s: {middle['together'] / longer:.2f} of the longer"
    )
    what = "draft and merge together over the longer of the two"
    return {"rows": [row(what, middle["together"] / longer, "<= 1.1")], "seconds": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--limited", type=int, default=600, help="merges at 600 a minute")
    parser.add_argument("--drafted", type=int, default=200, help="files of the overlap")
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    result = {"capacity": capacity(wanted.count, wanted.rounds)}
    if wanted.limited:
        result["limited"] = limited(wanted.limited)
    if wanted.drafted:
        result["overlap"] = overlap(wanted.drafted, wanted.rounds)
    rows = [row for part in result.values() for row in part.pop("rows")]
    print(json.dumps({"settings": vars(wanted), "rows": rows, **result}))


def row(what: str, measured: float, wanted: str = "") -> dict[str, Any]:
    return {"what": what, "measured": measured, "wanted": wanted}


if __name__ == "__main__":
    main()
