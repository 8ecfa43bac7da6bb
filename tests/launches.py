"""Launches of several processes: how tests wait for them, end them, and look at what they did."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from loopback import Answer, merge

PATIENCE = 120.0  # seconds that a test waits for what must come; far more than it takes


def wait_until(condition: Callable[[], object]) -> None:
    """Returns as soon as the condition holds; fails the test if it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "what the test waits for did not happen"
        time.sleep(0.02)


def ended(processes: list[psutil.Process]) -> bool:
    """True once none of the processes runs any more; one that nobody waited for counts as ended."""
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )


def kill_all(launch: subprocess.Popen[str]) -> None:
    """SIGKILL to the launched process and all below it, as a power cut would."""
    whole = psutil.Process(launch.pid)
    doomed = [*whole.children(recursive=True), whole]
    for process in doomed:
        process.kill()
    launch.communicate(timeout=PATIENCE)
    wait_until(lambda: ended(doomed))


class Hold:
    """A script that answers so many requests, and holds all others until it is released."""

    def __init__(self, answered: int = 0) -> None:
        self.answered = answered
        self.holds = threading.Event()
        self._released = threading.Event()

    def __call__(self, number: int, body: dict[str, Any]) -> Answer:
        if number > self.answered:
            self.holds.set()
            self._released.wait(PATIENCE)
        return merge(number, body)

    def release(self) -> None:
        self._released.set()


def journals(folder: Path) -> dict[int, list[dict[str, Any]]]:
    """The whole lines of each rank's journal."""
    return {
        int(path.name.split(".")[1]): [json.loads(line) for line in path.read_text().splitlines()]
        for path in (folder / ".enhance").glob("journal.*.jsonl")
    }


def leftovers(folder: Path) -> list[str]:
    """Temporary files and locks, of which an ended run leaves none."""
    found = [*folder.rglob("*.tmp"), *(folder / ".enhance").glob("lock.*")]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def captions(folder: Path) -> dict[str, bytes]:
    """Every caption file of the dataset, byte for byte."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.txt"))
    }


@contextmanager
def real_server(command: list[str], folder: Path, path: str, **settings: str) -> Iterator[str]:
    """The address of a server that is started with `--port` and answers `path` once it is up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(address + path, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    with open(folder / "log", "w+") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port)], env={**os.environ, **settings}, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: server.poll() is not None or answers())
            assert server.poll() is None, (folder / "log").read_text()
            yield address
        finally:
            server.terminate()
            try:
                server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
