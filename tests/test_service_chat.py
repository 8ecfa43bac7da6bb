"""`enhance serve` as an OpenAI-compatible server: by the openai package and our own captioner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from doors import REPOSITORY, draw_scenes, run_here
from serving import JOYCAPTION, Service, uri
from test_films import ABOVE, OTHER, clip
from test_watching import MOVES, QWEN, paint, shoot, told_of

QUESTION = "Describe this image."
NAMES = ["a.png", "b.jpg", "c.webp"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("chat") / "images"
    draw_scenes(root, NAMES)
    return root


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """It is given no folder: pictures come in the requests."""
    with Service(tmp_path_factory.mktemp("nothing"), "--preload") as one:
        yield one


@pytest.fixture
def client(service: Service) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as one:
        yield one


def asked(path: Path, text: str = QUESTION) -> Any:
    picture = {"type": "image_url", "image_url": {"url": uri(path.read_bytes())}}
    return [{"role": "user", "content": [{"type": "text", "text": text}, picture]}]


def drafted(folder: Path, tmp_path: Path) -> dict[str, str]:
    """What the model says of each picture in a run of its own."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.glob("*.*"):
        (copy / path.name).write_bytes(path.read_bytes())
    flags = ("--until", "generated", "--temperature", "0", "--prompt", QUESTION)
    command = [sys.executable, "-m", "enhance", "--dataset_dir", copy, "--model_id", JOYCAPTION]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([*command, *flags], check=True, capture_output=True, env=environment)
    return {name: text_of(copy / name) for name in NAMES}


def text_of(path: Path) -> str:
    return path.with_name(f"{path.stem}_generated.txt").read_text()


def test_the_openai_package_gets_what_the_model_says(
    client: openai.OpenAI, folder: Path, tmp_path: Path
) -> None:
    right = drafted(folder, tmp_path)
    (model,) = client.models.list().data
    assert client.models.retrieve(model.id) == model
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.models.retrieve("org/other")
    for name, text in right.items():
        answer = client.chat.completions.create(
            model=model.id, messages=asked(folder / name), temperature=0
        )
        assert answer.choices[0].message.content == text
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.prompt_tokens > 36  # of the picture alone
        used = answer.usage
        assert used.total_tokens == used.prompt_tokens + used.completion_tokens


def test_a_short_answer_says_that_it_was_cut(client: openai.OpenAI, folder: Path) -> None:
    (model,) = client.models.list().data
    answer = client.chat.completions.create(
        model=model.id, messages=asked(folder / "a.png"), max_tokens=2, temperature=0
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


def test_a_prompt_and_its_answer_fit_into_what_the_model_reads(
    service: Service, folder: Path
) -> None:
    longest = json.loads((JOYCAPTION / "config.json").read_text())["text_config"]
    bound = longest["max_position_embeddings"]
    long = {"max_tokens": 4096, "temperature": 2, "messages": asked(folder / "a.png", "é" * 1985)}
    status, told = service.post("/v1/chat/completions", long)
    assert status == 200, told
    assert bound - 100 < told["usage"]["prompt_tokens"] < told["usage"]["total_tokens"] <= bound
    assert told["choices"][0]["finish_reason"] == "length"
    longer = {**long, "messages": asked(folder / "a.png", "é" * 2100)}
    status, told = service.post("/v1/chat/completions", longer)
    assert (status, told["error"]["code"]) == (400, "context_length_exceeded")
    assert f"it reads {bound}" in told["error"]["message"]


def test_an_answer_can_be_streamed(client: openai.OpenAI, folder: Path) -> None:
    (model,) = client.models.list().data
    how: Any = {"model": model.id, "messages": asked(folder / "a.png"), "temperature": 0}
    whole = client.chat.completions.create(**how)
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(**how, stream=True, stream_options=options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"model": "gpt-4o"}, 404, "does not exist"),
        ({"messages": []}, 400, "at least one message"),
        ({"messages": [{"role": "user", "content": "no picture"}]}, 400, "hold a picture"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, 400, "type text"),
        ({"url": "http://127.0.0.1:9/secret.png"}, 400, "--allow_remote"),
        ({"url": "file:///etc/passwd"}, 400, "data:image"),
        ({"url": "/etc/passwd"}, 400, "data:image"),
        ({"url": "data:text/html;base64,aGk="}, 400, "data:image"),
        ({"url": "data:image/png;base64,###"}, 400, "base64"),
        ({"url": "data:image/png;base64,aGVsbG8="}, 400, "Invalid image"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"temperature": "hot"}, 400, "temperature"),
    ],
)
def test_what_cannot_be_answered_is_told_as_openai_tells_it(
    service: Service, folder: Path, change: dict[str, Any], status: int, said: str
) -> None:
    messages = asked(folder / "a.png")
    if "url" in change:
        messages[0]["content"][1]["image_url"]["url"] = change.pop("url")
    found, told = service.post("/v1/chat/completions", {"messages": messages, **change})
    assert found == status, told
    assert set(told["error"]) == {"message", "type", "param", "code"}
    assert said in told["error"]["message"]
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
        body: Any = {"messages": messages, **change}
        with pytest.raises(openai.APIStatusError):
            client.post("/chat/completions", body=body, cast_to=object)


