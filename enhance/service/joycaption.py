"""The contract of AI-Toolkit's JoyCaption service: the same fields, defaults, statuses and texts.

Its page sends styles in title case and misspelt, and null for what is not set: null is missing.
Files are opened below the allowed roots only; one that is not there and one that may not be opened
are answered alike.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.requests import Request

from enhance.service.engine import Engine
from enhance.service.gathering import Unanswered
from enhance.service.leaving import unless_gone
from enhance.service.roots import Missing, Roots
from enhance.service.shapes import LONGEST, MOST_FILES, MOST_TOKENS
from enhance.service.told import Json, failed, without_paths
from stages.answer import TooLong
from stages.joy import Wish, builder
from stages.llm import Manner
from stages.sample import Fatal, Unavailable, Unusable

# Of the page, which has no such type.
_MISSPELT = {"boorutaglist": "Danbooru tag list"}
_FAILS = (Unusable, Unavailable, Unanswered, MemoryError)


class Wrong(Exception):
    """A request that cannot be understood: status 400."""


class JoyCaption:
    """Its endpoints."""

    def __init__(self, engine: Engine, roots: Roots, gpus: int) -> None:
        self._engine, self._roots, self._gpus = engine, roots, gpus

    async def health(self, _: Request) -> Json:
        loading = self._engine.loading
        return Json(
            {
                "status": "healthy",
                "model_loaded": self._engine.ready,
                "gpu_available": self._gpus > 0,
                "gpu_count": self._gpus,
                "loading_progress": loading.as_json(),
            }
        )

    async def progress(self, _: Request) -> Json:
        # The page polls this once its start button was pressed, and waits for a model that nobody
        # has asked anything yet.
        return Json(self._engine.polled().as_json())

    async def prompts(self, _: Request) -> Json:
        build = builder()
        styles = {name: _of_style(name) for name in build.styles}
        return Json({"prompts": styles, "styles": [*styles], "joycaption_types": [*build.types]})

    async def caption(self, request: Request) -> Json:
        body = await read_object(request)
        name = _text(body, "image_path", "")
        if not name:
            raise Wrong("image_path is required")
        wish, manner = self._wished(body), _manner(body)
        path = self._roots.image(name)
        if path is None:
            return failed(404, f"Image file not found: {name}")
        began = time.perf_counter()
        prompt = await self._prompt(wish)
        picture = partial(self._roots.open, path)
        try:
            answer = await unless_gone(request, self._engine.caption([picture], prompt, manner))
        except TooLong as error:
            raise Wrong(str(error)) from None
        except Missing:
            return failed(404, f"Image file not found: {name}")
        except _FAILS as error:
            return failed(500, "Failed to generate caption", without_paths(str(error)))
        return Json(
            {
                "success": True,
                "caption": answer.text,
                "prompt_used": prompt,
                "generation_time": round(time.perf_counter() - began, 3),
                "image_path": name,
            }
        )

    async def batch(self, request: Request) -> Json:
        body = await read_object(request)
        names = body.get("image_paths")
        if names is None:
            raise Wrong("image_paths is required")
        texts = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not texts or len(names) > MOST_FILES or max(map(len, names), default=0) > LONGEST:
            raise Wrong(f"image_paths must be a list of at most {MOST_FILES} paths")
        manner = _manner(body)
        prompt = await self._prompt(self._wished(body))
        began = time.perf_counter()
        room = asyncio.Semaphore(64)  # of this request in the queue, which others want to use too

        async def one(name: str) -> dict[str, Any]:
            missing = {
                "image_path": name,
                "success": False,
                "error": f"Image file not found: {name}",
            }
            path = self._roots.image(name)
            if path is None:
                return missing
            started = time.perf_counter()
            async with room:
                try:
                    picture = partial(self._roots.open, path)
                    answer = await self._engine.caption([picture], prompt, manner, patient=True)
                except Missing:
                    return missing
                except _FAILS as error:
                    return {**missing, "error": without_paths(str(error))}
            return {
                "image_path": name,
                "success": True,
                "caption": answer.text,
                "generation_time": round(time.perf_counter() - started, 3),
            }

        results = await unless_gone(request, asyncio.gather(*map(one, names)))
        good = sum(result["success"] for result in results)
        return Json(
            {
                "success": True,
                "results": results,
                "total_images": len(results),
                "successful_captions": good,
                "failed_captions": len(results) - good,
                "total_time": round(time.perf_counter() - began, 3),
                "prompt_used": prompt,
            }
        )

    async def _prompt(self, wish: str | Wish) -> str:
        """What the model is asked. Raises Fatal if it cannot be loaded, Wrong for what it cannot be
        asked."""
        if isinstance(wish, str):
            return wish
        await self._engine.loaded()
        try:
            return self._engine.prompt(wish)
        except Fatal as error:
            raise Wrong(str(error)) from None

    def _wished(self, body: Mapping[str, Any]) -> str | Wish:
        """A prompt of the client's own, else a known `caption_type`, else the style."""
        own = _text(body, "prompt", "")
        options = body.get("extra_options")
        options = [] if options is None else options
        if not isinstance(options, list) or not all(isinstance(one, str) for one in options):
            raise Wrong("extra_options must be a list of texts")
        whole("extra_options", "".join(options))
        if sum(map(len, options)) > LONGEST:
            raise Wrong(f"extra_options must have at most {LONGEST} characters")
        length = body.get("caption_length")
        if not isinstance(length, (str, int, type(None))) or isinstance(length, bool):
            raise Wrong("caption_length must be a text or a number of words")
        said = (_text(body, "caption_type", ""), _text(body, "style", "descriptive"))
        name = _text(body, "name_input", "")
        if own.strip():
            return own
        for kind in (_MISSPELT.get(_folded(one), one) for one in said if one):
            wish = Wish(kind, str(length or "long"), tuple(filter(str.strip, options)), name)
            known = {_folded(one) for one in (*builder().types, *builder().styles)}
            if _folded(kind) in known:  # an unknown type falls back to the style
                return wish
        raise Wrong(f"Unknown prompt style: {said[1]}")


