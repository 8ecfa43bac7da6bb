"""What strangers send to the caption service: nothing outside its roots is touched or told."""

from __future__ import annotations

import ctypes
import json
import os
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hostile import NOTHING, OUTSIDE, many_frames, pictures, world
from serving import JOYCAPTION, Service, blameless, posted, ready, uri

GREEDY = {"temperature": 0, "prompt": "Describe this image."}
IN_OPEN = 0x20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(the root, the folder outside it)."""
    return world(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def service(place: tuple[Path, Path]) -> Iterator[Service]:
    with Service(place[0], "--preload", "--max_batch", 8) as one:
        ready(one)
        yield one
        one.stop()
        assert "Traceback" not in "".join(one.said)  # nothing came unexpectedly


def filled(name: str, place: tuple[Path, Path]) -> str:
    root, outside = place
    return name.format(root=root, outside=outside, parent=root.parent.name)


class Watch:
    """Which files of a folder are opened, by whatever process: inotify(7)."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._file, os.fsencode(folder), IN_OPEN) >= 0

    def opened(self) -> list[str]:
        try:
            data = os.read(self._file, 65536)
        except BlockingIOError:
            return []
        names = []
        while data:
            length = struct.unpack_from("iIII", data)[3]
            names.append(data[16 : 16 + length].rstrip(b"\0").decode())
            data = data[16 + length :]
        return names


def test_no_path_outside_the_root_is_opened_and_none_is_told_from_one_that_is_not_there(
    service: Service, place: tuple[Path, Path]
) -> None:
    watch = Watch(place[1])
    none = "never there.png"
    _, missing = posted(service, "/caption", {"image_path": none})
    names = [filled(name, place) for name in (*OUTSIDE, *NOTHING)]
    assert len({*names}) > 150
    for name in names:
        status, told = posted(service, "/caption", {"image_path": name, **GREEDY})
        assert status == 404, (name, told)
        assert told == missing.replace(none, json.dumps(name)[1:-1])
        blameless(told, name)
    status, told = posted(service, "/batch_caption", {"image_paths": names, **GREEDY})
    assert status == 200
    assert json.loads(told)["failed_captions"] == len(names)
    for name, row in zip(names, json.loads(told)["results"], strict=True):
        assert row["error"] == f"Image file not found: {name}"
    assert watch.opened() == []
    (place[1] / "secret.txt").read_text()
    assert watch.opened() == ["secret.txt"]  # it would have been seen


def test_no_job_leaves_the_root(service: Service, place: tuple[Path, Path]) -> None:
    watch = Watch(place[1])
    for name in (filled(name, place) for name in (*OUTSIDE, *NOTHING)):
        here = place[0] / name
        if os.path.isdir(here) and here.resolve().is_relative_to(place[0]):
            continue
        status, told = posted(service, "/enhance", {"path": name, "merge": False})
        assert status == 404, (name, told)
        blameless(told, name)
    status, told = posted(service, "/enhance", {"path": ".", "merge": False})
    assert status == 400  # it holds links that lead out
    blameless(told)
    assert watch.opened() == []


@pytest.mark.parametrize("name", sorted(pictures()))
def test_a_file_that_is_no_picture_fails_by_the_contract(service: Service, name: str) -> None:
    status, told = posted(service, "/caption", {"image_path": name, **GREEDY})
    assert (status, json.loads(told)["error"]) == (500, "Failed to generate caption")
    blameless(told)
    shown = [{"type": "image_url", "image_url": {"url": uri(pictures()[name])}}]
    messages = [{"role": "user", "content": shown}]
    status, told = posted(service, "/v1/chat/completions", {"messages": messages})
    assert (status, json.loads(told)["error"]["code"]) == (400, "invalid_image")
    blameless(told)


def test_of_a_hundred_thousand_frames_the_first_is_captioned(
    service: Service, place: tuple[Path, Path]
) -> None:
    (place[0] / "frames.gif").write_bytes(many_frames(100_000))
    asked = {"image_path": "frames.gif", "max_new_tokens": 4, **GREEDY}
    assert posted(service, "/caption", asked)[0] == 200


def test_a_link_that_takes_a_files_place_after_it_was_looked_at_leads_nowhere(
    tmp_path: Path,
) -> None:
    root, outside = world(tmp_path)
    (root / "inner").mkdir()
    for name in ("file.png", "inner/a.png", "gone.png"):
        (root / name).write_bytes((root / "01.png").read_bytes())
    (outside / "a.png").write_bytes((root / "01.png").read_bytes())
    watch = Watch(outside)
    with Service(root) as service, ThreadPoolExecutor(4) as clients:
        names = ["file.png", "inner/a.png", "gone.png", "01.png"]
        asked = [
            clients.submit(posted, service, "/caption", {"image_path": name, **GREEDY})
            for name in names
        ]
        # They wait for the model, and were looked at before.
        while service.get("/health")[1]["loading_progress"]["status"] == "idle":
            time.sleep(0.01)
        time.sleep(0.3)
        assert service.get("/health")[1]["model_loaded"] is False
        (root / "file.png").unlink()
        (root / "file.png").symlink_to(outside / "secret.png")
        (root / "inner").rename(root / "was")
        (root / "inner").symlink_to(outside)
        (root / "gone.png").unlink()
        answers = [one.result() for one in asked]
    for name, (status, told) in zip(names[:3], answers, strict=False):
        assert (status, json.loads(told)["error"]) == (404, f"Image file not found: {name}")
    assert answers[3][0] == 200
    assert watch.opened() == []


def test_no_answer_names_the_folder_of_the_model(place: tuple[Path, Path], tmp_path: Path) -> None:
    broken = tmp_path / "my models" / "broken"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text("{")
    for folder, status in ((JOYCAPTION, 200), (broken, 503)):
        with Service(place[0], "--model", folder) as service:
            assert str(folder) in "".join(service.said)
            (model,) = service.get("/v1/models")[1]["data"]
            assert model["id"] == folder.name
            answer = posted(service, "/caption", {"image_path": "01.png", **GREEDY})
            assert answer[0] == status
            messages = [{"role": "user", "content": [{"type": "image_url", "image_url": ""}]}]
            answers = [answer[1]]
            for name, expected in ((folder.name, 400), (str(folder), 404)):
                asked = {"messages": messages, "model": name}
                found, told = posted(service, "/v1/chat/completions", asked)
                assert found == expected
                answers.append(told.replace(str(folder), ""))
            for path in (
                "/health",
                "/progress",
                "/v1/models",
                "/openapi.json",
                "/jobs",
                "/prompts",
            ):
                answers += [json.dumps(service.get(path)[1])]
            for told in answers:
                blameless(told)
                assert "my models" not in told
