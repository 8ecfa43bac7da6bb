"""OpenAI's chat completions: a question about a picture, or several for models that see together.

Pictures come as data URIs. Addresses of other machines are fetched for nobody unless
`--allow_remote`: a service that fetches what it is told to is a way into the network it stands in.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from enhance.service.engine import Engine
from enhance.service.gathering import Unanswered
from enhance.service.joycaption import Wrong, bounded, read_object, whole
from enhance.service.leaving import unless_gone
from enhance.service.shapes import LONGEST, MOST_TOKENS, ROLES
from enhance.service.told import Json, openai_error, without_paths
from stages.answer import Answer, TooLong
from stages.captioners import MANY
from stages.llm import Manner
from stages.sample import Unavailable, Unusable

_TOKENS = 512


class Chat:
    """The endpoints below /v1."""

    def __init__(self, engine: Engine, allow_remote: bool, largest: int) -> None:
        """`largest` bytes of a picture are fetched."""
        self._engine, self._remote, self._largest = engine, allow_remote, largest
        self._began = int(time.time())

    async def models(self, _: Request) -> Json:
        return Json({"object": "list", "data": [self._model]})

    async def model(self, request: Request) -> Response:
        return self._unknown(request.path_params["id"]) or Json(self._model)

    @property
    def _model(self) -> dict[str, Any]:
        name = self._engine.name
        return {"id": name, "object": "model", "created": self._began, "owned_by": "enhance"}

    def _unknown(self, name: object) -> Response | None:
        """What is answered of a model that is not served."""
        if name == self._engine.name:
            return None
        said = f"The model {str(name)[:200]!r} does not exist; {self._engine.name} does"
        return refused(404, said, "model", "model_not_found")

    async def completions(self, request: Request) -> Response:
        try:
            body = await read_object(request)
            unknown = self._unknown(body.get("model"))
            if body.get("model") not in (None, "") and unknown is not None:
                return unknown
            prompt, uris = _shown(body.get("messages"))
            manner = _manner(body)
            streams, counted = _streams(body)
            if body.get("n") is not None:
                bounded("n", body["n"], 1, 1, whole=True)  # there is one answer
            most = await self._most(len(uris))
            if len(uris) > most:
                raise Wrong(f"messages: at most {most} image(s) in one request, not {len(uris)}")
            pictures = [await self._picture(uri) for uri in uris]
        except Wrong as error:
            return refused(400, str(error))
        try:
            answer = await unless_gone(request, self._engine.caption(pictures, prompt, manner))
        except TooLong as error:
            return refused(400, str(error), "messages", "context_length_exceeded")
        except (Unusable, Unavailable) as error:
            said = f"Invalid image: {without_paths(str(error))}"
            return refused(400, said, "messages", "invalid_image")
        except (Unanswered, MemoryError) as error:
            return refused(500, without_paths(str(error)))
        name = f"chatcmpl-{uuid.uuid4().hex}"
        if streams:
            events = self._events(name, answer, counted)
            return StreamingResponse(events, media_type="text/event-stream")
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": answer.finish, "logprobs": None}
        told = self._told(name, "chat.completion")
        return Json({**told, "choices": [choice], "usage": _usage(answer)})

    async def _events(self, name: str, answer: Answer, counted: bool) -> AsyncIterator[str]:
        """The answer is whole before its first word is sent: batches are asked for it."""
        told = self._told(name, "chat.completion.chunk")
        for delta, finish in (
            ({"role": "assistant", "content": ""}, None),
            ({"content": answer.text}, None),
            ({}, answer.finish),
        ):
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
            yield _event({**told, "choices": [choice]})
        if counted:
            yield _event({**told, "choices": [], "usage": _usage(answer)})
        yield "data: [DONE]\n\n"

    def _told(self, name: str, kind: str) -> dict[str, Any]:
        now = int(time.time())
        return {"id": name, "object": kind, "created": now, "model": self._engine.name}

    async def _most(self, wished: int) -> int:
        """Pictures that the model takes in one question. Raises Fatal if it cannot be loaded."""
        if wished > 1:
            await self._engine.loaded()
        return MANY if wished > 1 and self._engine.captioner.together else 1

    async def _picture(self, uri: str) -> bytes:
        """Raises Wrong."""
        if uri.startswith("data:"):
            kind, found, data = uri.partition(";base64,")
            if not found or not kind.startswith("data:image/"):
                raise Wrong("image_url: give the picture as data:image/…;base64,…")
            try:
                return base64.b64decode("".join(data.split()), validate=True)
            except (binascii.Error, ValueError):
                raise Wrong("image_url: this is no base64") from None
        if not uri.startswith(("http://", "https://")):
            raise Wrong("image_url: give the picture as data:image/…;base64,…")
        if not self._remote:
            raise Wrong(
                "image_url: addresses are not fetched here (--allow_remote); give the picture as "
                "data:image/…;base64,…"
            )
        return await self._fetched(uri)

    async def _fetched(self, uri: str) -> bytes:
        import aiohttp

        try:
            limit = aiohttp.ClientTimeout(total=30)
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.get(uri, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise Wrong(f"image_url: the address answers with HTTP {response.status}")
                data = bytearray()
                async for piece in response.content.iter_any():
                    data += piece
                    if len(data) > self._largest:
                        raise Wrong(f"image_url: larger than {self._largest} bytes")
                return bytes(data)
        except (TimeoutError, aiohttp.ClientError, ValueError):
            raise Wrong("image_url: the address cannot be fetched") from None


def refused(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> Response:
    """OpenAI's error object."""
    return Json(openai_error(message, status, param, code), status)


