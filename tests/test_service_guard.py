"""What reaches no captioner: bodies, requests, hosts and tokens that are not as they must be."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crooked import BODIES, RAW, SAID, WRONG, head
from doors import draw_scenes
from serving import Service, blameless, posted, ready, sent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("crooked") / "images"
    draw_scenes(root, ["01.png"])
    return root


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    with Service(folder, "--preload", "--max_batch", 8) as one:
        ready(one)
        yield one
        one.stop()
        assert "Traceback" not in "".join(one.said)  # nothing came unexpectedly


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_none_is_refused_by_every_route_that_reads_one(
    service: Service, what: str
) -> None:
    _, described = service.get("/openapi.json")
    routes = [
        path for path, one in described["paths"].items() if "requestBody" in one.get("post", {})
    ]
    assert len(routes) >= 3
    for route in routes:
        status, told = posted(service, route, BODIES[what])
        assert status == 400, told
        assert "no JSON" in told
        blameless(told)


@pytest.mark.parametrize("body", WRONG, ids=lambda body: repr(body)[:60])
def test_what_no_caption_can_be_asked_with_is_told(service: Service, body: Any) -> None:
    status, told = posted(service, "/caption", body)
    assert status == 400, told
    blameless(told)
    if body["image_path"] != "01.png":
        return
    status, told = posted(service, "/batch_caption", {**body, "image_paths": ["01.png"]})
    failed = status == 200 and json.loads(told)["failed_captions"] == 1
    assert status == 400 or ("prompt" in body and failed)  # too long for the model: each file alone
    blameless(told)


def test_a_batch_of_one_file_too_many_is_refused(service: Service) -> None:
    status, told = posted(service, "/batch_caption", {"image_paths": ["no.png"] * 10_001})
    assert (status, json.loads(told)["error"]) == (
        400,
        "image_paths must be a list of at most 10000 paths",
    )
    status, told = posted(service, "/batch_caption", {"image_paths": ["no.png"] * 10_000})
    assert (status, json.loads(told)["failed_captions"]) == (200, 10_000)


def test_of_two_keys_alike_the_last_holds(service: Service) -> None:
    body = b'{"image_path": "01.png", "max_new_tokens": 1, "image_path": "../ds-secret/secret.png"}'
    assert posted(service, "/caption", body)[0] == 404


@pytest.mark.parametrize("said", SAID)
def test_what_is_said_is_given_as_it_stands(service: Service, said: str) -> None:
    asked = {"image_path": "01.png", "max_new_tokens": 1}
    sentence = f"Tell of {said} too."
    for how in (
        {"prompt": sentence},
        {"extra_options": [sentence], "name_input": "{name}"},
        {"extra_options": ["name"], "name_input": sentence},
    ):
        status, told = posted(service, "/caption", {**asked, **how})
        assert status == 200, told
        assert sentence in json.loads(told)["prompt_used"]


@pytest.mark.parametrize("what", RAW)
def test_requests_that_are_crooked_are_refused(service: Service, what: str) -> None:
    data, statuses = RAW[what]
    status, told = sent(service, data)
    assert status in statuses, told[:500]
    assert "access-control-" not in told.lower()
    blameless(told)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "localhost:1", "127.0.0.1:", "[::1]:5000"]
)
def test_names_of_this_machine_are_served(service: Service, host: str) -> None:
    assert sent(service, head("GET /health HTTP/1.1", "Connection: close", host=host))[0] == 200


def test_chunks_without_end_are_read_up_to_the_bound(service: Service) -> None:
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    data = head("POST /caption HTTP/1.1", "Transfer-Encoding: chunked") + chunk * 40
    status, told = sent(service, data + b"0\r\n\r\n")
    assert (status, "32000000" in told) == (413, True)


def test_who_sends_half_a_request_holds_up_nobody(service: Service) -> None:
    host, _, port = service.url.removeprefix("http://").partition(":")
    halves = [
        b"GET /health HT",
        head("POST /caption HTTP/1.1", "Content-Length: 1000") + b'{"image_path": ',
        head("POST /caption HTTP/1.1", "Transfer-Encoding: chunked") + b"5\r\n{",
    ]
    clients = [socket.create_connection((host, int(port))) for _ in range(120)]
    for number, client in enumerate(clients):
        client.sendall(halves[number % 3])
    status, told = posted(service, "/caption", {"image_path": "01.png", "temperature": 0})
    assert status == 200, told
    for client in clients:
        client.close()


def test_a_token_is_compared_byte_by_byte(folder: Path) -> None:
    token = "schlüssel-ß-7"
    right = token.encode()
    with Service(folder, env={"CAPTION_TOKEN": token}) as service:

        def status(*given: bytes) -> int:
            lines = b"".join(b"Authorization: " + one + b"\r\n" for one in given)
            data = b"GET /prompts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            return sent(service, data + lines + b"\r\n")[0]

        assert status(b"Bearer " + right) == 200
        assert status(b"bearer " + right) == 200
        for wrong in (
            *(right[:-1], right + b"x", right.upper(), b"", b"\xff", token.encode("latin-1")),
            *(b"a" * 10_000, b"None", b"null", b"*", right.replace(b"-", b"\xe2\x80\x90")),
        ):
            assert status(b"Bearer " + wrong) == 401, wrong
        for crooked in (right, b"Basic " + right, b"Bearer" + right, b"Bearer: " + right):
            assert status(crooked) == 401, crooked
        assert status() == 401
        assert status(b"Bearer " + right, b"Bearer wrong") == 401
        assert status(b"Bearer wrong", b"Bearer " + right) == 401
        for path in (
            "/health/",
            "//health",
            "/health/../prompts",
            "/Health",
            "/health;a",
            "/%2fhealth",
        ):
            data = head(f"GET {path} HTTP/1.1", "Connection: close")
            assert sent(service, data)[0] in (401, 404), path
        assert token not in "".join(service.said)