def test_our_own_captioner_drafts_on_it(service: Service, folder: Path, tmp_path: Path) -> None:
    right = drafted(folder, tmp_path)
    flags = ("--until", "generated", "--temperature", "0", "--prompt", QUESTION)
    server = ("--captioner_base_url", service.url, "--max_side", "512", "--jpeg_quality", "95")
    assert run_here("--dataset_dir", folder, *server, *flags) == 0
    found = {name: text_of(folder / name) for name in right}
    assert sum(found[name] == right[name] for name in right) >= 2  # JPEG changes a pixel or two


def test_the_description_tells_all_routes(service: Service) -> None:
    status, told = service.get("/openapi.json")
    assert status == 200
    assert json.dumps(told)
    for path, methods in told["paths"].items():
        for method in methods.keys() - {"parameters"}:
            status, answer = service.call(method.upper(), path)
            assert status != 405
            assert service.headers["Server-Timing"].startswith("total;dur=")
            known = (answer == {"error": "no such job"}, "does not exist" in str(answer))
            assert status != 404 or any(known), path
    assert service.get("/docs")[0] == 404
    assert service.get("/v1/chat/completions")[0] == 405


def test_our_own_captioner_shows_it_videos_as_the_model_takes_them(
    service: Service, tmp_path: Path
) -> None:
    """Frame by frame, or all frames in one question where the model watches."""
    (tmp_path / "both").mkdir()
    right = {**shoot(tmp_path / "both", *MOVES), **paint(tmp_path / "both", *MOVES)}
    with Service(tmp_path, "--model", QWEN) as watching:
        at = ("--captioner_base_url", watching.url, "--until", "generated", "--temperature", "0")
        assert run_here("--dataset_dir", tmp_path / "both", *at, "--lora_type", "motion") == 0
    assert told_of(tmp_path / "both") == right

    (tmp_path / "single").mkdir()
    clip(tmp_path / "single" / "two.mp4", ABOVE, OTHER)
    at = ("--captioner_base_url", service.url, "--until", "generated", "--temperature", "0")
    assert run_here("--dataset_dir", tmp_path / "single", *at) == 0
    first, second = told_of(tmp_path / "single")["two"].splitlines()
    assert first.startswith("0.0 to 0.6 s: ")
    assert second.startswith("1.3 to 1.9 s: ")


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [
        ({"Host": "evil.example"}, 9, 421),
        ({"Origin": "https://evil.example"}, 9, 403),
        ({}, 33_000_000, 413),
    ],
)
def test_who_may_not_ask_is_told_so_in_openais_words(
    service: Service, headers: dict[str, str], size: int, status: int
) -> None:
    found, told = service.post("/v1/chat/completions", b"x" * size, **headers)
    assert (found, told["error"]["type"]) == (status, "invalid_request_error")
    assert service.get("/v1/nothing") == (404, openai_said("Not Found"))
    assert service.get("/v1/chat/completions") == (405, openai_said("Method Not Allowed"))


def openai_said(message: str) -> dict[str, Any]:
    kind = "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def test_a_model_that_looks_at_one_picture_says_so_of_two(service: Service, folder: Path) -> None:
    body = {"messages": [*asked(folder / "a.png"), *asked(folder / "b.jpg")]}
    status, told = service.post("/v1/chat/completions", body)
    assert (status, told["error"]["type"]) == (400, "invalid_request_error")
    assert told["error"]["message"] == "messages: at most 1 image(s) in one request, not 2"


def test_an_answer_is_not_cut_short_since_another_client_asks_at_length(
    folder: Path, tmp_path: Path
) -> None:
    longest = json.loads((JOYCAPTION / "config.json").read_text())["text_config"]
    bound = longest["max_position_embeddings"]

    def answered(words: int, tokens: int) -> tuple[str, str, int]:
        text = QUESTION + " again" * words
        body = {"messages": asked(folder / "a.png", text), "temperature": 0, "max_tokens": tokens}
        status, told = service.post("/v1/chat/completions", body)
        assert status == 200, told
        (choice,) = told["choices"]
        return choice["message"]["content"], choice["finish_reason"], told["usage"]["prompt_tokens"]

    with Service(tmp_path, "--max_batch", 2, "--max_wait_ms", 2000) as service:
        alone = answered(0, 512)
        assert alone[1] == "stop"
        a_word = (answered(200, 1)[2] - answered(100, 1)[2]) / 100
        words = int((bound - 4 - alone[2]) / a_word)
        with ThreadPoolExecutor(2) as pool:
            at_length, briefly = pool.map(answered, (words, 0), (512, 512))
    assert bound - 8 <= at_length[2] <= bound
    assert briefly == alone
