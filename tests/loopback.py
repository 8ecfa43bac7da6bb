"""A scripted OpenAI-compatible server on loopback: merges for real, and fails on demand."""

from __future__ import annotations

import json
import re
import threading
import time
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
    cut: bool = False  # close it amid the body
    trickle: float = 0.0  # seconds between single bytes of the body
    reasoning: str = ""  # what a reasoning model thought, in its own field


Script = Callable[[int, dict[str, Any]], Answer]


def texts_of(body: dict[str, Any]) -> dict[str, str]:
    """The fenced texts of a merge request: person, draft, anchor; "" where there is none."""
    user = next(turn["content"] for turn in body["messages"] if turn["role"] == "user")
    found = {
        name: re.findall(rf"^<{name}>\s*(.*?)\s*</{name}>$", user, re.DOTALL | re.MULTILINE)
        for name in ("person", "draft", "anchor")
    }
    return {name: matches[-1] if matches else "" for name, matches in found.items()}


def merge(_: int, body: dict[str, Any]) -> Answer:
    """What a well-behaved model answers: draft, anchor and manual caption in one line."""
    texts = texts_of(body)
    draft = texts["draft"].removeprefix("The image shows ").removesuffix(" on a grey background.")
    scene = " in ".join(part for part in (draft, texts["anchor"]) if part)
    return Answer(", ".join(part for part in (scene, texts["person"]) if part))


class ChatServer:
    """Use as a context manager. `script(number, body)` decides each chat answer, from 1 on."""

    def __init__(
        self,
        script: Script = merge,
        models: tuple[str, ...] = ("tiny",),
        port: int = 0,
        tokenizes: bool = False,
    ) -> None:
        """`tokenizes`: it counts tokens, as the servers of llama.cpp and vLLM do: words, here."""
        self.script = script
        self.models = models
        self.tokenizes = tokenizes
        self.catalogue: list[Answer] = []  # what GET /v1/models answers first, one after the other
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []  # when each request came
        self.headers: list[dict[str, str]] = []
        self.probes = 0  # GET /v1/models
        self.busy = self.most_busy = 0  # chats under way at once
        self._turn = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
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
            self.times.append(time.monotonic())
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
                if server.catalogue:
                    self.reply(server.catalogue.pop(0))
                    return
                data = [{"id": name, "object": "model"} for name in server.models]
                self.reply(Answer(body=json.dumps({"object": "list", "data": data}).encode()))

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/tokenize" and server.tokenizes:
                    tokens = list(range(len(json.loads(raw)["content"].split())))
                    self.reply(Answer(body=json.dumps({"tokens": tokens}).encode()))
                    return
                if self.path != "/v1/chat/completions":
                    self.reply(Answer(status=404, body=b'{"error": {"message": "no such path"}}'))
                    return
                body = json.loads(raw)
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.reply(server.answer(body, headers), len(raw))

            def reply(self, answer: Answer, sent: int = 0) -> None:
                if answer.drop:
                    self.close_connection = True
                    self.connection.close()
                    return
                body = answer.body
                if body is None:
                    body = json.dumps(completion(answer, sent)).encode()
                self.send_response(answer.status)
                for name, value in {"content-type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if answer.cut:
                    self.wfile.write(body[: len(body) // 2])
                    self.close_connection = True
                    self.connection.close()
                elif answer.trickle:
                    for place in range(len(body)):
                        self.wfile.write(body[place : place + 1])
                        self.wfile.flush()
                        time.sleep(answer.trickle)
                else:
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def completion(answer: Answer, sent: int = 0) -> dict[str, Any]:
    """`sent` bytes were the request: four make a token."""
    message = {"role": "assistant", "content": answer.text}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    prompt, said = sent // 4, len(answer.text) // 4 + 1
    return {
        "id": "chat-1",
        "object": "chat.completion",
        "created": 0,
        "model": "tiny",
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": said,
            "total_tokens": prompt + said,
        },
    }
