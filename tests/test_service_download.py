"""`enhance serve` with a model of the hub: its download is told, and so is what fails of it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hub import INDEX, NEEDLESS, REPOSITORY, SHARDS, Hub
from pictures import DRAFT, picture
from serving import Service

from stages.fetching import needed

ASKED = {"image_path": "scene.png", "temperature": 0, "prompt": "Describe this image."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    picture().save(root / "scene.png")
    return root


def polled(service: Service, until: str) -> list[dict[str, Any]]:
    """What /progress said until it was this, as often as something changed."""
    seen: list[dict[str, Any]] = []
    for _ in range(6000):
        told = service.get("/progress")[1]
        if not seen or told != seen[-1]:
            seen.append(told)
        if told["status"] in (until, "error", "ready"):
            break
        time.sleep(0.01)
    assert seen[-1]["status"] == until, seen[-1]
    return seen


@dataclass
class Downloaded:
    """A model that came from a slow hub while somebody looked on."""

    home: Path
    seen: list[dict[str, Any]]
    health: Any
    told: Any
    sent: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def downloaded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Downloaded]:
    home = tmp_path_factory.mktemp("hub")
    with (
        Hub(pace=0.05) as hub,
        Service(folder, "--model", REPOSITORY, env=hub.environment(home)) as service,
    ):
        seen = polled(service, "downloading")
        health = service.get("/health")[1]
        seen += polled(service, "ready")
        told = service.post("/caption", ASKED)
        yield Downloaded(home, seen, health, told, list(hub.sent))


def test_a_download_is_told_byte_by_byte_until_the_model_answers(downloaded: Downloaded) -> None:
    states = [one["status"] for one in downloaded.seen]
    order = ["loading", "downloading", "loading", "ready"]
    assert [one for at, one in enumerate(states) if at == 0 or one != states[at - 1]] == order
    progress = [one["progress"] for one in downloaded.seen]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0.0, 1.0)
    coming = [one for one in downloaded.seen if one["status"] == "downloading"]
    # Of thirty million bytes, ten million at a time.
    assert len({one["progress"] for one in coming if one["current_file"] == SHARDS[1]}) >= 3
    assert downloaded.health["loading_progress"]["status"] == "downloading"
    assert downloaded.health["model_loaded"] is False
    status, told = downloaded.told
    assert (status, told["caption"]) == (200, DRAFT)


def test_the_files_of_a_download_are_counted(downloaded: Downloaded) -> None:
    coming = [one for one in downloaded.seen if one["status"] == "downloading"]
    counts = [one["files_downloaded"] for one in coming]
    assert counts == sorted(counts)
    assert {one["total_files"] for one in coming} == {len({*downloaded.sent})}
    last = downloaded.seen[-1]
    assert last["files_downloaded"] == last["total_files"] == len({*downloaded.sent})


def test_what_is_not_loaded_is_not_fetched_and_nothing_is_twice(downloaded: Downloaded) -> None:
    assert len({*downloaded.sent}) == len(downloaded.sent)
    assert {INDEX, *SHARDS, "config.json", "tokenizer.json"} <= {*downloaded.sent}
    assert not {*NEEDLESS} & {*downloaded.sent}


def test_what_is_here_is_loaded_without_the_hub(downloaded: Downloaded, folder: Path) -> None:
    offline = {"HF_HOME": str(downloaded.home), "HF_HUB_OFFLINE": "1"}
    with Service(folder, "--model", REPOSITORY, env=offline) as service:
        seen = polled(service, "ready")
        assert {one["status"] for one in seen} <= {"loading", "ready"}
        assert service.post("/caption", ASKED)[1]["caption"] == DRAFT


def test_a_hub_that_fails_halfway_is_told_in_one_line_and_the_next_poll_tries_again(
    folder: Path, tmp_path: Path
) -> None:
    flags = ("--model", REPOSITORY, "--revision", "v2")
    with (
        Hub(revision="v2") as hub,
        Service(folder, *flags, env=hub.environment(tmp_path / "home")) as service,
    ):
        hub.broken = {SHARDS[1]}
        failed = polled(service, "error")[-1]
        assert SHARDS[1] in failed["message"]
        assert "\n" not in failed["message"]
        health = service.get("/health")[1]
        assert (health["model_loaded"], health["loading_progress"]["status"]) == (False, "error")
        hub.broken, hub.pace = set(), 0.02
        seen = polled(service, "ready")
        # What came before is here, and counts.
        coming = [one for one in seen if one["status"] == "downloading"]
        assert {one["total_files"] - one["files_downloaded"] for one in coming} <= {0, 1}
        assert {one["current_file"] for one in coming} <= {SHARDS[1], ""}
        assert hub.sent.count(SHARDS[0]) == 1
        assert hub.sent.count(SHARDS[1]) == 2
        assert service.post("/caption", ASKED)[1]["caption"] == DRAFT


def test_a_connection_that_breaks_is_taken_up_again_and_the_progress_does_not_fall(
    folder: Path, tmp_path: Path
) -> None:
    with (
        Hub(pace=0.02) as hub,
        Service(folder, "--model", REPOSITORY, env=hub.environment(tmp_path / "home")) as service,
    ):
        hub.cut = {SHARDS[1]}  # it knows no ranges: that file is sent anew from its start
        progress = [one["progress"] for one in polled(service, "ready")]
        assert progress == sorted(progress)
        assert hub.sent.count(SHARDS[1]) == 2
        assert service.post("/caption", ASKED)[1]["caption"] == DRAFT


def test_who_asks_for_a_caption_is_told_why_the_model_does_not_come(
    folder: Path, tmp_path: Path
) -> None:
    with (
        Hub() as hub,
        Service(folder, "--model", REPOSITORY, env=hub.environment(tmp_path / "home")) as service,
    ):
        hub.broken = {"tokenizer.json"}
        status, told = service.post("/caption", ASKED)
        assert status == 503
        assert REPOSITORY in told["error"]
        assert "tokenizer.json" in told["error"]
        hub.broken = set()
        status, told = service.post("/caption", ASKED)
        assert (status, told["caption"]) == (200, DRAFT)


def test_a_download_under_way_does_not_hold_up_the_end(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with (
        Hub(pace=60.0) as hub,
        Service(folder, "--model", REPOSITORY, env=hub.environment(home)) as service,
    ):
        polled(service, "downloading")
        assert service.stop() == 0


@pytest.mark.parametrize(
    ("here", "code", "wanted"),
    [
        (["model.safetensors", INDEX, SHARDS[0]], False, ["model.safetensors"]),
        (["pytorch_model.bin", "tf_model.h5"], False, ["pytorch_model.bin"]),
        (["model.fp16.safetensors", "consolidated.safetensors"], False, []),
        (["vocab.txt", "LICENSE.txt", "merges.txt"], False, ["merges.txt", "vocab.txt"]),
        (["additional_chat_templates/a.jinja"], False, ["additional_chat_templates/a.jinja"]),
        (["modeling.py", "parts/vision.py"], False, []),
        (["modeling.py", "parts/vision.py"], True, ["modeling.py", "parts/vision.py"]),
    ],
)
def test_one_format_of_the_weights_is_needed_and_code_only_where_it_is_trusted(
    here: list[str], code: bool, wanted: list[str]
) -> None:
    assert needed(here, code) == wanted


def test_who_waits_for_a_model_that_comes_slowly_may_give_up_and_is_told_when_the_service_stops(
    folder: Path, tmp_path: Path
) -> None:
    with (
        Hub(pace=60) as hub,
        Service(folder, "--model", REPOSITORY, env=hub.environment(tmp_path / "hub")) as service,
        ThreadPoolExecutor() as pool,
    ):
        _, job = service.post("/enhance", {"path": str(folder), "until": "generated"})
        polled(service, "downloading")
        waiting = pool.submit(service.post, "/caption", ASKED)
        while service.get(f"/jobs/{job['id']}")[1]["status"] != "running":
            time.sleep(0.05)
        assert service.call("DELETE", f"/jobs/{job['id']}")[0] == 200
        for _ in range(200):
            told = service.get(f"/jobs/{job['id']}")[1]
            if told["status"] == "cancelled":
                break
            time.sleep(0.05)
        assert (told["status"], told["error"]) == ("cancelled", None)
        with socket.create_connection(service.address) as half:
            half.sendall(
                b"POST /caption HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"
            )
            assert service.stop() == 0
            status, told = waiting.result(30)
            assert (status, told) == (503, {"error": "the service stops"})
            assert b"503" in half.recv(4096)
        time.sleep(0.2)
        assert not [line for line in service.said if "Traceback" in line]
        assert any(line.startswith("stopping: ") for line in service.said)


def test_who_will_not_wait_for_the_end_ends_it_at_once(folder: Path, tmp_path: Path) -> None:
    with (
        Hub(pace=60) as hub,
        Service(folder, "--model", REPOSITORY, env=hub.environment(tmp_path / "hub")) as service,
        socket.create_connection(service.address) as half,
    ):
        half.sendall(b"POST /caption HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{")
        polled(service, "downloading")
        service.process.send_signal(signal.SIGINT)
        while not any(line.startswith("stopping: ") for line in service.said):
            time.sleep(0.05)
        assert service.stop(signal.SIGINT) == 130
        assert not [line for line in service.said if "Traceback" in line]
