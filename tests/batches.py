"""A server on loopback that takes batches, as OpenAI documents its files and batches."""

from __future__ import annotations

import email
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback import Answer, Script, completion
from seeing import asks_colour, seeing

ENQUEUED = (
    "Enqueued token limit reached for tiny in organization org-1. Limit: 90,000 enqueued tokens. "
    "Please try again once some in_progress batches have been completed."
)
LATE = "This request could not be executed before the completion window expired."
_STATES = ("validating", "in_progress", "finalizing", "completed")


@dataclass
class File:
    id: str
    name: str
    purpose: str
    data: bytes
    created: int

    def told(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.data),
            "created_at": self.created,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
        }


@dataclass
class Batch:
    id: str
    input: str
    metadata: dict[str, str]
    created: int
    requests: list[dict[str, Any]]
    status: str = "validating"
    output: str | None = None
    errors_file: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def told(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
            "input_file_id": self.input,
            "completion_window": "24h",
            "status": self.status,
            "output_file_id": self.output,
            "error_file_id": self.errors_file,
            "created_at": self.created,
            "request_counts": {
                "total": len(self.requests),
                "completed": self.counts["completed"],
                "failed": self.counts["failed"],
            },
            "metadata": self.metadata,
        }


class BatchServer:
    """Use as a context manager. A batch takes a step each time it is looked at, unless it is held;
    `script(number, body)` answers each of its requests, and those that come alone."""

    def __init__(self, script: Script | None = None, models: tuple[str, ...] = ("tiny",)) -> None:
        self.script = script or seeing()
        self.models = models
        self.files: dict[str, File] = {}
        self.batches: dict[str, Batch] = {}
        self.asked: Counter[str] = Counter()  # custom_id of each request that ran in a batch
        self.bodies: list[dict[str, Any]] = []  # of these
        self.alone: list[dict[str, Any]] = []  # requests that came alone
        self.deleted: list[str] = []
        self.calls: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.key = ""  # if given, the only one that is let in
        self.held = False  # batches stay in progress
        self.expires = -1  # so many requests of a batch run, then its day is over
        self.most = 0  # requests that may be under way, 0 for any number
        self.has_batches = True
        self.wrong: list[dict[str, Any]] = []  # errors of the next batch
        # Called once the server has done what it was asked, before it says so: "upload", "create",
        # "look", "fetch", "list"; what is returned is said instead.
        self.at: dict[str, Callable[[], Answer | None]] = {}
        self._turn = threading.RLock()
        self._number = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]  # killed clients
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> BatchServer:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def drafts_alone(self) -> list[dict[str, Any]]:
        """Requests that came alone, without those by which the server was tried."""
        return [body for body in self.alone if not asks_colour(body)]

    def _next(self, kind: str) -> str:
        self._number += 1
        return f"{kind}{self._number:06}"

    def keep(self, data: bytes, name: str, purpose: str) -> File:
        with self._turn:
            file = File(self._next("file-"), name, purpose, data, int(time.time()))
            self.files[file.id] = file
            return file

    def create(self, body: dict[str, Any]) -> Answer:
        file = self.files.get(body.get("input_file_id", ""))
        if file is None or file.purpose != "batch":
            return refusal(400, f"No such File object: {body.get('input_file_id')}")
        if (body.get("endpoint"), body.get("completion_window")) != ("/v1/chat/completions", "24h"):
            return refusal(400, "Invalid value for endpoint or completion_window")
        metadata = body.get("metadata") or {}
        if not all(isinstance(text, str) and len(text) <= 512 for text in metadata.values()):
            return refusal(400, "Invalid metadata")
        requests = [json.loads(line) for line in file.data.splitlines()]
        batch = Batch(self._next("batch_"), file.id, metadata, int(time.time()), requests)
        self.batches[batch.id] = batch
        names = [one["custom_id"] for one in requests]
        if len(set(names)) < len(names):
            batch.errors = [{"code": "duplicate_custom_id", "message": "twice", "line": 2}]
        if len({one["body"]["model"] for one in requests}) > 1:
            batch.errors = [{"code": "mismatched_model", "message": "two models", "line": 2}]
        if any((one["method"], one["url"]) != ("POST", body["endpoint"]) for one in requests):
            batch.errors = [{"code": "invalid_url", "message": "another url", "line": 1}]
        if self.wrong:
            batch.errors, self.wrong = self.wrong, []
        others = sum(
            len(one.requests) for one in self.batches.values() if one.status in _STATES[:3]
        )
        if self.most and others > self.most:
            batch.errors = [{"code": "token_limit_exceeded", "message": ENQUEUED}]
        return said(batch.told())

    def finish(self) -> None:
        """All that was started runs to its end, whether anybody looks or not."""
        self.held = False
        with self._turn:
            for batch in self.batches.values():
                while batch.status in _STATES[:3]:
                    self.step(batch)

    def step(self, batch: Batch) -> None:
        if batch.input not in self.files and batch.status in _STATES[:3]:
            batch.errors = [{"code": "file_not_found", "message": "The input file is gone."}]
            batch.status = "validating"
        if batch.status == "validating" and batch.errors:
            batch.status = "failed"
        elif batch.status in _STATES[:3] and not (self.held and batch.status == "in_progress"):
            batch.status = _STATES[_STATES.index(batch.status) + 1]
            if batch.status == "completed":
                self._finish(batch)

    def _finish(self, batch: Batch) -> None:
        good, bad = [], []
        for number, request in enumerate(batch.requests):
            line: dict[str, Any] = {
                "id": f"batch_req_{number}",
                "custom_id": request["custom_id"],
                "response": None,
                "error": None,
            }
            if 0 <= self.expires <= number:
                batch.status = "expired"
                line["error"] = {"code": "batch_expired", "message": LATE}
                bad.append(line)
                continue
            self.asked[request["custom_id"]] += 1
            self.bodies.append(request["body"])
            answer = self.script(len(self.bodies), request["body"])
            sent = len(json.dumps(request["body"]))
            body = completion(answer, sent) if answer.body is None else json.loads(answer.body)
            line["response"] = {"status_code": answer.status, "request_id": "r", "body": body}
            (good if answer.status == 200 else bad).append(line)
        batch.counts.update(completed=len(good), failed=len(bad))
        for lines, name in ((good, "output"), (bad, "errors_file")):
            if lines:  # an empty file is not made
                data = b"".join(json.dumps(line).encode() + b"\n" for line in reversed(lines))
                file = self.keep(data, f"{batch.id}_{name}.jsonl", "batch_output")
                setattr(batch, name, file.id)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.serve(b"")

            def do_DELETE(self) -> None:
                self.serve(b"")

            def do_POST(self) -> None:
                self.serve(self.rfile.read(int(self.headers["content-length"])))

            def serve(self, raw: bytes) -> None:
                key = self.headers.get("authorization", "").removeprefix("Bearer ")
                server.keys.add(key)
                if server.key and key != server.key:
                    self.reply(refusal(401, f"Incorrect API key provided: {key}"))
                    return
                what, answer = server.route(self.command, self.path, dict(self.headers), raw)
                server.calls[what] += 1
                instead = server.at[what]() if what in server.at else None
                self.reply(instead or answer)

            def reply(self, answer: Answer) -> None:
                if answer.drop:
                    self.close_connection = True
                    self.connection.close()
                    return
                body = answer.body or b""
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def route(
        self, method: str, path: str, headers: dict[str, str], raw: bytes
    ) -> tuple[str, Answer]:
        """What was asked for, and the answer."""
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        words = parts.path.removeprefix("/v1/").split("/")
        match method, words:
            case "GET", ["models"]:
                data = [{"id": name, "object": "model"} for name in self.models]
                return "models", said({"object": "list", "data": data})
            case "POST", ["chat", "completions"]:
                body = json.loads(raw)
                with self._turn:
                    self.alone.append(body)
                answer = self.script(len(self.alone), body)
                if answer.body is None:
                    answer.body = json.dumps(completion(answer, len(raw))).encode()
                return "alone", answer
        if not self.has_batches:
            return "nothing", refusal(404, "Not Found")
        with self._turn:
            match method, words:
                case "POST", ["files"]:
                    return "upload", self._upload(headers, raw)
                case "GET", ["files"]:
                    files = [
                        file.told()
                        for file in reversed(self.files.values())
                        if file.purpose == query.get("purpose", file.purpose)
                    ]
                    return "files", page(files, query)
                case "GET", ["files", name, "content"]:
                    file = self.files.get(name)
                    return "fetch", Answer(body=file.data) if file else refusal(404, "No such File")
                case "DELETE", ["files", name]:
                    found = self.files.pop(name, None)
                    self.deleted.append(name)
                    return "delete", said({"id": name, "deleted": bool(found)})
                case "POST", ["batches"]:
                    return "create", self.create(json.loads(raw))
                case "GET", ["batches"]:
                    listed = [batch.told() for batch in reversed(self.batches.values())]
                    return "list", page(listed, query)
                case "GET", ["batches", name]:
                    batch = self.batches.get(name)
                    if batch is None:
                        return "look", refusal(404, f"No batch found with id '{name}'.")
                    self.step(batch)
                    return "look", said(batch.told())
        return "nothing", refusal(404, f"Invalid URL ({method} {path})")

    def _upload(self, headers: dict[str, str], raw: bytes) -> Answer:
        kind = next(value for name, value in headers.items() if name.lower() == "content-type")
        if not kind.startswith("multipart/form-data; boundary="):
            return refusal(400, "Could not parse multipart form")
        purpose, name, data = "", "", b""
        for part in raw.split(b"--" + kind.partition("boundary=")[2].strip('"').encode())[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            told = email.message_from_bytes(head.strip())
            match told.get_param("name", header="content-disposition"):
                case "purpose":
                    purpose = content.removesuffix(b"\r\n").decode()
                case "file":
                    name, data = told.get_filename() or "", content.removesuffix(b"\r\n")
        if purpose != "batch" or not name.endswith(".jsonl"):
            return refusal(400, f"Invalid purpose {purpose!r} or file name {name!r}")
        if len(data) > 200_000_000:
            return refusal(413, "File is too large")
        return said(self.keep(data, name, purpose).told())


def page(found: list[dict[str, Any]], query: dict[str, str]) -> Answer:
    """A page of a list, newest first."""
    names = [one["id"] for one in found]
    start = names.index(query["after"]) + 1 if query.get("after") in names else 0
    limit = int(query.get("limit", 20))
    data = found[start : start + limit]
    return said({"object": "list", "data": data, "has_more": start + limit < len(found)})


def said(told: dict[str, Any]) -> Answer:
    """Tells too when it wants to be asked again: tests do not wait."""
    headers = {"content-type": "application/json", "retry-after": "0.02"}
    return Answer(body=json.dumps(told).encode(), headers=headers)


def refusal(status: int, message: str) -> Answer:
    body = {"error": {"message": message, "type": "invalid_request_error", "code": None}}
    return Answer(status=status, body=json.dumps(body).encode())
