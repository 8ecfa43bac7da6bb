"""`POST /enhance`: the whole pipeline as a job of the service, with the truths of a run."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from doors import draw_scenes, finals, run, snapshot, start
from few import texts, write
from loopback import Answer, ChatServer, merge
from serving import JOYCAPTION, Service
from test_watching import MOVES, QWEN, paint, shoot, told_of

STYLE = {"anchor": "cutout style", "lora_type": "style", "temperature": 0}
FLAGS = ("--anchor", "cutout style", "--lora_type", "style", "--temperature", "0")
TINY = ("--model_id", JOYCAPTION, *FLAGS)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs") / "my sets"


@pytest.fixture(scope="module")
def merging() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture(scope="module")
def service(root: Path, merging: ChatServer) -> Iterator[Service]:
    root.mkdir()
    with Service(root, "--base_url", merging.url, "--max_queue", 4) as one:
        yield one


@pytest.fixture
def folder(root: Path, request: pytest.FixtureRequest) -> Path:
    """Six pictures, one caption by hand in Windows-1252, one broken picture."""
    folder = root / "".join(letter for letter in request.node.name if letter.isalnum())[-60:]
    draw_scenes(folder, ["a é.png", "b.png", "sub/c.png", "d.png", "e.png", "f.png"])
    (folder / "b.txt").write_bytes(b"Ann\xe9e's own words")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    return folder


def as_described(service: Service, told: Any, route: str, method: str, status: int) -> None:
    """Raises ValidationError for an answer that is not as /openapi.json says."""
    _, whole = service.get("/openapi.json")
    answer = whole["paths"][route][method]["responses"][str(status)]
    jsonschema_rs.validate(answer["content"]["application/json"]["schema"], told)


def begun(service: Service, path: Path | str, **settings: Any) -> str:
    """The id of a job that was taken."""
    status, job = service.post("/enhance", {"path": str(path), **STYLE, **settings})
    assert status == 202, job
    assert service.headers["location"] == f"/jobs/{job['id']}"
    as_described(service, job, "/enhance", "post", 202)
    return str(job["id"])


def awaited(service: Service, job: str, *states: str) -> dict[str, Any]:
    """The job once it is in one of the states; its progress never falls."""
    before = 0.0
    for _ in range(1200):
        status, told = service.get(f"/jobs/{job}")
        assert status == 200
        assert before <= told["progress"] <= 1
        before = told["progress"]
        if told["status"] in (states or ("done", "failed", "cancelled")):
            as_described(service, told, "/jobs/{id}", "get", 200)
            return dict(told)
        time.sleep(0.05)
    raise AssertionError(told)


def results(service: Service, job: str) -> dict[str, Any]:
    """All rows by file."""
    rows: list[Any] = []
    while True:
        status, told = service.get(f"/jobs/{job}/results?offset={len(rows)}&limit=3")
        assert status == 200
        assert told["offset"] == len(rows)
        as_described(service, told, "/jobs/{id}/results", "get", 200)
        rows += told["results"]
        if not told["results"]:
            assert told["ended"] == len(rows)
            return {row["file"]: row for row in rows}


def published(folder: Path) -> list[str]:
    return [name for name in texts(folder) if "_" not in name and name != "b.txt"]


def test_a_folder_is_captioned_as_a_run_of_its_own_would_and_that_finds_nothing_to_do(
    service: Service, merging: ChatServer, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "alone")
    told = awaited(service, job := begun(service, folder))
    assert (told["status"], told["progress"], told["error"]) == ("done", 1.0, None)
    assert told["files"] == {"all": 7, "captioned": 6, "failed": 1}
    assert {name: counts["done"] for name, counts in told["stages"].items()} == {
        "draft": 6,
        "merge": 6,
        "clean": 6,
    }
    (row,) = told["report"]["failed"]
    assert row["file"] == "broken.png"
    assert told["report"]["complete"] is True
    _, health = service.get("/health")
    assert health["model_loaded"] is True  # it was the service's own that drafted

    server = ("--base_url", merging.url)
    done = run("--dataset_dir", tmp_path / "alone", *TINY, *server)
    assert done.returncode == 0, done.stderr
    assert texts(folder) == texts(tmp_path / "alone")
    assert (folder / "b_manual.txt").read_bytes() == b"Ann\xe9e's own words"

    rows = results(service, job)
    captions = {f"{name}.png": text for name, text in finals(folder).items()}
    assert {file: row["caption"] for file, row in rows.items() if row["caption"]} == captions
    assert len(captions) == 6
    assert rows["broken.png"]["status"] == "failed"
    assert rows["broken.png"]["reason"] == row["reason"]

    before = snapshot(folder)
    again = awaited(service, job := begun(service, folder))
    assert again["files"] == told["files"]
    assert results(service, job) == rows
    assert run("--dataset_dir", folder, *TINY, *server).returncode == 0
    assert snapshot(folder) == before


def test_one_file_is_captioned_alone_as_a_part_of_its_dataset(
    service: Service, folder: Path
) -> None:
    assert awaited(service, begun(service, folder / "a é.png"))["files"]["captioned"] == 1
    assert set(texts(folder)) == {"b.txt"} | {
        f"a é{suffix}.txt" for suffix in ("", "_generated", "_combined")
    }
    assert (folder / ".enhance").is_dir()
    job = begun(service, f"{folder.name}/sub/c.png", until="generated")
    assert awaited(service, job)["stages"] == {"draft": {"done": 1}}
    assert not (folder / "sub" / ".enhance").exists()
    assert list(results(service, job)) == ["sub/c.png"]
    assert results(service, job)["sub/c.png"]["caption"]


def test_captions_of_clients_and_of_jobs_come_from_one_model_at_the_same_time(
    service: Service, folder: Path
) -> None:
    asked = {"image_path": str(folder / "d.png"), "prompt": "Describe this image."}
    status, alone = service.post("/caption", {**asked, "temperature": 0})
    assert status == 200
    for number in range(40):
        shutil.copy(folder / "d.png", folder / f"d{number}.png")
    job = begun(service, folder, until="generated", prompt="Describe this image.")
    heard = set()
    while service.get(f"/jobs/{job}")[1]["status"] in ("queued", "running"):
        status, told = service.post("/caption", {**asked, "temperature": 0})
        assert status in (200, 503)  # its queue is short, and the job waits in it, too
        heard.add(told.get("caption"))
    assert heard - {None} == {alone["caption"]}
    drafts = {path.read_text() for path in folder.glob("d*_generated.txt")}
    assert drafts == {alone["caption"]}


def test_a_model_that_watches_videos_does_so_in_a_job(tmp_path: Path) -> None:
    right = {**shoot(tmp_path, *MOVES), **paint(tmp_path, *MOVES)}
    with Service(tmp_path, "--model", QWEN, "--max_batch", 3) as service:
        job = awaited(service, begun(service, tmp_path, until="generated", lora_type="motion"))
        assert (job["status"], job["files"]["captioned"]) == ("done", len(right))
        assert service.get("/health")[1]["model_loaded"] is True
    assert told_of(tmp_path) == right


def test_a_job_that_is_cancelled_keeps_what_is_done_and_the_next_goes_on(
    service: Service, merging: ChatServer, folder: Path
) -> None:
    release = threading.Event()

    def slowly(number: int, body: dict[str, Any]) -> Answer:
        if number > first + 4:
            release.wait(280)  # longer than anybody waits for the job
        return merge(number, body)

    first = len(merging.requests)
    merging.script = slowly
    try:
        job, waiting = begun(service, folder), begun(service, folder / "f.png")
        assert service.get(f"/jobs/{waiting}")[1]["status"] == "queued"
        while len(published(folder)) < 2:
            time.sleep(0.05)
        status, told = service.call("DELETE", f"/jobs/{waiting}")
        assert (status, told["status"]) == (200, "cancelled")
        status, told = service.call("DELETE", f"/jobs/{job}")
        assert (status, told["status"] in ("cancelling", "cancelled")) == (200, True)
        told = awaited(service, job)
    finally:
        release.set()
        merging.script = merge
    assert told["status"] == "cancelled"
    assert told["progress"] < 1
    assert told["report"]["complete"] is False
    kept = {name: text for name, text in texts(folder).items() if name != "b.txt"}
    assert len(published(folder)) >= 2
    assert results(service, waiting) == {}
    told = awaited(service, begun(service, folder))
    assert (told["status"], told["files"]["captioned"]) == ("done", 6)
    assert kept.items() <= texts(folder).items()
    status, told = service.call("DELETE", f"/jobs/{job}")
    assert (status, told["status"]) == (200, "cancelled")


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_service_that_is_stopped_ends_its_job_in_time_and_another_run_goes_on(
    tmp_path: Path, by: signal.Signals
) -> None:
    draw_scenes(tmp_path, [f"{number}.png" for number in range(8)])
    (tmp_path / "5.txt").write_bytes(b"Ann\xe9e's own words")
    release = threading.Event()

    def stuck(number: int, body: dict[str, Any]) -> Answer:
        if number > 4:
            release.wait(60)
        return merge(number, body)

    with ChatServer(stuck) as server:
        with Service(tmp_path, "--base_url", server.url) as service:
            begun(service, tmp_path)
            while len(published(tmp_path)) < 2:
                time.sleep(0.05)
            began = time.monotonic()
            assert service.stop(by) == (0 if by == signal.SIGTERM else -by)
            assert time.monotonic() - began < 25
        release.set()
        kept = {name: text for name, text in texts(tmp_path).items() if name != "5.txt"}
        server.script = merge
        done = run("--dataset_dir", tmp_path, *TINY, "--base_url", server.url)
        assert done.returncode == 0, done.stderr
        assert kept.items() <= texts(tmp_path).items()
        assert len(finals(tmp_path)) == 8
        assert (tmp_path / "5_manual.txt").read_bytes() == b"Ann\xe9e's own words"


def test_more_jobs_than_may_wait_are_told_to_come_again(
    service: Service, merging: ChatServer, folder: Path
) -> None:
    release = threading.Event()

    def stuck(number: int, body: dict[str, Any]) -> Answer:
        release.wait(60)
        return merge(number, body)

    merging.script = stuck
    try:
        jobs = [begun(service, folder)]
        awaited(service, jobs[0], "running")
        jobs += [begun(service, folder / "a é.png") for _ in range(64)]
        status, told = service.post("/enhance", {"path": str(folder)})
        assert (status, service.headers["retry-after"]) == (503, "60")
        assert told["error"].startswith("64 jobs wait already")
        status, told = service.get("/jobs")
        as_described(service, told, "/jobs", "get", 200)
        ids = [job["id"] for job in told["jobs"]]
        assert ids[-65:] == jobs
        for job in reversed(jobs):
            assert service.call("DELETE", f"/jobs/{job}")[0] == 200
    finally:
        release.set()
        merging.script = merge
    assert awaited(service, jobs[0])["status"] == "cancelled"


def test_a_run_of_somebody_else_in_the_folder_is_waited_for_by_nobody(
    service: Service, merging: ChatServer, folder: Path
) -> None:
    release = threading.Event()

    def stuck(number: int, body: dict[str, Any]) -> Answer:
        release.wait(60)
        return merge(number, body)

    with ChatServer(stuck) as server:
        other = start("--dataset_dir", folder, *TINY, "--base_url", server.url)
        try:
            while not server.requests:
                time.sleep(0.05)
            told = awaited(service, begun(service, folder))
        finally:
            release.set()
            _, err = other.communicate(timeout=120)
    assert told["status"] == "failed"
    assert f"another run is at work in {folder}" in told["error"]
    assert other.returncode == 0, err
    assert awaited(service, begun(service, folder))["status"] == "done"


def test_a_language_model_that_is_not_there_is_told_in_one_line_and_the_service_goes_on(
    tmp_path: Path,
) -> None:
    draw_scenes(tmp_path, ["a.png"])
    with ChatServer() as server:
        gone = server.url
    with Service(tmp_path, "--base_url", gone) as service:
        told = awaited(service, begun(service, tmp_path))
        assert told["status"] == "failed"
        assert gone.removesuffix("/v1") in told["error"]
        assert "\n" not in told["error"]
        told = awaited(service, begun(service, tmp_path, until="generated"))
        assert (told["status"], told["files"]["captioned"]) == ("done", 1)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"path": ""}, "path is required"),
        ({"path": None}, "path is required"),
        ({"path": ["a"]}, "path is required"),
        ({"anchor": 5}, "anchor must be a text"),
        ({"anchor": "\ud800"}, "anchor must be a text"),
        ({"temperature": "warm"}, "temperature must be a number"),
        ({"temperature": 3}, "temperature must be a number"),
        ({"temperature": True}, "temperature must be a number"),
        ({"max_new_tokens": 5000}, "max_new_tokens must be a whole number"),
        ({"max_new_tokens": 1.5}, "max_new_tokens must be a whole number"),
        ({"frames": 10**30}, "frames must be a whole number"),
        ({"target_fps": float("inf")}, "the body is no JSON"),
        ({"target_fps": 1e300}, "target_fps must be a number"),
        ({"merge": "no"}, "merge must be true or false"),
        ({"never": "a,b"}, "never must be a list of texts"),
        ({"overwrite": ["everything"]}, "overwrite"),
        ({"extra_options": ["--base_url=http://127.0.0.1:9"]}, "extra_options must be"),
        ({"extra_options": ["x"] * 2000}, "extra_options must be"),
        ({"until": "manual"}, "until"),
        ({"background": "no colour"}, "background"),
        ({"lora_type": "../../etc"}, "lora_type must be the name of one"),
        ({"prompt": "{{ manual }}"}, "prompt: templates are not taken"),
        ({"prompt": "{% for _ in range(9) %}{% endfor %}"}, "prompt: templates are not taken"),
        ({"generate": False, "until": "generated"}, "leave nothing to do"),
        ({"generate": False, "merge": False}, "leave nothing to do"),
        ({"lora_type": "charakter"}, "charakter"),
        ({"allow": ["hair", "nonsense"]}, "nonsense"),
        ({"caption_type": "Nonsense"}, "caption_type Nonsense: is none of"),
        ({"extra_options": ["nope"]}, "nope"),
        ({"anchor": "a\nb"}, "anchor: one line"),
        ({"max_sentences": -1}, "max_sentences must be a whole number from 0 to"),
        *(
            ({name: "x"}, f"{name} is no setting of a job")
            for name in (
                *("base_url", "model", "model_id", "captioner", "captioner_base_url"),
                *("output_dir", "sidecar_dir", "dataset_dir", "files", "config", "log_file"),
                *("rules", "system_prompt", "prompts_dir", "trust_remote_code", "candidates"),
                *("caption_extension", "OPENAI_API_KEY", "print_config", "help", "no_merge", ""),
            )
        ),
    ],
)
def test_what_a_client_may_not_say_is_refused(
    service: Service, folder: Path, asked: dict[str, Any], why: str
) -> None:
    before = snapshot(folder)
    status, told = service.post("/enhance", {"path": str(folder), **asked})
    assert status == 400
    assert why in told["error"]
    assert "--" not in told["error"]
    assert snapshot(folder) == before


def test_a_folder_belongs_to_the_dataset_that_was_captioned_above_it(
    service: Service, folder: Path
) -> None:
    """Taken for a dataset of its own, its texts would count as written by hand."""
    assert awaited(service, begun(service, folder, until="generated"))["status"] == "done"
    drafts = texts(folder)
    told = awaited(service, job := begun(service, folder / "sub"))
    assert (told["status"], told["files"]) == ("done", {"all": 1, "captioned": 1})
    assert told["stages"]["draft"] == {"fresh": 1}
    assert list(results(service, job)) == ["sub/c.png"]
    assert "cutout style" in (folder / "sub" / "c.txt").read_text()
    assert not (folder / "sub" / ".enhance").exists()
    assert drafts.items() <= texts(folder).items()


def test_a_folder_with_datasets_in_it_is_taken_for_none(service: Service, folder: Path) -> None:
    (folder / "sub").rename(folder.parent / "sub")
    assert awaited(service, begun(service, folder.parent / "sub"))["status"] == "done"
    (folder.parent / "sub").rename(folder / "sub")
    before = snapshot(folder)
    status, told = service.post("/enhance", {"path": str(folder)})
    assert status == 400
    assert told["error"] == "captioned by themselves before, so begin a job for each: sub"
    assert snapshot(folder) == before
    assert awaited(service, begun(service, folder / "sub"))["status"] == "done"
    assert awaited(service, begun(service, folder / "d.png"))["status"] == "done"


def test_a_job_of_which_every_file_failed_has_failed(service: Service, folder: Path) -> None:
    told = awaited(service, begun(service, folder / "broken.png"))
    assert (told["status"], told["files"]["failed"]) == ("failed", 1)
    assert told["error"].startswith("every file failed, the first with: ")
    assert told["report"]["failed"][0]["stage"] == "draft"


def test_why_a_job_failed_tells_no_folder_of_the_machine(service: Service, folder: Path) -> None:
    rules = 'rules = "/somewhere/else/mine.txt"\n'
    (folder / "caption.toml").write_text(rules)
    told = awaited(service, begun(service, folder))
    assert (told["status"], "mine.txt" in told["error"]) == ("failed", True)
    assert "/somewhere" not in told["error"]
    assert str(folder.parent) not in told["error"]


def test_without_a_language_model_nothing_is_merged_and_none_is_fetched(tmp_path: Path) -> None:
    draw_scenes(tmp_path, ["a.png"])
    with Service(tmp_path) as service:
        status, told = service.post("/enhance", {"path": str(tmp_path)})
        assert (status, "without --base_url" in told["error"]) == (400, True)
        for wish in ({"until": "generated"}, {"merge": False}):
            told = awaited(service, begun(service, tmp_path, **wish))
            assert (told["status"], told["files"]["captioned"]) == ("done", 1)


@pytest.mark.parametrize("setting", ["output_dir: out", "sidecar_dir: side", "files: [a.png]"])
def test_settings_of_one_dataset_cannot_hold_for_all_jobs(tmp_path: Path, setting: str) -> None:
    (tmp_path / "of_jobs.yaml").write_text(setting)
    flags = ("--model", JOYCAPTION, "--allow_root", tmp_path, "--port", 0)
    done = run("serve", *flags, "--config", tmp_path / "of_jobs.yaml")
    name = setting.partition(":")[0]
    assert done.returncode == 2
    assert f"--{name} cannot hold for all jobs of a service" in done.stderr


def test_a_prompt_is_a_text_whatever_file_has_its_name(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "a secret.txt"
    write(secret, "Describe only the canary.")
    for prompt in (str(secret), "/etc/passwd", "notes.txt"):
        job = begun(service, folder / "d.png", prompt=prompt, until="generated")
        assert awaited(service, job)["status"] == "done"
    said = "\n".join(path.read_text() for path in folder.rglob("*.jsonl"))
    assert "canary" not in said


def test_links_that_lead_out_of_the_roots_are_followed_by_no_job(
    service: Service, root: Path, folder: Path, tmp_path: Path
) -> None:
    draw_scenes(tmp_path, ["secret/private.png"])
    write(tmp_path / "passwd", "a secret")
    before = snapshot(tmp_path)
    for name, target in (
        ("d.txt", tmp_path / "passwd"),
        ("deep.png", tmp_path / "secret" / "private.png"),
        ("sub/all", tmp_path / "secret"),
        (".enhance", tmp_path / "not there"),
    ):
        (folder / name).symlink_to(target)
        status, told = service.post("/enhance", {"path": str(folder)})
        assert (status, told["error"].startswith(f"{name}: this link")) == (400, True), told
        assert service.post("/enhance", {"path": str(folder / "a é.png")})[0] == 400
        (folder / name).unlink()
    (root / "inside").mkdir()
    draw_scenes(root / "inside", ["g.png"])
    (folder / "sub" / "inside").symlink_to(root / "inside")
    told = awaited(service, begun(service, folder, until="generated"))
    assert told["files"]["captioned"] == 7
    (root / "inside" / "deep.png").symlink_to(tmp_path / "secret" / "private.png")
    assert service.post("/enhance", {"path": str(folder)})[0] == 400
    shutil.rmtree(root / "inside")
    assert service.post("/enhance", {"path": f"{root.name}/{folder.name}/d.png"})[0] == 202
    for path in (tmp_path, tmp_path / "gone", folder / ".." / "..", "/", "~", "nowhere", "a\0b"):
        status, told = service.post("/enhance", {"path": str(path)})
        assert (status, told["error"]) == (404, f"File or folder not found: {path}")
    assert service.post("/enhance", {"path": str(folder / "b.txt")})[0] == 404
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_begins_nothing(
    service: Service, folder: Path, headers: dict[str, str]
) -> None:
    asked = {"path": str(folder), "until": "generated"}
    before = len(service.get("/jobs")[1]["jobs"])
    status, told = service.post("/enhance", asked, **headers, **{"Content-Type": "text/plain"})
    assert (status, told) == (403, {"error": "pages of other sites may not ask"})
    assert service.headers["access-control-allow-origin"] is None
    assert len(service.get("/jobs")[1]["jobs"]) == before
    status, _ = service.post("/enhance", asked, Origin=service.url)
    assert status == 202


def test_jobs_that_nobody_began_are_not_found(service: Service) -> None:
    for method, path in (
        *(("GET", "/jobs/none"), ("DELETE", "/jobs/none"), ("GET", "/jobs/none/results")),
        ("GET", f"/jobs/{os.sep}etc"),
    ):
        assert service.call(method, path)[0] == 404
    assert service.call("PUT", "/jobs/none")[0] == 405
