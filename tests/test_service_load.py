"""`enhance serve` under load: many clients of all kinds at once, some of them bad."""

from __future__ import annotations

import json
import random
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from doors import run
from scenes import MORE_DETAILED, all_scenes, caption, draw
from serving import JOYCAPTION, Service, ready, uri

COUNT, CLIENTS, BATCH = 500, 64, 8
PROMPT = "Describe this image."
GREEDY = {"temperature": 0, "prompt": PROMPT, "max_new_tokens": 40}
Right = dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that all show something else, and files that show nothing."""
    root = tmp_path_factory.mktemp("load")
    generator = random.Random(6)
    for number, scene in enumerate(generator.sample(all_scenes(), COUNT)):
        draw(scene, generator).save(root / f"{number:03}.png")
    (root / "broken.jpg").write_bytes((root / "000.png").read_bytes()[:200])
    return root


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    # Fewer may wait than there are clients: some are sent away, and come back.
    flags = ("--max_batch", BATCH, "--max_queue", CLIENTS // 2, "--log_level", "debug")
    with Service(folder, "--preload", *flags) as one:
        yield one


@pytest.fixture(scope="module")
def right(folder: Path, service: Service, tmp_path_factory: pytest.TempPathFactory) -> Right:
    """What the model says of each picture, as a run drafts it (while the service starts)."""
    drafts = tmp_path_factory.mktemp("drafts")
    flags = ("--until", "generated", "--temperature", "0", "--prompt", PROMPT)
    where = ("--dataset_dir", folder, "--sidecar_dir", drafts, "--max_new_tokens", 40)
    done = run(*where, "--model_id", JOYCAPTION, "--batch_size", 16, *flags)
    assert done.returncode == 0, done.stderr
    told = {
        path.name.replace("_generated.txt", ".png"): path.read_text()
        for path in drafts.rglob("*_generated.txt")
    }
    generator = random.Random(6)
    drawn = [caption(scene, MORE_DETAILED) for scene in generator.sample(all_scenes(), COUNT)]
    assert len(told) == COUNT
    assert sum(told[f"{number:03}.png"] == text for number, text in enumerate(drawn)) > 0.9 * COUNT
    return told


def test_sixty_four_clients_at_once_lose_nothing_and_swap_nothing(
    service: Service, folder: Path, right: Right
) -> None:
    ready(service)
    names = sorted(right)
    # Each gives the pictures that it answered, or says by an assertion what was wrong.
    generator = random.Random(1)
    work: list[Callable[[], Right]] = [
        *(partial(_batch, service, names[start : start + 10]) for start in range(0, 40, 10)),
        *(partial(_chat, service, folder / name) for name in names[40:60]),
        *(partial(_caption, service, name) for name in names[60:]),
        *([partial(_broken, service)] * 20),
        *([partial(_broken_chat, service)] * 5),
        *(
            partial(_leaves, service, name, generator.uniform(0, 0.3))
            for name in generator.sample(names, 40)
        ),
    ]
    generator.shuffle(work)
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(lambda one: one(), work))
    told = [pair for answer in answers for pair in answer.items()]
    assert len(told) == COUNT
    assert dict(told) == right
    together = [int(found[1]) for line in service.said if (found := _TOGETHER.search(line))]
    assert max(together) <= BATCH
    assert len(together) < COUNT / 2
    assert service.get("/health")[1]["status"] == "healthy"
    assert "Traceback" not in "".join(service.said)


_TOGETHER = re.compile(r"(\d+) asked together")


def _patiently(service: Service, path: str, body: Any) -> tuple[int, Any]:
    """As long as it is told to come back."""
    while True:
        status, told = service.post(path, body)
        if status != 503:
            return status, told
        time.sleep(0.1)


def _caption(service: Service, name: str) -> Right:
    status, told = _patiently(service, "/caption", {"image_path": name, **GREEDY})
    assert (status, told.get("image_path")) == (200, name), told
    return {name: told["caption"]}


def _batch(service: Service, names: list[str]) -> Right:
    asked = [*names[:5], "broken.jpg", *names[5:], "gone.png"]
    status, told = _patiently(service, "/batch_caption", {"image_paths": asked, **GREEDY})
    assert status == 200, told
    assert [row["image_path"] for row in told["results"]] == asked
    assert [row["success"] for row in told["results"]] == [one in names for one in asked]
    return {row["image_path"]: row["caption"] for row in told["results"] if row["success"]}


def _chat(service: Service, path: Path) -> Right:
    status, told = _patiently(service, "/v1/chat/completions", _message(path.read_bytes()))
    assert status == 200, told
    return {path.name: told["choices"][0]["message"]["content"]}


def _broken(service: Service) -> Right:
    status, told = _patiently(service, "/caption", {"image_path": "broken.jpg", **GREEDY})
    assert (status, told["error"]) == (500, "Failed to generate caption")
    return {}


def _broken_chat(service: Service) -> Right:
    status, told = _patiently(service, "/v1/chat/completions", _message(b"\x89PNG\r\n\x1a\nno"))
    assert (status, told["error"]["code"]) == (400, "invalid_image")
    return {}


def _leaves(service: Service, name: str, wait: float) -> Right:
    """Sends a request, or half of one, and is gone before long."""
    body = json.dumps({"image_path": name, **GREEDY}).encode()
    host, _, port = service.url.removeprefix("http://").partition(":")
    head = f"POST /caption HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head.encode() + (body if wait > 0.1 else body[:20]))
        time.sleep(wait)
    return {}


def _message(picture: bytes) -> Any:
    text = {"type": "text", "text": PROMPT}
    parts = [text, {"type": "image_url", "image_url": {"url": uri(picture)}}]
    return {"messages": [{"role": "user", "content": parts}], "temperature": 0, "max_tokens": 40}
