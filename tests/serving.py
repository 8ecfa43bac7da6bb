"""The caption service as a process of its own, and how tests talk to it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from doors import REPOSITORY

JOYCAPTION = REPOSITORY / "examples" / "models" / "joycaption-shapes"
CANARY = "canary-7d1f"  # what stands outside the roots of a test, and no answer may hold
UNEXPECTED = "an unexpected error"
# Folders of this machine, which no answer tells.
MACHINE = [str(JOYCAPTION.parent), str(REPOSITORY), sys.prefix, str(Path.home()), "/tmp/", "/usr/"]


class Service:
    """Use as a context manager. `python -m enhance serve` on a port of its own."""

    def __init__(self, root: Path, *flags: object, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "enhance", "serve", "--port", "0"]
        command += ["--allow_root", str(root), "--model", str(JOYCAPTION), *map(str, flags)]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(env or {})}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said: list[str] = []
        self.url = ""
        self.headers: Any = {}  # of the last answer, in any case

    def __enter__(self) -> Service:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            found = re.search(r"(http://\S+)", line)
            if found:
                self.url = found[1]
                break
        assert self.url, self.process.communicate()
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def stop(self, by: int = signal.SIGTERM) -> int:
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(40)

    def _read(self, stream: Any) -> None:
        self.said.extend(stream)

    def call(self, method: str, path: str) -> tuple[int, Any]:
        return self._ask(method, path, None, {})

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        return self._ask("POST", path, data, headers)

    def _ask(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                status, raw = answer.status, answer.read()
                self.headers = answer.headers
        except urllib.error.HTTPError as error:
            status, raw = error.code, error.read()
            self.headers = error.headers
        try:
            return status, json.loads(raw)
        except ValueError:
            return status, raw.decode()


def ready(service: Service) -> list[str]:
    """Polls as AI-Toolkit's page does after its start button; the states that it saw."""
    states = []
    for _ in range(600):
        status, loading = service.get("/progress")
        assert status == 200
        states.append(loading["status"])
        if loading["status"] == "ready":
            return states
        assert loading["status"] in ("loading", "downloading"), loading
        time.sleep(0.1)
    raise AssertionError(states[-1])


def uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def sent(service: Service, data: bytes, wait: float = 30) -> tuple[int, str]:
    """(status, all that is answered) to bytes as they are; 0 for none. The client sends no more."""
    with socket.create_connection(service.address, timeout=wait) as client:
        answer = b""
        with contextlib.suppress(OSError):  # it hung up on what it would not read
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while piece := client.recv(65536):
                answer += piece
    found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return int(found[1]) if found else 0, answer.decode("latin-1")


def posted(service: Service, path: str, body: Any) -> tuple[int, str]:
    """(status, the body of the answer as it came)."""
    client = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=120)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    client.request("POST", path, data, {"Content-Type": "application/json"})
    answer = client.getresponse()
    assert answer.getheader("Access-Control-Allow-Origin") is None
    text = answer.read().decode()
    client.close()
    return answer.status, text


def blameless(answer: str, *echoed: str) -> None:
    """Asserts that it tells nothing but what was sent."""
    for one in echoed:
        answer = answer.replace(json.dumps(one)[1:-1], "")
    for told in (CANARY, UNEXPECTED, "Traceback", *MACHINE):
        assert told not in answer, answer[:500]
