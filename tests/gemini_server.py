"""A server on loopback that speaks as Gemini's REST API does, and keeps what was really sent."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback import Answer
from PIL import Image
from seeing import colour_at

Script = Callable[[int, dict[str, Any]], Answer]
Look = Callable[[Image.Image, dict[str, Any]], Answer]
SEER = "gemini-9.5-flash"
MODELS = (SEER, "gemini-9-pro", "gemini-8.1-flash-lite", "gemini-embedding-2", "veo-4")


def model(name: str, thinking: bool = True) -> dict[str, Any]:
    """An entry of the list of models."""
    other = name.startswith(("veo", "gemini-embedding"))
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": ["embedContent" if other else "generateContent"],
        "thinking": thinking,
    }


def error(status: int, name: str, message: str, *details: dict[str, Any]) -> Answer:
    """A refusal as Google words it."""
    told = {"code": status, "message": message, "status": name, "details": list(details)}
    return Answer(status=status, body=json.dumps({"error": told}).encode())


def quota(quota_id: str, delay: str, value: str = "15") -> Answer:
    """A 429: the same sentence for a minute and for a day."""
    google = "type.googleapis.com/google.rpc."
    violation = {"quotaMetric": "requests", "quotaId": quota_id, "quotaValue": value}
    return error(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
        {"@type": f"{google}QuotaFailure", "violations": [violation]},
        {"@type": f"{google}RetryInfo", "retryDelay": delay},
    )


def parts_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of the first turn, where what is shown stands."""
    parts: list[dict[str, Any]] = body["contents"][0]["parts"]
    return parts


def shown(body: dict[str, Any]) -> list[bytes]:
    """What a request holds to look at, as it was sent."""
    return [
        base64.urlsafe_b64decode(part["inlineData"]["data"])
        for part in parts_of(body)
        if "inlineData" in part
    ]


def picture_of(body: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(shown(body)[0]))


def words_of(body: dict[str, Any]) -> str:
    """The text of the first turn."""
    return "\n".join(part["text"] for part in parts_of(body) if "text" in part)


def asks_colour(body: dict[str, Any]) -> bool:
    """True for the question by which a model is tried."""
    return "Which colour fills this picture?" in words_of(body)


def describe(image: Image.Image, _: dict[str, Any]) -> Answer:
    return Answer(f"a {colour_at(image, 0.5, 0.5)} wall in a wide shot", "STOP")


def seeing(look: Look = describe) -> Script:
    """Names the colour it is tried with, and says of every other picture what `look` does."""

    def script(_: int, body: dict[str, Any]) -> Answer:
        if not shown(body):
            return Answer("I see no picture.", "STOP")
        image = picture_of(body)
        if asks_colour(body):
            return Answer(colour_at(image, 0.5, 0.5).capitalize(), "STOP")
        return look(image, body)

    return script


def candidate(answer: Answer, body: dict[str, Any], version: str) -> dict[str, Any]:
    """The JSON of an answer; `reasoning` stands for thoughts that are counted and not told."""
    seen = sum(1 for part in parts_of(body) if "text" not in part)
    prompt, said = 258 * seen + len(words_of(body)) // 4, len(answer.text) // 4
    thoughts = len(answer.reasoning)
    one: dict[str, Any] = {"index": 0, "finishReason": answer.finish}
    if answer.text:
        one["content"] = {"role": "model", "parts": [{"text": answer.text}]}
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": said}
    usage |= {"thoughtsTokenCount": thoughts} if thoughts else {}
    usage["totalTokenCount"] = prompt + said + thoughts
    return {"candidates": [one], "usageMetadata": usage, "modelVersion": version}