def _shown(messages: Any) -> tuple[str, list[str]]:
    """(what is said, the pictures' addresses, at least one). Raises Wrong."""
    if not isinstance(messages, list) or not messages:
        raise Wrong("messages must be a list with at least one message")
    said: list[str] = []
    uris: list[str] = []
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise Wrong(f"a message must be an object with role ({', '.join(ROLES)}) and content")
        texts, found = _parts(message.get("content"))
        words = "\n".join(texts)
        said.append(f"You wrote: {words}" if message["role"] == "assistant" else words)
        uris += found
    if not uris:
        raise Wrong("messages must hold a picture as image_url")
    prompt = "\n\n".join(filter(None, (one.strip() for one in said)))
    if len(prompt) > LONGEST:
        raise Wrong(f"messages: more than {LONGEST} characters")
    return whole("messages", prompt) or "Describe this image.", uris


def _parts(content: Any) -> tuple[Sequence[str], Sequence[str]]:
    if content is None:
        return [], []
    if isinstance(content, str):
        return [content], []
    if not isinstance(content, list):
        raise Wrong("content must be a text or a list of parts")
    texts, uris = [], []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
            continue
        image = part.get("image_url") if kind == "image_url" else None
        uri = image.get("url") if isinstance(image, dict) else image
        if not isinstance(uri, str):
            raise Wrong("a part must be of type text or image_url")
        uris.append(uri)
    return texts, uris


def _manner(body: Mapping[str, Any]) -> Manner:
    limits = {
        "max_completion_tokens": (1, MOST_TOKENS, True),
        "max_tokens": (1, MOST_TOKENS, True),  # its older name
        "temperature": (0, 2, False),
        "top_p": (0, 1, False),
        "top_k": (0, 100_000, True),
    }
    given = {
        name: bounded(name, body[name], *limit)
        for name, limit in limits.items()
        if body.get(name) is not None
    }
    limit = given.get("max_completion_tokens") or given.get("max_tokens") or _TOKENS
    top_p, top_k = given.get("top_p"), given.get("top_k")
    return Manner(int(limit), given.get("temperature"), top_p or None, int(top_k or 0) or None)


def _streams(body: Mapping[str, Any]) -> tuple[bool, bool]:
    """(whether the answer is streamed, and its usage told). Raises Wrong."""
    options = body.get("stream_options")
    if not isinstance(options, (dict, type(None))):
        raise Wrong("stream_options must be an object")
    streams, counted = body.get("stream"), (options or {}).get("include_usage")
    if not all(isinstance(one, (bool, type(None))) for one in (streams, counted)):
        raise Wrong("stream and include_usage must be true or false")
    return streams is True, counted is True


def _usage(answer: Answer) -> dict[str, int]:
    return {
        "prompt_tokens": answer.read,
        "completion_tokens": answer.tokens,
        "total_tokens": answer.read + answer.tokens,
    }


def _event(data: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
