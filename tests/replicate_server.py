"""A scripted Replicate on loopback: its REST API as far as captioning needs it, with models whose
input fields have other names; it decodes what it is sent, and fails on demand."""

from __future__ import annotations

import base64
import email
import email.policy
import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image
from seeing import colour_at

TOKEN = "r8_of_the_tests_and_nobody_else"
URI = {"type": "string", "format": "uri"}
TEXT = {"type": "string", "default": ""}

# Input fields by model: of the vendor's own, of a chat model, and of those that people put there.
MODELS: dict[str, dict[str, Any]] = {
    "vendor/flash": {
        "images": {"type": "array", "items": URI, "x-order": 1, "default": [], "maxItems": 3},
        "videos": {"type": "array", "items": URI, "x-order": 2, "default": []},
        "prompt": {"type": "string", "x-order": 0},
        "system_instruction": {"type": "string", "nullable": True, "x-order": 3},
        "temperature": {"type": "number", "minimum": 0, "maximum": 2, "default": 1, "x-order": 4},
        "top_p": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.95, "x-order": 5},
        "max_output_tokens": {
            "type": "integer",
            "minimum": 1,
            "maximum": 700,
            "default": 700,
            "x-order": 6,
        },
    },
    "people/llava": {
        "image": {"allOf": [{"$ref": "#/components/schemas/Picture"}], "x-order": 0},
        "text": {"type": "string", "x-order": 1},
        "max_tokens": {"type": "integer", "default": 1024, "minimum": 0, "x-order": 2},
    },
    "people/album": {
        "input_images": {"type": "array", "items": URI, "maxItems": 5},
        "question": {"type": "string"},
    },
    "people/tagger": {"img": {"anyOf": [URI, {"type": "null"}]}, "threshold": {"type": "number"}},
    "people/writer": {"prompt": {"type": "string"}, "max_tokens": {"type": "integer"}},
    "people/editor": {
        "image": URI,
        "prompt": TEXT,
        "mask": URI,
        "mode": {"type": "string", "enum": ["a", "b"]},
    },
}
NEEDED = {
    "vendor/flash": ["prompt"],
    "people/llava": ["image", "text"],
    "people/album": ["input_images", "question"],
    "people/tagger": ["img"],
    "people/writer": ["prompt"],
    "people/editor": ["image", "mask", "mode"],
}


@dataclass
class Plan:
    """What becomes of one prediction. `output` None: what is in its picture."""

    output: Any = None
    status: str = "succeeded"
    error: str | None = None
    starting: int = 0  # looks that find it starting, then
    working: int = 1  # those that find it at work; -1: all
    tokens: tuple[int, int] | None = None
    answer: tuple[int, Any] | None = None  # to its creation, and nothing is created
    lost: int | None = None  # it is created and answered by this status; 0: by no word


@dataclass
class Prediction:
    name: str
    model: str
    input: dict[str, Any]
    plan: Plan
    created: str
    looks: int = 0
    canceled: bool = False
    whole: threading.Event = field(default_factory=threading.Event)


Script = Callable[[int, dict[str, Any]], Plan]


