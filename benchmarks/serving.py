"""The service: 64 clients at once beside one client after the other, on the same pictures.

    python benchmarks/serving.py --count 500 --clients 64

The service that it stands in for, JoyCaption's in Flask, holds one model and calls it with one
picture, and the page that asks it sends the next picture once it has the last answer. That is the
baseline: our service with `--max_batch 1` and one client over one connection that stays open, so
that the model, decoding and HTTP are the same and what differs is how many are asked at once.
Flask itself is not run.

Each way is a service in a process of its own, asked over HTTP, once to warm up and then for all
pictures. No two pictures show the same, so an answer that went to another's client is seen: what
each must be is what the baseline was told of it. How full the batches were and how many requests
waited behind each is read from the service's log.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "examples" / "train")]

from scenes import MORE_DETAILED, all_scenes, caption, draw, save  # noqa: E402
from serving import Service  # noqa: E402

GREEDY = {"prompt": "Describe this image.", "temperature": 0, "max_new_tokens": 64}
TOGETHER = re.compile(r"(\d+) asked together, (\d+) wait")


@dataclass(frozen=True)
class Way:
    """How the service is started and by how many it is asked."""

    name: str
    clients: int
    flags: tuple[object, ...]
    anew: bool = False  # a connection for each request


@dataclass(frozen=True)
class Asked:
    """What came of one way."""

    seconds: float
    answers: dict[str, str]
    fullness: float  # pictures in a batch, on average
    waiting: float  # requests behind it


def asked(way: Way, folder: Path, names: Sequence[str]) -> Asked:
    with Service(folder, "--preload", "--log_level", "debug", *way.flags) as service:
        while service.get("/progress")[1]["status"] != "ready":
            time.sleep(0.1)
        _ask(service, names[: way.clients], way)
        before = len(service.said)
        began = time.perf_counter()
        answers = _ask(service, names, way)
        seconds = time.perf_counter() - began
        service.stop()
        batches = [found for line in service.said[before:] if (found := TOGETHER.search(line))]
    sizes, queues = ([int(one[at]) for one in batches] for at in (1, 2))
    return Asked(seconds, answers, statistics.mean(sizes), statistics.mean(queues))


def _ask(service: Service, names: Sequence[str], way: Way) -> dict[str, str]:
    """The caption of each picture that got one."""
    answers: dict[str, str] = {}
    left = iter(list(names))
    turn = threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=300)
        while True:
            with turn:
                name = next(left, None)
            if name is None:
                return connection.close()
            connection.request("POST", "/caption", json.dumps({"image_path": name, **GREEDY}))
            answer = connection.getresponse()
            told = json.loads(answer.read())
            if way.anew:
                connection.close()
            if answer.status == 200:
                answers[name] = told["caption"]

    threads = [threading.Thread(target=client) for _ in range(way.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def once(
    ways: Sequence[Way], folder: Path, names: Sequence[str]
) -> tuple[dict[str, Asked], dict[str, int]]:
    """(each way's result, its answers that are lost or not those of the first way)."""
    found = {way.name: asked(way, folder, names) for way in ways}
    right = found[ways[0].name].answers
    wrong = {
        name: sum(one.answers.get(picture) != right.get(picture, "") for picture in names)
        for name, one in found.items()
    }
    return found, wrong


def measure(wanted: argparse.Namespace) -> dict[str, Any]:
    many = wanted.clients
    ways = (
        Way("one at a time", 1, ("--max_batch", 1)),
        Way("one at a time, a connection each", 1, ("--max_batch", 1), anew=True),
        Way(f"{many} clients, batches of 1", many, ("--max_batch", 1)),
        Way(f"{many} clients, batches of 4", many, ("--max_batch", 4)),
        Way(f"{many} clients, batches of 16", many, ("--max_batch", 16)),
    )
    with tempfile.TemporaryDirectory(prefix="enhance-serving-") as place:
        folder = Path(place)
        drawn = _draw(folder, wanted.count, wanted.scale)
        rounds = [once(ways, folder, list(drawn)) for _ in range(wanted.rounds)]
    base = ways[0].name
    rows: list[dict[str, Any]] = []
    for way in ways:
        results = [found[way.name] for found, _ in rounds]
        ratio = statistics.median(
            found[base].seconds / found[way.name].seconds for found, _ in rounds
        )
        rate = wanted.count / statistics.median(one.seconds for one in results)
        fullness = statistics.median(one.fullness for one in results)
        waiting = statistics.median(one.waiting for one in results)
        print(
            f"{way.name:33} {rate:6.1f} images/s  {ratio:.2f} times one at a time  "
            f"{fullness:4.1f} in a batch, {waiting:4.1f} wait behind it",
            flush=True,
        )
        if way.name != base:
            what = f"service, {way.name}: images a second over {base}"
            rows.append({"what": what, "measured": ratio, "wanted": ""})
    rows[0]["wanted"] = "<= 1.1"  # an open connection is no slower
    rows[-1]["wanted"] = ">= 2"
    wrong = sum(sum(counts.values()) for _, counts in rounds)
    what = f"service, {many} clients: answers lost or another picture's"
    rows.append({"what": what, "measured": wrong, "wanted": "0"})
    told = rounds[0][0][base].answers
    good = sum(told.get(name) == text for name, text in drawn.items()) / len(drawn)
    print(f"{good:.0%} of the captions tell what was drawn, {len({*told.values()})} differ")
    return {"settings": vars(wanted), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="pictures")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--scale", type=int, default=8, help="canvas: this times 80 to 128 pixels")
    parser.add_argument("--rounds", type=int, default=3)
    print(json.dumps(measure(parser.parse_args())))


def _draw(folder: Path, count: int, scale: int) -> dict[str, str]:
    """JPEGs of as many scenes, and the caption of each."""
    generator = random.Random(3)
    scenes = generator.sample(all_scenes(), count)
    drawn = {}
    for number, scene in enumerate(scenes):
        name = f"{number:05}.jpg"
        save(draw(scene, generator, scale), folder / name)
        drawn[name] = caption(scene, MORE_DETAILED)
    return drawn


if __name__ == "__main__":
    main()
