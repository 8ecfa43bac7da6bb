"""`enhance init DIR`: a caption.toml after asking, or from flags."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from doors import REPOSITORY, draw_scenes, finals, run_here, snapshot, with_server
from few import refusal, said, texts, write
from loopback import ChatServer


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    draw_scenes(folder, ["10_annika woman/a.png", "5_paper style/b.png", "images/c.png"])
    return folder


def settings(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "caption.toml").read_text(encoding="utf-8"))


def on_a_terminal(answers: str, *arguments: object) -> tuple[int, str]:
    """Exit status and screen of `enhance init …` where a person types the answers."""
    pty = pytest.importorskip("pty")  # not on Windows
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "enhance", "init", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    os.close(theirs)
    os.write(ours, answers.encode())
    screen = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        screen += data
    os.close(ours)
    return process.wait(timeout=60), screen.decode(errors="replace").replace("\r\n", "\n")


def test_flags_are_written_as_a_commented_file(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--anchor", "annika", "--lora_type", "character", "--tag_clothing")
    more = ("--never", "glasses, neck tattoo", "--target_tokens", "CLIP", "--max_sentences", "2")
    told = said(capsys, 0, "init", tree / "10_annika woman", *flags, *more)
    assert settings(tree / "10_annika woman") == {
        "anchor": "annika",
        "lora_type": "character",
        "tag_clothing": True,
        "never": ["glasses", "neck tattoo"],
        "max_sentences": 2,
        "target_tokens": "clip",
    }
    text = (tree / "10_annika woman" / "caption.toml").read_text()
    assert "# the trigger words, exactly as you will prompt them\nanchor = " in text
    assert '# allow = ["background"]' in text
    assert told[0].endswith("caption.toml: anchor annika, character")
    assert "enhance --dataset_dir" in told[-1]


@pytest.mark.parametrize(
    "anchor", ['say "hi"', "back\\slash", "été", "[x] = 1 # no", "it's", "tab\there"]
)
def test_any_anchor_comes_back_from_the_file(tree: Path, anchor: str) -> None:
    assert run_here("init", tree, "--anchor", anchor) == 0
    assert settings(tree)["anchor"] == anchor


@pytest.mark.parametrize(
    ("anchor", "lora_type"),
    [("annika", "character"), ("paper style", "style"), ("fluid walk", "motion")],
)
def test_a_type_that_is_not_named_is_told_by_the_anchor(
    tree: Path, anchor: str, lora_type: str
) -> None:
    assert run_here("init", tree, "--anchor", anchor) == 0
    assert settings(tree)["lora_type"] == lora_type


def test_what_init_wrote_is_what_the_run_does(tree: Path, server: ChatServer) -> None:
    assert run_here("init", tree, "--yes") == 0
    assert run_here("--dataset_dir", tree, *with_server(server, "outer")) == 0
    anchors = {name: text.split(" in ")[-1] for name, text in finals(tree).items()}
    assert anchors == {
        "10_annika woman/a": "annika",
        "5_paper style/b": "paper style",
        "images/c": "outer",
    }


def test_yes_names_the_anchors_after_the_folders(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(capsys, 0, "init", tree, "--yes", "--max_sentences", "1")
    assert settings(tree / "10_annika woman") == {
        "anchor": "annika",
        "lora_type": "character",
        "max_sentences": 1,
    }
    assert settings(tree / "5_paper style")["lora_type"] == "style"
    assert "images/: left out" in told
    assert not (tree / "caption.toml").exists()


@pytest.mark.parametrize(
    ("folder", "anchor"),
    [
        ("10_ohwx man", "ohwx"),
        ("annika", "annika"),
        ("3_red_knight", "red knight"),
        ("1_crystal sword", "crystal sword"),
        ("Mia", "Mia"),
    ],
)
def test_a_folder_names_its_anchor_as_kohyas_trainers_read_it(
    tmp_path: Path, folder: str, anchor: str
) -> None:
    draw_scenes(tmp_path, [f"{folder}/a.png"])
    assert run_here("init", tmp_path / folder, "--yes") == 0
    assert settings(tmp_path / folder)["anchor"] == anchor


@pytest.mark.parametrize("folder", ["images", "10_img", "2024", "woman", "5_person"])
def test_a_folder_that_names_nothing_is_refused(
    tmp_path: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path, [f"{folder}/a.png"])
    capsys.readouterr()
    assert run_here("init", tmp_path / folder, "--yes") == 2
    assert "--anchor" in capsys.readouterr().err
    assert not (tmp_path / folder / "caption.toml").exists()


def test_without_an_anchor_and_with_nobody_to_ask_it_is_refused(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(tree)
    line = refusal(capsys, "init", tree)
    assert "--anchor is missing" in line
    assert "--yes" in line
    assert snapshot(tree) == before


def test_a_caption_toml_that_is_there_stays_unless_it_is_to_be_overwritten(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tree / "images" / "caption.toml"
    write(place, "# mine\n")
    line = refusal(capsys, "init", tree / "images", "--anchor", "annika")
    assert "--overwrite" in line
    assert place.read_text() == "# mine\n"
    assert run_here("init", tree / "images", "--anchor", "annika", "--overwrite") == 0
    assert settings(tree / "images")["anchor"] == "annika"


def test_of_several_folders_those_without_one_get_theirs(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tree / "10_annika woman" / "caption.toml", "# mine\n")
    told = said(capsys, 0, "init", tree, "--yes")
    assert "1 folder with a caption.toml already: left as it is" in told
    assert (tree / "10_annika woman" / "caption.toml").read_text() == "# mine\n"
    assert (tree / "5_paper style" / "caption.toml").exists()


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--anchor", "x", "--lora_type", "hobby"], "'hobby' is none of"),
        (["--anchor", "two\nlines"], "one line"),
        (["--anchor", "x", "--allow", "hairs"], "hairs"),
        (["--anchor", "x", "--rules", "nowhere.txt"], "nowhere.txt"),
        (["--anchor", "x", "--limit", "3"], "--limit"),
        (["--anchor", "x", "--target_tokens", "clap"], "clap"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_and_nothing_is_written(
    tree: Path, capsys: pytest.CaptureFixture[str], flags: list[str], why: str
) -> None:
    before = snapshot(tree)
    assert why in refusal(capsys, "init", tree, *flags)
    assert snapshot(tree) == before


def test_a_folder_without_images_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    assert "no such folder" in refusal(capsys, "init", empty, "--anchor", "x")
    empty.mkdir()
    assert "no images" in refusal(capsys, "init", empty, "--anchor", "x")


def test_a_file_of_rules_is_named_from_where_the_caption_toml_lies(
    tree: Path, server: ChatServer
) -> None:
    write(tree / "images" / "mine.txt", "name the day")
    write(Path("outside.txt"), "name the hour")
    rules = os.path.relpath(tree / "images" / "mine.txt")
    assert run_here("init", tree / "images", "--anchor", "annika", "--rules", rules) == 0
    assert settings(tree / "images")["rules"] == "mine.txt"
    assert run_here("init", tree / "5_paper style", "--yes", "--rules", "outside.txt") == 0
    assert settings(tree / "5_paper style")["rules"] == Path("outside.txt").resolve().as_posix()
    assert run_here("--dataset_dir", tree, *with_server(server, "outer")) == 0
    sent = "".join(one["messages"][0]["content"] for one in server.requests)
    assert "name the day" in sent
    assert "name the hour" in sent


def test_on_a_terminal_an_empty_answer_takes_what_the_folder_tells(tree: Path) -> None:
    status, screen = on_a_terminal("\n\n\n\n", tree / "10_annika woman")
    assert status == 0, screen
    assert "10_annika woman/: 1 image" in screen
    assert "[annika]" in screen
    assert settings(tree / "10_annika woman") == {
        "anchor": "annika",
        "lora_type": "character",
        "tag_clothing": False,
    }


def test_on_a_terminal_each_folder_is_asked_for_and_wrong_answers_are_asked_again(
    tree: Path,
) -> None:
    annika = "Annika\nhobby\ncharacter\nmaybe\ny\nclap\nclip\n"
    status, screen = on_a_terminal(f"{annika}-\ncrystal sword\nobject\n\n", tree)
    assert status == 0, screen
    assert "'hobby' is none of" in screen
    assert "yes or no" in screen
    assert "'clap' is no number of tokens" in screen
    assert settings(tree / "10_annika woman") == {
        "anchor": "Annika",
        "lora_type": "character",
        "tag_clothing": True,
        "target_tokens": "clip",
    }
    assert not (tree / "5_paper style" / "caption.toml").exists()
    assert settings(tree / "images") == {"anchor": "crystal sword", "lora_type": "object"}


def test_what_flags_say_is_not_asked(tree: Path) -> None:
    flags = ("--lora_type", "style", "--target_tokens", "t5")
    status, screen = on_a_terminal("dream\n", tree / "images", *flags)
    assert status == 0, screen
    assert settings(tree / "images") == {
        "anchor": "dream",
        "lora_type": "style",
        "target_tokens": "t5",
    }


def test_who_ends_the_questions_ends_them(tree: Path) -> None:
    status, screen = on_a_terminal("annika\n\x04", tree / "images")
    assert status == 2
    assert "no answer" in screen
    assert not (tree / "images" / "caption.toml").exists()


def test_init_touches_no_caption(tree: Path) -> None:
    write(tree / "images" / "c.txt", "mine")
    before = texts(tree)
    assert run_here("init", tree, "--yes") == 0
    assert texts(tree) == before