def _manner(body: Mapping[str, Any]) -> Manner:
    """How it is to answer. Raises Wrong."""
    limit = int(_number(body, "max_new_tokens", 256, 1, MOST_TOKENS, whole=True))
    manner = Manner(
        limit,
        _number(body, "temperature", 0.6, 0, 2),
        _number(body, "top_p", 0.9, 0, 1) or None,
        int(_number(body, "top_k", 0, 0, 100_000, whole=True)) or None,
    )
    sampled = body.get("do_sample")
    if not isinstance(sampled, (bool, type(None))):
        raise Wrong("do_sample must be true or false")
    return Manner(limit, 0.0) if sampled is False else manner


async def read_object(request: Request) -> Mapping[str, Any]:
    """Raises Wrong for anything but a JSON object."""
    data = await request.body()
    try:
        body = json.loads(data.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Wrong("the body is no JSON") from None
    if not isinstance(body, dict):
        raise Wrong("the body is no JSON object")
    return body


def _no_number(name: str) -> None:
    """Raises ValueError: NaN and Infinity are Python's, not JSON's."""
    raise ValueError(name)


def _of_style(name: str) -> str:
    return builder().prompt(Wish(name, "long"), "Descriptive", "long", ())


def _folded(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _text(body: Mapping[str, Any], name: str, default: str) -> str:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > LONGEST:
        raise Wrong(f"{name} must be a text of at most {LONGEST} characters")
    return value if name == "image_path" else whole(name, value)


def whole(name: str, text: str) -> str:
    """A text that a model can be given. Raises Wrong."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Wrong(f"{name} holds half a character (a surrogate alone)") from None
    return text


def _number(
    body: Mapping[str, Any],
    name: str,
    default: float,
    least: float,
    most: float,
    whole: bool = False,
) -> float:
    value = body.get(name)
    if value is None:
        return default
    return bounded(name, value, least, most, whole)


def bounded(name: str, value: Any, least: float, most: float, whole: bool = False) -> float:
    """Raises Wrong."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= most or (whole and value != int(value)):
        what = "a whole number" if whole else "a number"
        raise Wrong(f"{name} must be {what} from {least:g} to {most:g}")
    return float(value)