class GeminiServer:
    """Use as a context manager. `script(number, body)` decides each answer, from 1 on."""

    def __init__(
        self, script: Script | None = None, models: tuple[str, ...] = MODELS, port: int = 0
    ) -> None:
        self.script = script or seeing()
        self.models = [model(name) for name in models]
        self.unlisted: list[dict[str, Any]] = []  # models that are there all the same
        self.page = 2  # models on a page
        self.catalogue: list[Answer] = []  # what the list of models answers first
        self.version = ""  # of the model that answers, "" for the one that is asked
        self.states = ["PROCESSING", "ACTIVE"]  # of an upload, one look after the other
        self.why = "unsupported codec"  # one failed
        self.requests: list[dict[str, Any]] = []
        self.asked: list[str] = []  # the model of each
        self.calls: list[str] = []  # "GET /v1beta/models?…", all of them
        self.headers: list[dict[str, str]] = []
        self.files: dict[str, dict[str, Any]] = {}  # that are there
        self.uploaded: list[dict[str, Any]] = []  # that ever were
        self.deleted: list[str] = []
        self.undeletable = False
        self.at_upload: list[Answer] = []  # what is answered to uploads first
        self._looks: dict[str, int] = {}
        self._pending: dict[str, tuple[dict[str, Any], bytearray]] = {}
        self._turn = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]  # killed clients
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> GeminiServer:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Listens no longer: whoever comes now is refused."""
        self._http.shutdown()
        self._http.server_close()

    @property
    def drafts(self) -> list[dict[str, Any]]:
        """The requests without those by which the model was tried."""
        return [body for body in self.requests if not asks_colour(body)]

    def answer(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> Answer:
        """What is answered to a request, whatever it is."""
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        with self._turn:
            self.calls.append(f"{method} {target}")
            self.headers.append(headers)
        if url.path == "/upload/v1beta/files":
            if self.at_upload:
                return self.at_upload.pop(0)
            return self._upload(headers, raw, query)
        if not url.path.startswith("/v1beta/"):
            return error(404, "NOT_FOUND", "no such path")
        path = url.path.removeprefix("/v1beta/")
        if method == "POST" and path.endswith(":generateContent"):
            return self._generate(path.removesuffix(":generateContent"), _camel(json.loads(raw)))
        if path == "models":
            return self._list(query)
        if path.startswith("models/"):
            found = [one for one in (*self.models, *self.unlisted) if one["name"] == path]
            return _json(found[0]) if found else _unknown(path)
        if path == "files":
            return _json({"files": [*self.files.values()]})
        return self._file(method, path)

    def _list(self, query: dict[str, str]) -> Answer:
        if self.catalogue:
            return self.catalogue.pop(0)
        begin = int(query.get("pageToken", "0"))
        end = begin + min(self.page, int(query.get("pageSize", "50")))
        more = {"nextPageToken": str(end)} if end < len(self.models) else {}
        return _json({"models": self.models[begin:end], **more})

    def _generate(self, name: str, body: dict[str, Any]) -> Answer:
        with self._turn:
            self.requests.append(body)
            self.asked.append(name)
            number = len(self.requests)
        if not any(one["name"] == name for one in (*self.models, *self.unlisted)):
            return _unknown(name)
        for part in parts_of(body):
            uri = part.get("fileData", {}).get("fileUri", "")
            if uri and uri.rpartition("/v1beta/")[2] not in self.files:
                said = f"You do not have permission to access the File {uri} or it may not exist."
                return error(403, "PERMISSION_DENIED", said)
        answer = self.script(number, body)
        if answer.body is None and not answer.drop:
            version = self.version or name.removeprefix("models/")
            answer.body = json.dumps(candidate(answer, body, version)).encode()
        return answer

    def _upload(self, headers: dict[str, str], raw: bytes, query: dict[str, str]) -> Answer:
        with self._turn:
            if headers.get("x-goog-upload-command") == "start":
                number = len(self.uploaded) + len(self._pending) + 1
                told = _camel(json.loads(raw)).get("file", {})
                told["mimeType"] = headers["x-goog-upload-header-content-type"]
                self._pending[str(number)] = (told, bytearray())
                where = f"{self.url}/upload/v1beta/files?upload_id={number}"
                return Answer(
                    headers={"x-goog-upload-url": where, "x-goog-upload-status": "active"}, body=b""
                )
            told, data = self._pending[query["upload_id"]]
            assert int(headers["x-goog-upload-offset"]) == len(data)
            data += raw
            if "finalize" not in headers["x-goog-upload-command"]:
                return Answer(headers={"x-goog-upload-status": "active"}, body=b"")
            name = told.get("name") or f"files/video{query['upload_id']}"
            assert re.fullmatch(r"files/[a-z0-9][a-z0-9-]{0,38}[a-z0-9]", name)
            file = {
                "name": name,
                "displayName": told.get("displayName", ""),
                "mimeType": told["mimeType"],
                "sizeBytes": str(len(data)),
                "uri": f"{self.url}/v1beta/{name}",
                "state": self.states[0],
            }
            self.files[name] = file
            self.uploaded.append({**file, "data": bytes(data), "headers": headers})
            answer = _json({"file": self._seen(name)})
        answer.headers["x-goog-upload-status"] = "final"
        return answer

    def _file(self, method: str, name: str) -> Answer:
        with self._turn:
            if method == "DELETE" and self.undeletable:
                return error(500, "INTERNAL", "not now")
            if name not in self.files:
                return error(403, "PERMISSION_DENIED", f"File {name} may not exist.")
            if method == "DELETE":
                del self.files[name]
                self.deleted.append(name)
                return _json({})
            return _json(self._seen(name))

    def _seen(self, name: str) -> dict[str, Any]:
        look = self._looks.get(name, 0)
        self._looks[name] = look + 1
        state = self.states[min(look, len(self.states) - 1)]
        why = {"error": {"code": 3, "message": self.why}} if state == "FAILED" else {}
        self.files[name]["state"] = state
        return {**self.files[name], **why}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.serve()

            def do_POST(self) -> None:
                self.serve()

            def do_DELETE(self) -> None:
                self.serve()

            def serve(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = server.answer(self.command, self.path, headers, raw)
                if answer.drop:
                    self.close_connection = True
                    self.connection.close()
                    return
                body = answer.body or b""
                self.send_response(answer.status)
                for name, value in {"content-type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if answer.cut:
                    self.wfile.write(body[: len(body) // 2])
                    self.close_connection = True
                    self.connection.close()
                    return
                for place in range(0, len(body), 1 if answer.trickle else len(body) or 1):
                    self.wfile.write(body[place : place + 1] if answer.trickle else body)
                    time.sleep(answer.trickle)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _camel(data: Any) -> Any:
    """Google's JSON takes names as `mime_type` and `mimeType`; the SDK sends either."""
    if isinstance(data, list):
        return [_camel(one) for one in data]
    if not isinstance(data, dict):
        return data
    return {re.sub(r"_(.)", lambda m: m[1].upper(), name): _camel(v) for name, v in data.items()}


def _json(data: dict[str, Any]) -> Answer:
    return Answer(body=json.dumps(data).encode())


def _unknown(name: str) -> Answer:
    said = f"{name} is not found for API version v1beta, or is not supported for generateContent."
    return error(404, "NOT_FOUND", said)
