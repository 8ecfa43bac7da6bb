"""`enhance serve`: AI-Toolkit's JoyCaption contract, real batches, and what is refused."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from doors import FLORENCE, draw_scenes, run
from serving import JOYCAPTION, Service, ready

GREEDY = {"temperature": 0, "prompt": "Describe this image."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images that the tiny model knows, below the allowed root; others beside it."""
    root = tmp_path_factory.mktemp("service") / "my images"
    draw_scenes(root, [f"{number:02} é.png" for number in range(12)])
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    (root / "notes.txt").write_text("not for you")
    draw_scenes(root.parent / "elsewhere", ["secret.png"])
    (root / "link.png").symlink_to(root.parent / "elsewhere" / "secret.png")
    (root / "inside.png").symlink_to(root / "00 é.png")
    return root


@pytest.fixture(scope="module")
def right(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the model says of each image, as a run drafts it alone."""
    scenes = tmp_path_factory.mktemp("alone")
    names = sorted(path.name for path in folder.glob("* é.png"))
    for name in names:
        (scenes / name).write_bytes((folder / name).read_bytes())
    flags = ("--until", "generated", "--temperature", "0", "--prompt", GREEDY["prompt"])
    done = run("--dataset_dir", scenes, "--model_id", JOYCAPTION, "--batch_size", "1", *flags)
    assert done.returncode == 0, done.stderr
    return {name: (scenes / f"{Path(name).stem}_generated.txt").read_text() for name in names}


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    with Service(folder, "--preload", "--max_batch", 8, "--max_queue", 64) as one:
        ready(one)
        yield one


def test_the_page_starts_it_polls_captions_image_by_image_and_a_batch_and_stops_it(
    folder: Path, right: dict[str, str]
) -> None:
    with Service(folder, "--allow_shutdown") as service:
        status, health = service.get("/health")
        assert (status, health["status"], health["model_loaded"]) == (200, "healthy", False)
        states = ready(service)
        assert states[-1] == "ready"
        _, health = service.get("/health")
        assert health["model_loaded"] is True
        assert health["loading_progress"]["progress"] == 1.0
        _, prompts = service.get("/prompts")
        assert set(prompts) == {"prompts", "styles", "joycaption_types"}
        assert prompts["styles"][0] == "descriptive"
        assert len(prompts["joycaption_types"]) == 12
        names = sorted(right)
        for name in names[:4]:
            status, told = service.post("/caption", {"image_path": str(folder / name), **GREEDY})
            assert (status, told["success"], told["caption"]) == (200, True, right[name])
            assert told["image_path"] == str(folder / name)
            assert told["prompt_used"] == GREEDY["prompt"]
            assert told["generation_time"] > 0
        asked = [str(folder / name) for name in (*names, "gone.png")]
        status, told = service.post("/batch_caption", {"image_paths": asked, **GREEDY})
        assert status == 200
        assert (told["total_images"], told["successful_captions"]) == (13, 12)
        assert told["failed_captions"] == 1
        found = {row["image_path"]: row.get("caption") for row in told["results"]}
        assert found == {str(folder / name): right.get(name) for name in (*names, "gone.png")}
        status, told = service.post("/shutdown")
        assert (status, told["status"]) == (200, "shutting_down")
        assert service.process.wait(30) == 0


def test_the_model_loads_with_the_first_request_where_nothing_is_polled(
    folder: Path, right: dict[str, str]
) -> None:
    with Service(folder) as service:
        status, told = service.post("/caption", {"image_path": "00 é.png", **GREEDY})
        assert (status, told["caption"]) == (200, right["00 é.png"])


@pytest.mark.parametrize(
    ("asked", "prompt"),
    [
        ({}, "Write a long detailed description of this image in a formal tone."),
        ({"style": None, "caption_length": None}, "Write a long detailed description"),
        ({"style": "Descriptive"}, "Write a long detailed description of this image"),
        ({"style": "casual"}, "Write a long descriptive caption for this image in a casual tone."),
        ({"caption_type": "Straightforward"}, "Write a long straightforward caption"),
        ({"caption_type": "nothing known", "style": "casual"}, "Write a long descriptive caption"),
        ({"style": "Booru tag list"}, "List this image's Danbooru tags only"),
        ({"caption_length": 50}, "in 50 words or less."),
        ({"caption_length": "short"}, "Write a short detailed description"),
        ({"extra_options": ["lighting"]}, "Tell about the lighting."),
        ({"name_input": "Anna {x}", "extra_options": ["name"]}, "call them Anna {x}."),
        ({"prompt": "What {name.__class__}?", "style": "casual"}, "What {name.__class__}?"),
    ],
)
def test_what_the_page_sends_becomes_the_prompt(
    service: Service, asked: dict[str, Any], prompt: str
) -> None:
    body = {"image_path": "00 é.png", "max_new_tokens": 4, **asked}
    status, told = service.post("/caption", body)
    assert status == 200, told
    assert prompt in told["prompt_used"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "image_path is required"),
        ({"image_path": None}, "image_path is required"),
        ({"image_path": 7}, "image_path must be a text"),
        ({"image_path": "00 é.png", "prompt": "a" * 200_000}, "at most 100000 characters"),
        ({"image_path": "00 é.png", "style": "epic"}, "Unknown prompt style: epic"),
        ({"image_path": "00 é.png", "temperature": "hot"}, "temperature must be a number"),
        ({"image_path": "00 é.png", "temperature": 1e300}, "temperature must be a number"),
        ({"image_path": "00 é.png", "max_new_tokens": 1.5}, "a whole number"),
        ({"image_path": "00 é.png", "max_new_tokens": 10**9}, "from 1 to 4096"),
        ({"image_path": "00 é.png", "extra_options": "lighting"}, "must be a list"),
        ({"image_path": "00 é.png", "caption_length": {"a": 1}}, "caption_length"),
        ({"image_path": "00 é.png", "do_sample": "yes"}, "do_sample"),
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused(service: Service, body: Any, said: str) -> None:
    status, told = service.post("/caption", body)
    assert status == 400, told
    assert said in told["error"]


def test_at_all_addresses_it_is_asked_by_any_of_them_with_a_token_and_by_no_other_name(
    folder: Path,
) -> None:
    flags = ("--host", "0.0.0.0", "--allow_host", "gpu-box")
    with Service(folder, *flags, env={"CAPTION_TOKEN": "t0ken"}) as service:
        key = {"Authorization": "Bearer t0ken"}
        for host in ("192.0.2.7:5000", "[2001:db8::1]:5000", "127.0.0.1", "gpu-box:5000"):
            assert service.get("/prompts", Host=host, **key)[0] == 200
            assert service.get("/prompts", Host=host)[0] == 401
        for host in ("evil.example", "192.0.2.7.evil.example", "1"):
            status, told = service.get("/prompts", Host=host, **key)
            assert status == 421
            assert told["error"].startswith(f"{host} is not served here")


def test_options_that_are_not_asked_for_are_not_added(service: Service) -> None:
    _, told = service.get("/prompts")
    for style, prompt in told["prompts"].items():
        for options in ([], None):
            body = {"image_path": "00 é.png", "style": style, "extra_options": options}
            status, told = service.post("/caption", body)
            assert (status, told["prompt_used"]) == (200, prompt)


def test_a_model_that_takes_tasks_captions_for_the_page_whatever_style_it_sends(
    folder: Path,
) -> None:
    with Service(folder, "--model", FLORENCE) as service:
        for wish in ({"style": "Descriptive"}, {"caption_type": "MidJourney"}, {}):
            status, told = service.post("/caption", {"image_path": "00 é.png", **wish})
            assert status == 200, told
            assert told["prompt_used"] == "<MORE_DETAILED_CAPTION>"
            assert told["caption"].startswith("The image shows")


def test_a_link_within_the_roots_is_followed(service: Service, right: dict[str, str]) -> None:
    status, told = service.post("/caption", {"image_path": "inside.png", **GREEDY})
    assert (status, told["caption"]) == (200, right["00 é.png"])


def test_a_broken_picture_fails_alone_and_says_why(service: Service) -> None:
    status, told = service.post("/caption", {"image_path": "broken.png", **GREEDY})
    assert (status, told["error"]) == (500, "Failed to generate caption")
    assert "damaged" in told["detail"] or "cut off" in told["detail"]


def test_a_full_queue_answers_503_and_when_to_come_back(folder: Path) -> None:
    with Service(folder, "--preload", "--max_queue", 1, "--max_batch", 1) as service:
        ready(service)

        def ask(_: int) -> int:
            return service.post("/caption", {"image_path": "00 é.png", "max_new_tokens": 64})[0]

        with ThreadPoolExecutor(16) as clients:
            assert {*clients.map(ask, range(16))} == {200, 503}


def test_a_client_that_leaves_gives_its_place_back(folder: Path) -> None:
    # The first waits for others so long, and holds the only place.
    gathering = ("--max_queue", 1, "--max_batch", 8, "--max_wait_ms", 2000)
    with Service(folder, "--preload", *gathering) as service:
        ready(service)
        body = json.dumps({"image_path": "00 é.png", **GREEDY}).encode()
        host, _, port = service.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as client:
            head = f"POST /caption HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            time.sleep(0.5)
            assert service.post("/caption", {"image_path": "00 é.png", **GREEDY})[0] == 503
            assert service.headers["Retry-After"] == "1"
        time.sleep(0.3)
        assert service.post("/caption", {"image_path": "00 é.png", **GREEDY})[0] == 200


def test_a_body_that_is_too_large_is_refused(service: Service) -> None:
    status, told = service.post("/caption", b"x" * 33_000_000)
    assert status == 413
    assert "32000000" in told["error"]


def test_a_token_is_asked_for_where_one_is_set(folder: Path) -> None:
    with Service(folder, env={"CAPTION_TOKEN": "s3cret-of-the-tests"}) as service:
        assert service.get("/health")[0] == 200
        assert service.get("/prompts")[0] == 401
        assert service.get("/prompts", Authorization="Bearer wrong")[0] == 401
        assert service.get("/prompts", Authorization="Bearer s3cret-of-the-tests")[0] == 200
        service.stop()
        assert "s3cret" not in "".join(service.said)


def test_an_address_that_others_reach_needs_a_token(folder: Path) -> None:
    done = run("serve", "--host", "0.0.0.0", "--allow_root", folder, env={"CAPTION_TOKEN": ""})
    assert done.returncode == 2
    assert "CAPTION_TOKEN" in done.stderr


def test_a_port_that_is_taken_is_told_in_one_line(service: Service, folder: Path) -> None:
    port = service.url.rpartition(":")[2]
    done = run("serve", "--allow_root", folder, env={"CAPTION_PORT": port})
    assert done.returncode == 4
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_a_model_that_cannot_be_loaded_is_told_and_the_service_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with Service(folder, "--model", tmp_path) as service:
        status, told = service.post("/caption", {"image_path": "00 é.png"})
        assert status == 503
        assert "bert" in told["error"]
        assert service.get("/progress")[1]["status"] in ("loading", "error")
        assert service.get("/health")[1]["model_loaded"] is False


def test_requests_under_way_are_answered_before_it_ends(folder: Path) -> None:
    with Service(folder, "--preload") as service:
        ready(service)
        with ThreadPoolExecutor(4) as clients:
            asked = [
                clients.submit(service.post, "/caption", {"image_path": "00 é.png"})
                for _ in range(4)
            ]
            time.sleep(0.05)
            assert service.stop() == 0
            statuses = [one.result()[0] for one in asked]
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