class Replicate:
    """Use as a context manager. `script(number, input)` plans each creation, from 1 on."""

    def __init__(self, script: Script = lambda *_: Plan(), listing: str = "whole") -> None:
        """`listing`: whether its list of predictions tells inputs "whole", "short" or "not"."""
        self.script, self.listing = script, listing
        self.models = dict(MODELS)
        self.latest = {name: f"{number:064x}" for number, name in enumerate(self.models, 1)}
        self.asked: list[tuple[str, str]] = []  # method and path, in their order
        self.headers: list[dict[str, str]] = []
        self.creations: list[tuple[str, dict[str, Any]]] = []  # path and body, refused ones too
        self.predictions: dict[str, Prediction] = {}
        self.files: dict[str, bytes] = {}
        self.names: list[str] = []  # that files were uploaded by
        self.deleted: list[str] = []
        self.unknown: set[str] = set()  # fields that were sent and that no model has
        self.faults: list[int] = []  # what the next looks are answered
        self.forgotten: set[str] = set()  # predictions whose output is kept no longer
        self.turn = threading.RLock()
        self.stuck: threading.Event | None = None  # what cancellations wait for, unanswered
        self.hidden = False  # every connection breaks
        self._http = self._open(0)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Replicate:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hide()

    def hide(self) -> None:
        """Nobody listens any more, and what is connected breaks off."""
        self.hidden = True
        self._http.shutdown()
        self._http.server_close()

    def show(self) -> None:
        """It listens again."""
        self.hidden = False
        self._http = self._open(self._http.server_port)
        self.__enter__()

    def _open(self, port: int) -> ThreadingHTTPServer:
        http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        http.daemon_threads = True
        http.handle_error = lambda *_: None  # type: ignore[method-assign]  # killed clients
        return http

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Of all predictions that were really created."""
        return [one.input for one in self.predictions.values()]

    def looked(self) -> int:
        return sum(one.looks for one in self.predictions.values())

    def canceled(self) -> int:
        return sum(one.canceled for one in self.predictions.values())

    def finish(self) -> None:
        """What is at work ends by the next look, and so does whatever else is created."""
        for one in self.predictions.values():
            one.plan.working = 1
        self.script = lambda *_: Plan()

    def bytes_of(self, address: str) -> bytes:
        """The file at an address that was sent: in it, or uploaded."""
        if address.startswith("data:"):
            return base64.b64decode(address.partition(";base64,")[2])
        return self.files[address.rpartition("/")[2]]

    def picture(self, given: dict[str, Any]) -> Image.Image:
        """The first picture of an input, whatever its field is called."""
        for value in given.values():
            one = value[0] if isinstance(value, list) and value else value
            if isinstance(one, str) and one.startswith(("data:image", f"{self.url}/v1/files/")):
                return Image.open(io.BytesIO(self.bytes_of(one)))
        raise AssertionError(f"no picture in {sorted(given)}")

    def model(self, name: str) -> dict[str, Any]:
        owner, _, short = name.partition("/")
        return {
            "url": f"https://replicate.com/{name}",
            "owner": owner,
            "name": short,
            "description": None,
            "visibility": "public",
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": 1,
            "cover_image_url": None,
            "default_example": None,
            "latest_version": self.version(name),
        }

    def version(self, name: str) -> dict[str, Any]:
        schema = {"type": "object", "title": "Input", "properties": self.models[name]}
        needed = NEEDED.get(name)
        schemas = {"Input": {**schema, "required": needed} if needed else schema, "Picture": URI}
        return {
            "id": self.latest[name],
            "created_at": "2026-01-01T00:00:00Z",
            "cog_version": "0.16",
            "openapi_schema": {"components": {"schemas": schemas}},
        }

    def told(self, one: Prediction, listed: bool = False) -> dict[str, Any]:
        plan = one.plan
        status = "processing"
        if one.canceled:
            status = "canceled"
        elif one.looks <= plan.starting:
            status = "starting"
        elif plan.working >= 0 and one.looks > plan.starting + plan.working:
            status = plan.status
        output = None
        if status == "succeeded" and one.name not in self.forgotten:
            output = plan.output if plan.output is not None else self.described(one.input)
        metrics: dict[str, Any] = {"predict_time": 0.5} if status == "succeeded" else {}
        if plan.tokens and metrics:
            metrics |= dict(
                zip(("input_token_count", "output_token_count"), plan.tokens, strict=True)
            )
        shown: Any = one.input
        if listed and self.listing != "whole":
            brief = {name: value for name, value in shown.items() if len(str(value)) < 200}
            shown = brief if self.listing == "short" else None
        return {
            "id": one.name,
            "model": one.model,
            "version": self.latest[one.model],
            "input": shown,
            "logs": "",
            "output": output,
            "error": plan.error if status == "failed" else None,
            "status": status,
            "created_at": one.created,
            "data_removed": one.name in self.forgotten,
            "metrics": metrics,
            "urls": {"get": f"{self.url}/v1/predictions/{one.name}"},
        }

    def described(self, given: dict[str, Any]) -> str:
        return f"a {colour_at(self.picture(given), 0.5, 0.5)} wall in a wide shot"

    def get(self, path: str) -> tuple[int, Any]:
        parts = path.strip("/").split("/")[1:]
        if parts == ["account"]:
            return 200, {"type": "user", "username": "otto", "name": "Otto", "github_url": None}
        if parts[0] == "models":
            name = "/".join(parts[1:3])
            if name not in self.models or (len(parts) == 5 and parts[4] != self.latest[name]):
                return 404, {"title": "Not found", "detail": "The requested resource is not found."}
            return 200, self.version(name) if len(parts) == 5 else self.model(name)
        if parts == ["predictions"]:
            newest = reversed(self.predictions.values())
            results = [self.told(one, listed=True) for one in newest]
            return 200, {"previous": None, "next": None, "results": results}
        if parts[0] == "predictions" and parts[1] in self.predictions:
            if self.faults:
                return self.faults.pop(0), {"detail": "a bad moment"}
            one = self.predictions[parts[1]]
            one.looks += 1
            return 200, self.told(one)
        return 404, {"title": "Not found", "detail": "The requested resource is not found."}

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Status 0: the connection is closed without an answer."""
        parts = path.strip("/").split("/")[1:]
        if parts[-1] == "cancel":
            self.predictions[parts[1]].canceled = True
            return 200, self.told(self.predictions[parts[1]])
        self.creations.append((path, body))
        if parts[0] == "models":
            name = "/".join(parts[1:3])
            if not name.startswith("vendor/"):
                return 404, {"title": "Not found", "detail": "The requested resource is not found."}
        else:
            named = [name for name, latest in self.latest.items() if latest == body["version"]]
            if not named:
                return 422, {"title": "Invalid version or not permitted", "detail": "No such."}
            name = named[0]
        given = body["input"]
        if unknown := given.keys() - self.models[name].keys():
            self.unknown |= unknown
        if missing := [one for one in NEEDED.get(name, []) if one not in given]:
            return 422, {"title": "Input validation failed", "detail": f"{missing} is required"}
        plan = self.script(len(self.creations), given)
        if plan.answer:
            return plan.answer
        one = Prediction(
            f"p{len(self.predictions)}", name, given, plan, datetime.now(UTC).isoformat()
        )
        self.predictions[one.name] = one
        if plan.lost is not None:
            return plan.lost, {"detail": "bad gateway"}
        return 201, self.told(one)

    def keep(self, data: bytes, kind: str) -> dict[str, Any]:
        whole = b"content-type: " + kind.encode() + b"\r\n\r\n" + data
        parts = email.message_from_bytes(whole, policy=email.policy.HTTP)
        (part,) = [one for one in parts.iter_parts() if one.get_filename()]  # type: ignore[attr-defined]
        name = f"f{len(self.files)}"
        self.names.append(str(part.get_filename()))
        self.files[name] = part.get_payload(decode=True)
        return {
            "id": name,
            "name": part.get_filename(),
            "content_type": part.get_content_type(),
            "size": len(self.files[name]),
            "etag": "",
            "checksums": {},
            "metadata": {},
            "created_at": "2026-01-01T00:00:00Z",
            "expires_at": None,
            "urls": {"get": f"{self.url}/v1/files/{name}"},
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer(lambda _: server.get(self.path))

            def do_POST(self) -> None:
                if self.path == "/v1/files":
                    kind = self.headers["content-type"]
                    self.answer(lambda data: (201, server.keep(data, kind)))
                else:
                    self.answer(lambda data: server.post(self.path, json.loads(data or b"{}")))

            def do_DELETE(self) -> None:
                server.deleted.append(self.path.rpartition("/")[2])
                self.answer(lambda _: (204, None))

            def answer(self, made: Callable[[bytes], tuple[int, Any]]) -> None:
                # In pieces, where an upload does not say how long it is.
                length = self.headers["content-length"]
                data = self.rfile.read(int(length)) if length else b""
                if self.headers["transfer-encoding"] == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        data += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                if server.stuck and self.path.endswith("/cancel"):
                    server.stuck.wait(300)
                    return
                with server.turn:
                    server.asked.append((self.command, self.path))
                    server.headers.append({k.lower(): v for k, v in self.headers.items()})
                    if self.headers["authorization"] == f"Bearer {TOKEN}":
                        status, body = made(data)
                    else:
                        said = f"No such token: {self.headers['authorization']}"
                        status, body = 401, {"title": "Unauthenticated", "detail": said}
                if not status or server.hidden:
                    self.close_connection = True
                    self.connection.close()
                    return
                sent = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
