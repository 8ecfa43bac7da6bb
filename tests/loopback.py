"""A scripted OpenAI-compatible server on loopback: merges for real, and fails on demand."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """One HTTP answer. `text` becomes a chat completion; `body`, if given, is sent as it is."""

    text: str = ""
    finish: str = "stop"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    drop: bool = False  # close the connection without an answer


Script = Callable[[int, dict[str, Any]], Answer]


def texts_of(body: dict[str, Any]) -> dict[str, str]:
    """The fenced texts of a merge request: person, draft, anchor; "" where there is none."""
    user = body["messages"][-1]["content"]
    found = {
        name: re.search(rf"<{name}>\s*(.*?)\s*</{name}>", user, re.DOTALL)
        for name in ("person", "draft", "anchor")
    }
    return {name: match[1] if match else "" for name, match in found.items()}


def merge(_: int, body: dict[str, Any]) -> Answer:
    """What a well-behaved model answers: draft, anchor and manual caption in one line."""
    texts = texts_of(body)
    draft = texts["draft"].removeprefix("The image shows ").removesuffix(" on a grey background.")
    scene = " in ".join(part for part in (draft, texts["anchor"]) if part)
    return Answer(", ".join(part for part in (scene, texts["person"]) if part))


class ChatServer:
    """Use as a context manager. `script(number, body)` decides each chat answer, from 1 on."""

    def __init__(self, script: Script = merge, models: tuple[str, ...] = ("tiny",)) -> None:
        self.script = script
        self.models = models
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.probes = 0  # GET /v1/models
        self.busy = self.most_busy = 0  # chats under way at once
        self._turn = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]  # killed clients
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> ChatServer:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Listens no longer: whoever comes now is refused."""
        self._http.shutdown()
        self._http.server_close()

    def answer(self, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        with self._turn:
            self.requests.append(body)
            self.headers.append(headers)
            number = len(self.requests)
            self.busy += 1
            self.most_busy = max(self.busy, self.most_busy)
        try:
            return self.script(number, body)
        finally:
            with self._turn:
                self.busy -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path != "/v1/models":
                    self.reply(Answer(status=404, body=b'{"error": {"message": "no such path"}}'))
                    return
                server.probes += 1
                data = [{"id": name, "object": "model"} for name in server.models]
                self.reply(Answer(body=json.dumps({"object": "list", "data": data}).encode()))

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                if self.path != "/v1/chat/completions":
                    self.reply(Answer(status=404, body=b'{"error": {"message": "no such path"}}'))
                    return
                body = json.loads(raw)
                self.reply(server.answer(body, {k.lower(): v for k, v in self.headers.items()}))

            def reply(self, answer: Answer) -> None:
                if answer.drop:
                    self.close_connection = True
                    self.connection.close()
                    return
                body = answer.body
                if body is None:
                    body = json.dumps(completion(answer)).encode()
                self.send_response(answer.status)
                for name, value in {"content-type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def completion(answer: Answer) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text}
    return {
        "id": "chat-1",
        "object": "chat.completion",
        "created": 0,
        "model": "tiny",
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
    }
