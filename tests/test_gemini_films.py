"""--captioner gemini and videos: sent as they are, uploaded once where they are large, deleted."""

from __future__ import annotations

import io
import json
import os
import platform
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import av
import psutil
import pytest
from doors import TWO_RANKS, report_of, run, run_here, snapshot, start
from films import colours, film
from gemini_server import (
    SEER,
    GeminiServer,
    asks_colour,
    error,
    parts_of,
    picture_of,
    quota,
    seeing,
    shown,
    words_of,
)
from launches import PATIENCE, kill_all, wait_until
from loopback import Answer
from merges import complaint
from PIL import Image
from seeing import colour_at

LARGE = 9_000_000  # bytes: too many for a request


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-sesame")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A small video and a large one."""
    folder = tmp_path / "clips"
    film(folder / "large.mp4", colours("blue"))
    enlarge(folder / "large.mp4")
    film(folder / "small.mp4", colours("red"))
    return folder


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """One large video, red and then green."""
    folder = tmp_path / "large"
    enlarge(film(folder / "one.mp4", colours("red", "green")))
    return folder


def enlarge(path: Path) -> None:
    """A box at the end that players skip."""
    with open(path, "ab") as file:
        file.write((LARGE).to_bytes(4, "big") + b"free" + bytes(LARGE - 8))


def colours_in(data: bytes) -> list[str]:
    """The colours of a video's frames, each once."""
    found: dict[str, None] = {}
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode(video=0):
            image = frame.to_image()
            assert isinstance(image, Image.Image)
            found[colour_at(image, 0.5, 0.5)] = None
    return [*found]


def film_of(server: GeminiServer, body: dict[str, Any]) -> bytes:
    """The video that a question is about, however it came."""
    for part in parts_of(body):
        if "fileData" in part:
            uri = part["fileData"]["fileUri"]
            return next(one["data"] for one in server.uploaded if one["uri"] == uri)
    return shown(body)[0]


def watching(server: GeminiServer, look: Any = None) -> None:
    """Has the server tell the colours of the videos that it is asked about; `look` may answer
    something else."""

    def script(number: int, body: dict[str, Any]) -> Answer:
        if asks_colour(body):
            return Answer(colour_at(picture_of(body), 0.5, 0.5), "STOP")
        told = look(body) if look else None
        told = told and Answer(**vars(told))
        names = " and then ".join(colours_in(film_of(server, body)))
        return told or Answer(f"a wall turns {names} in a wide shot", "STOP")

    server.script = script


def flags(server: GeminiServer, folder: Path, *more: object) -> tuple[object, ...]:
    there = ("--captioner", "gemini", "--captioner_base_url", server.url, "--model_id", SEER)
    return ("--dataset_dir", folder, *there, "--until", "generated", *more)


def drafts(folder: Path) -> dict[str, str]:
    return {
        path.name.removesuffix("_generated.txt"): path.read_text("utf-8")
        for path in sorted(folder.rglob("*_generated.txt"))
    }


def looked_at(body: dict[str, Any]) -> dict[str, Any]:
    """How a question wants its video to be looked at."""
    (found,) = [part["videoMetadata"] for part in parts_of(body) if "videoMetadata" in part]
    assert isinstance(found, dict)
    return found


DRAFT = {"one": "a wall turns red and then green in a wide shot"}


def test_a_small_video_is_sent_in_the_question_and_a_large_one_is_uploaded(clips: Path) -> None:
    with GeminiServer() as server:
        watching(server)
        assert run_here(*flags(server, clips)) == 0
        assert len(server.drafts) == 2
        for body in server.drafts:
            assert looked_at(body)["fps"] > 1
            assert looked_at(body)["startOffset"] == "0.000s"
            assert "video" in words_of(body)
        (upload,) = server.uploaded
        assert upload["data"] == (clips / "large.mp4").read_bytes()
        assert upload["mimeType"] == "video/mp4"
        inline = [data for body in server.drafts for data in shown(body)]
        assert inline == [(clips / "small.mp4").read_bytes()]
        assert (server.files, server.deleted) == ({}, [upload["name"]])
        before, calls = snapshot(clips), len(server.calls)
        assert run_here(*flags(server, clips)) == 0
        assert len(server.calls) == calls
    assert snapshot(clips) == before
    assert drafts(clips) == {
        "large": "a wall turns blue in a wide shot",
        "small": "a wall turns red in a wide shot",
    }


def test_an_upload_tells_nothing_of_this_machine(large: Path) -> None:
    with GeminiServer() as server:
        watching(server)
        assert run_here(*flags(server, large)) == 0
        told = json.dumps([*server.headers, *server.calls]) + server.uploaded[0]["displayName"]
        assert "one.mp4" not in told
        assert platform.node() not in server.uploaded[0]["displayName"]
    assert drafts(large) == DRAFT


