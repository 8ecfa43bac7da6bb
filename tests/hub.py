"""A small Hugging Face hub on loopback: one repository with a tiny JoyCaption in two shards."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import torch
from safetensors.torch import load_file, save
from serving import JOYCAPTION

REPOSITORY = "tiny/joycaption-shapes"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"
_BALLAST = 30_000_000  # bytes that no layer takes: the hub's client tells every ten million
_PIECE = 1_000_000
# What lies in many repositories and is loaded by nobody who loads the shards.
NEEDLESS = (
    *(".gitattributes", "README.md", "pytorch_model.bin", "joycaption.Q4_K_M.gguf"),
    *("original/model.safetensors", "onnx/config.json", "modeling_mine.py"),
)


class Hub:
    """Use as a context manager. Only the revision `main`, and its commit, are known unless another
    is named."""

    def __init__(self, pace: float = 0.0, revision: str = "main") -> None:
        """`pace` is how many seconds a million bytes take."""
        self.files = _checkpoint()
        self.pace, self.revision = pace, revision
        self.broken: set[str] = set()  # files whose bytes it fails to send
        self.cut: set[str] = set()  # and those that it breaks off once, amid them
        self.sent: list[str] = []  # files, in the order in which their bytes were asked for
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    def __enter__(self) -> Hub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """Of a process that asks this hub and keeps what it got in `home`."""
        return {
            "HF_ENDPOINT": f"http://127.0.0.1:{self._server.server_address[1]}",
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes, str]:
        """(status, headers, body, the file that it is of)."""
        known = (self.revision, COMMIT)
        parts = unquote(urlsplit(path).path).strip("/").split("/")
        if parts[:3] == ["api", "models", *REPOSITORY.split("/")][:3] and len(parts) >= 4:
            revision = parts[5] if len(parts) > 5 else self.revision
            if "/".join(parts[2:4]) != REPOSITORY:
                return _missing("RepoNotFound")
            if revision not in known:
                return _missing("RevisionNotFound")
            if parts[4:5] == ["tree"]:
                return _json(self._tree("/".join(parts[6:])))
            return _json(self._told())
        if "/".join(parts[:2]) != REPOSITORY or parts[2:3] != ["resolve"]:
            return _missing("RepoNotFound")
        if parts[3] not in known:
            return _missing("RevisionNotFound")
        name = "/".join(parts[4:])
        data = self.files.get(name)
        if data is None:
            status, headers, body, _ = _missing("EntryNotFound")
            return status, {**headers, "X-Repo-Commit": COMMIT}, body, ""
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        return 200, headers, data, name

    def _told(self) -> dict[str, Any]:
        files = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
        return {"id": REPOSITORY, "modelId": REPOSITORY, "sha": COMMIT, "siblings": files}

    def _tree(self, folder: str) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for name, data in self.files.items()
            if name.startswith(f"{folder}/" if folder else "")
        ]


def _checkpoint() -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in JOYCAPTION.iterdir()}
    files.pop("model.safetensors")
    weights = load_file(JOYCAPTION / "model.safetensors")
    names = sorted(weights)
    halves = ({}, {"ballast": torch.zeros(_BALLAST, dtype=torch.uint8)})
    for number, name in enumerate(names):
        halves[2 * number // len(names)][name] = weights[name]
    mapped = {name: shard for shard, half in zip(SHARDS, halves, strict=True) for name in half}
    for shard, half in zip(SHARDS, halves, strict=True):
        files[shard] = save(half, {"format": "pt"})
    index = {"metadata": {"total_size": sum(map(len, files.values()))}, "weight_map": mapped}
    files[INDEX] = json.dumps(index).encode()
    return {**files, **dict.fromkeys(NEEDLESS, b"needed by nobody" * 1000)}


def _json(told: Any) -> tuple[int, dict[str, str], bytes, str]:
    return 200, {"Content-Type": "application/json"}, json.dumps(told).encode(), ""


def _missing(code: str) -> tuple[int, dict[str, str], bytes, str]:
    return 404, {"X-Error-Code": code, "X-Error-Message": code}, b"", ""


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(False)

        def do_GET(self) -> None:
            self._answer(True)

        def _answer(self, whole: bool) -> None:
            status, headers, body, name = hub.answer(self.path)
            if whole and name:
                hub.sent.append(name)
                if name in hub.broken:
                    status, headers, body = 500, {}, b""
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for start in range(0, len(body) if whole else 0, _PIECE):
                if name in hub.cut and start > len(body) / 2:
                    hub.cut.remove(name)
                    self.close_connection = True
                    return
                time.sleep(hub.pace * len(body[start : start + _PIECE]) / _PIECE)
                self.wfile.write(body[start : start + _PIECE])

        def log_message(self, *_: object) -> None:
            pass

    return Handler
