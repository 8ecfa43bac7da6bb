"""docs/coming_from.md: each older script's job runs with the command that stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import replicate_server
from doors import FLORENCE, REPOSITORY, finals, run_here
from films import colours, film
from gemini_server import GeminiServer, parts_of
from loopback import Answer, ChatServer
from PIL import Image
from replicate_server import Plan, Replicate
from seeing import colour_at, paint, seeing

TEXT = (REPOSITORY / "docs" / "coming_from.md").read_text(encoding="utf-8")
COMMANDS = {
    section.splitlines()[0]: re.findall(r"^    (enhance .+)$", section, re.MULTILINE)[0]
    for section in TEXT.split("\n## ")[1:]
}
KEY = "sk-this-must-show-nowhere"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder as the scripts' guide lays it out: images and videos of one character."""
    data = tmp_path / "datasets" / "your_character"
    paint(data / "images" / "photo_001.png", "red")
    paint(data / "images" / "photo 002.JPG", "blue")
    (data / "images" / "photo_003.webp").write_bytes(b"RIFF no picture")
    film(data / "videos" / "clip_001.mp4", colours("green"))
    film(data / "videos" / "été.webm", colours("yellow"), codec="libvpx")
    (data / "videos" / "clip_001.txt").write_text("waves with both hands", encoding="utf-8")
    return tmp_path


def job(name: str, where: Path, key: str, url: str) -> subprocess.CompletedProcess[str]:
    """Runs the command of the page as it stands there; only the address comes from elsewhere."""
    assert f"export {key}=…" in TEXT
    program, *arguments = shlex.split(COMMANDS[name])
    assert program == "enhance"
    names = {key: KEY, "ENHANCE_CAPTIONER_BASE_URL": url, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-m", "enhance", *arguments],
        cwd=where,
        env={**os.environ, **names},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    for file in [*where.rglob("*.*"), *where.rglob(".enhance/*")]:
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    assert KEY not in done.stdout + done.stderr
    return done


def caption(colour: str, anchor: str, more: str = "") -> str:
    return f"a medium shot of {anchor} before a {colour} wall{more}"


WAVES = ", who waves with both hands"


def test_the_gemini_scripts_job(project: Path) -> None:
    def script(_: int, body: dict[str, Any]) -> Answer:
        said = "\n".join(part.get("text", "") for part in parts_of(body))
        if "Which colour" in said:
            return Answer("I cannot tell.", "STOP")
        waves = WAVES if "waves with both hands" in said else ""
        return Answer(caption("plain", "annika", waves), "STOP")

    with GeminiServer(script, models=("gemini-flash-latest",)) as server:
        done = job("caption_gemini.py", project, "GEMINI_API_KEY", server.url)
        assert done.returncode == 0, done.stderr
        kinds = [
            part["inlineData"]["mimeType"]
            for body in server.drafts
            for part in parts_of(body)
            if "inlineData" in part
        ]
        asked = len(server.drafts)
        assert job("caption_gemini.py", project, "GEMINI_API_KEY", server.url).returncode == 0
        assert len(server.drafts) == asked
    assert sorted(set(kinds)) == ["image/jpeg", "video/mp4", "video/webm"]
    found = finals(project / "datasets" / "your_character")
    assert sorted(found) == [
        "images/photo 002",
        "images/photo_001",
        "videos/clip_001",
        "videos/été",
    ]
    assert found["videos/clip_001"] == caption("plain", "annika", WAVES)
    assert "photo_003.webp" in done.stdout


def test_the_replicate_scripts_job(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicate_server, "TOKEN", KEY)  # what the server takes

    def script(_: int, given: dict[str, Any]) -> Plan:
        waves = WAVES if "waves with both hands" in given["prompt"] else ""
        return Plan(caption("plain", "annika", waves))

    with Replicate(script) as server:
        name = "google/gemini-3-flash"
        server.models[name] = server.models["vendor/flash"]
        server.latest[name] = "e" * 64
        done = job("caption_replicate.py", project, "REPLICATE_API_TOKEN", server.url)
        assert done.returncode == 0, done.stderr
        shown = {
            field for given in server.inputs for field in ("images", "videos") if given.get(field)
        }
        assert shown == {"images", "videos"}
        assert not server.unknown
        begun = len(server.predictions)
        job("caption_replicate.py", project, "REPLICATE_API_TOKEN", server.url)
        assert len(server.predictions) == begun
    found = finals(project / "datasets" / "your_character")
    assert len(found) == 4
    assert found["videos/clip_001"] == caption("plain", "annika", WAVES)


def test_the_job_of_gen_captions(project: Path) -> None:
    (project / "datasets" / "your_character" / "images").rename(project / "images")

    def look(image: Image.Image, _: dict[str, Any]) -> Answer:
        return Answer(caption(colour_at(image, 0.5, 0.5), "[trigger]"))

    with ChatServer(seeing(look), models=("gpt-4o-mini", "gpt-4o")) as server:
        done = job("gen-captions.py", project, "OPENAI_API_KEY", server.url)
        assert done.returncode == 0, done.stderr
    assert finals(project / "captions") == {
        "photo_001": caption("red", "[trigger]"),
        "photo 002": caption("blue", "[trigger]"),
    }
    assert not finals(project / "images")


def test_the_job_of_enhance_captions(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    (project / "datasets" / "your_character" / "images").rename(project / "images")
    _, *arguments = shlex.split(COMMANDS["enhance_captions.py"])
    with ChatServer(lambda *_: Answer("a red wall, wide shot")) as server:
        tiny = {"microsoft/Florence-2-large-ft": FLORENCE, "http://127.0.0.1:5000/v1/": server.url}
        assert run_here(*(tiny.get(one, one) for one in arguments)) == 0
    assert sorted(finals(project / "images")) == ["photo 002", "photo_001"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_of_the_page_exists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for job in ((), ("serve",)):
        with pytest.raises(SystemExit):
            run_here(*job, "--help")
    known = capsys.readouterr().out
    section = TEXT.split(f"\n## {name}")[1].split("\n## ")[0]
    ours = [row.rpartition(" | ")[2] for row in section.splitlines() if row.startswith("| ")]
    for flag in re.findall(
        r"`(--[a-z_]+)", "\n".join((*ours, COMMANDS[name].replace("--", "`--")))
    ):
        assert flag in known, flag