def test_how_many_frames_and_which_part_are_looked_at_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    film(folder / "a.mp4", colours("red"), count=40, rate=20)
    with GeminiServer() as server:
        watching(server)
        assert run_here(*flags(server, folder, "--fps", 5, "--target_frames", 21)) == 0
        (body,) = server.drafts
        assert looked_at(body) == {"fps": 5, "startOffset": "0.000s", "endOffset": "1.050s"}


def test_the_types_go_by_the_names_that_are_documented_and_others_as_frames(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "clips"
    film(folder / "a.mov", colours("red"))
    film(folder / "b.mkv", colours("blue"))
    with GeminiServer(seeing()) as server:
        script = server.script
        server.script = lambda number, body: (
            Answer("a wall in a wide shot", "STOP")
            if "videoMetadata" in parts_of(body)[0]
            else script(number, body)
        )
        assert run_here(*flags(server, folder)) == 0
        types = [
            [part["inlineData"]["mimeType"] for part in parts_of(body) if "text" not in part]
            for body in server.drafts
        ]
        assert min(types, key=len) == ["video/mov"]
        assert {*max(types, key=len)} == {"image/jpeg"}
        assert 1 < len(max(types, key=len)) <= 64
    assert {*drafts(folder)} == {"a", "b"}


def test_a_video_is_uploaded_once_however_often_it_is_asked_about(large: Path) -> None:
    faults = [
        quota("GenerateRequestsPerMinutePerProjectPerModel", "0.1s"),
        error(500, "INTERNAL", "An internal error has occurred."),
        Answer(drop=True),
        Answer("a wall " * 60, "MAX_TOKENS"),  # in circles
        Answer("a wall turns", "MAX_TOKENS"),  # cut off
    ]
    with GeminiServer() as server:
        watching(server, lambda _: faults.pop(0) if faults else None)
        assert run_here(*flags(server, large)) == 0
        assert len(server.drafts) == 6
        assert len(server.uploaded) == len(server.deleted) == 1
    assert drafts(large) == DRAFT


def test_an_upload_is_deleted_before_the_next_video_is_asked_about(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    for name in ("a", "b", "c"):
        enlarge(film(folder / f"{name}.mp4", colours("red")))
    there: list[int] = []
    with GeminiServer() as server:
        watching(server, lambda _: there.append(len(server.files)))
        assert run_here(*flags(server, folder, "--concurrency", 1)) == 0
    assert there == [1, 1, 1]


def test_a_caption_in_one_step_is_repaired_with_the_same_upload(large: Path) -> None:
    def look(body: dict[str, Any]) -> Answer:
        words = (
            "a wall in a drawn style" if len(body["contents"]) == 1 else "a wall in cutout style"
        )
        return Answer(words, "STOP")

    with GeminiServer() as server:
        watching(server, look)
        there = ("--captioner", "gemini", "--captioner_base_url", server.url, "--model_id", SEER)
        rules = ("--no_merge", "--anchor", "cutout style", "--lora_type", "style")
        assert run_here("--dataset_dir", large, *there, *rules) == 0
        assert [len(body["contents"]) for body in server.drafts] == [1, 3]
        assert len(server.uploaded) == len(server.deleted) == 1
    assert (large / "one.txt").read_text() == "a wall in cutout style"


def test_a_video_that_the_server_cannot_process_fails_with_the_reason_and_is_deleted(
    large: Path,
) -> None:
    with GeminiServer() as server:
        watching(server)
        server.states = ["PROCESSING", "FAILED"]
        assert run_here(*flags(server, large)) == 0
        assert (server.drafts, len(server.uploaded), server.files) == ([], 1, {})
    (failed,) = report_of(large)["failed"]
    assert "could not process the video: unsupported codec" in failed["reason"]


def test_a_video_that_never_becomes_ready_fails_at_the_time_out_and_is_deleted(
    large: Path,
) -> None:
    with GeminiServer() as server:
        watching(server)
        server.states = ["PROCESSING"]
        assert run_here(*flags(server, large, "--timeout", 2)) == 0
        assert (server.drafts, len(server.uploaded), server.files) == ([], 1, {})
    (failed,) = report_of(large)["failed"]
    assert "still PROCESSING after 2 s (--timeout)" in failed["reason"]


ENDS = {
    "a refused question": (error(400, "INVALID_ARGUMENT", "cannot be decoded"), 0),
    "a bad key": (error(401, "UNAUTHENTICATED", "revoked"), 4),
    "a spent day": (quota("GenerateRequestsPerDayPerProject", "9s"), 4),
    "a filter": (Answer("", "SAFETY"), 0),
}


@pytest.mark.parametrize(("fault", "status"), ENDS.values(), ids=ENDS)
def test_an_upload_is_deleted_however_its_question_ends(
    large: Path, fault: Answer, status: int
) -> None:
    with GeminiServer() as server:
        watching(server, lambda _: fault)
        assert run_here(*flags(server, large)) == status
        assert len(server.uploaded) == len(server.deleted) == 1
        assert server.files == {}
    assert drafts(large) == {}


def test_an_upload_that_was_lost_is_made_anew_once(large: Path) -> None:
    lost = []

    def lose(server: GeminiServer, times: int) -> Any:
        def look(body: dict[str, Any]) -> Answer | None:
            if len(lost) == times:
                return None
            lost.append(server.files.popitem())
            said = "You do not have permission to access the File or it may not exist."
            return error(403, "PERMISSION_DENIED", said)

        return look

    with GeminiServer() as server:
        watching(server, lose(server, 1))
        assert run_here(*flags(server, large)) == 0
        assert len(server.uploaded) == 2
        assert server.files == {}
    assert drafts(large) == DRAFT
    (large / "one_generated.txt").unlink()
    with GeminiServer() as server:
        lost.clear()
        watching(server, lose(server, 9))
        assert run_here(*flags(server, large)) == 0
        assert len(server.uploaded) == 2
    (failed,) = report_of(large)["failed"]
    assert "may not exist" in failed["reason"]


def test_an_upload_that_cannot_be_deleted_is_told_and_costs_no_draft(
    large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with GeminiServer() as server:
        watching(server)
        server.undeletable = True
        assert run_here(*flags(server, large)) == 0
        assert len(server.files) == 1
    assert "an upload could not be deleted" in capsys.readouterr().err
    assert drafts(large) == DRAFT


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is told otherwise")
@pytest.mark.parametrize("amid", ["processing", "the question"])
def test_an_interrupted_run_deletes_its_uploads(large: Path, amid: str) -> None:
    held = threading.Event()

    def hold(_: dict[str, Any]) -> None:
        held.wait(PATIENCE)

    with GeminiServer() as server:
        watching(server, hold)
        if amid == "processing":
            server.states = ["PROCESSING"]
        process = start(*flags(server, large))
        wait_until(lambda: server.files if amid == "processing" else server.drafts)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, server.files) == (130, {}), err
        held.set()
    assert "Traceback" not in err
    assert drafts(large) == {}


def test_what_a_killed_run_left_is_deleted_by_the_next_and_nothing_of_others(
    large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with GeminiServer() as server:
        watching(server)
        server.states = ["PROCESSING"]
        process = start(*flags(server, large))
        wait_until(lambda: server.files)
        (left,) = server.files.values()
        running = left["displayName"]
        other = dict(left, name="files/running", displayName=alive(running))
        kill_all(process)
        assert len(server.files) == 1
        names = {
            "files/theirs": "holiday",
            "files/elsewhere": "enhance-captions 0123456789ab-7-7",
            "files/likely": f"{running} of Otto",
        }
        for name, mark in names.items():
            server.files[name] = dict(left, name=name, displayName=mark)
        server.files["files/running"] = other
        server.states = ["PROCESSING", "ACTIVE"]
        assert run_here(*flags(server, large)) == 0
        assert {*server.files} == {*names, "files/running"}
        assert left["name"] in server.deleted
    assert "sesame" not in capsys.readouterr().err
    assert drafts(large) == DRAFT


def test_two_processes_upload_each_video_once(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for number in range(6):
        enlarge(film(folder / f"{number}.mp4", colours("red", "green"), count=8 + number))
    with GeminiServer() as server:
        watching(server)
        done = run(*flags(server, folder), launcher=TWO_RANKS)
        assert done.returncode == 0, done.stderr
        assert len({one["data"] for one in server.uploaded}) == len(server.uploaded) == 6
        assert server.files == {}
    assert len(drafts(folder)) == 6


def alive(mark: str) -> str:
    """The mark that an upload of this very process would have."""
    machine = mark.split()[1].split("-")[0]
    began = int(psutil.Process().create_time())
    return f"enhance-captions {machine}-{os.getpid()}-{began}"


def test_an_upload_that_breaks_is_tried_again(large: Path) -> None:
    with GeminiServer() as server:
        watching(server)
        server.at_upload = [error(503, "UNAVAILABLE", "try later"), Answer(drop=True)]
        assert run_here(*flags(server, large)) == 0
        assert not server.at_upload
        assert len(server.uploaded) == 1
    assert drafts(large) == DRAFT


def test_a_bad_key_at_the_upload_ends_the_run(
    large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with GeminiServer() as server:
        watching(server)
        server.at_upload = [error(403, "PERMISSION_DENIED", "AIza-sesame may not upload")]
        assert run_here(*flags(server, large)) == 4
    line = complaint(capsys.readouterr().err)
    assert "refuses the key in GEMINI_API_KEY" in line
    assert "sesame" not in line
