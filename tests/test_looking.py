"""`enhance show FILE` and `enhance check DIR`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from doors import FLORENCE, run_here, snapshot, start
from few import caption_all, refusal, write
from loopback import Answer, ChatServer


def told(capsys: pytest.CaptureFixture[str], status: int, *arguments: object) -> list[str]:
    """What a job says on stdout; it ends with `status`."""
    capsys.readouterr()
    assert run_here(*arguments) == status
    return capsys.readouterr().out.splitlines()


def test_show_tells_every_text_of_a_file_and_who_wrote_it(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / "one.txt", "made for Otto\n")
    caption_all(few, server)
    write(few / "one_generated.txt", "a pink moon")
    final = (few / "one.txt").read_text()
    before = snapshot(few)
    assert told(capsys, 0, "show", few / "one.png") == [
        "one.png",
        "  manual (one_manual.txt, by a person): made for Otto",
        "  generated (one_generated.txt, by a person): a pink moon",
        f"  combined (one_combined.txt, by tiny): {final}",
        f"  final (one.txt, by clean): {final}",
    ]
    assert snapshot(few) == before


def test_show_finds_the_dataset_of_a_file_in_a_subfolder(
    few: Path,
    server: ChatServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caption_all(few, server)
    monkeypatch.chdir(few / "sub")
    for file in ("three.png", few / "sub" / "three.png", "../sub/three.png"):
        name, _, generated, *_ = told(capsys, 0, "show", file)
        assert name == "sub/three.png"
        assert f"by {FLORENCE}" in generated


def test_show_tells_of_a_caption_that_waits_to_be_used(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, 0, "show", few / "one.png")
    assert any("made for Otto" in line and "a person" in line for line in lines)
    assert not (few / ".enhance").exists()


def test_show_tells_what_was_wrong(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / "broken.png", b"")
    server.script = lambda *_: Answer("I'm sorry, I can't do that.")
    caption_all(few, server)
    lines = told(capsys, 0, "show", few / "one.png")
    assert "    not usable, so not written: I'm sorry, I can't do that." in lines
    assert "    refusal: the model refused" in lines
    assert "    failed: the image file is empty" in told(capsys, 0, "show", few / "broken.png")


def test_show_tells_a_text_of_a_person_that_was_overwritten(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    (few / "one.txt").write_bytes(b"at the caf\xe9")
    caption_all(few, server, "--overwrite", "final")
    line = "    written by a person, replaced by --overwrite: at the café"
    assert line in told(capsys, 0, "show", few / "one.png")


def test_show_of_no_picture_is_refused(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in (few / "missing.png", few / "one.txt", few):
        assert str(file) in refusal(capsys, "show", file)


def test_check_finds_nothing_wrong_with_what_was_published(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    before = snapshot(few)
    flags = ("--anchor", "cutout style", "--lora_type", "style")
    assert told(capsys, 0, "check", few, *flags) == ["no problems found"]
    assert snapshot(few) == before


def test_check_lists_what_a_trainer_would_trip_over(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / "one.txt", "Otto’s café\n".encode("cp1252"))
    write(few / "two.txt", b"\xef\xbb\xbfone line\nand another")
    lines = told(capsys, 3, "check", few)
    assert "one.png: not_utf8: one.txt is cp1252: trainers stop at it" in lines
    assert "one.png: trailing_newline: ends with a line break" in lines
    assert "two.jpg: bom: begins with a byte order mark" in lines
    assert "two.jpg: multiline: several lines: trainers read one of them" in lines
    assert "sub/three.png: missing_caption: there is no three.txt" in lines
    assert lines[-1] == "3 files have problems"


def test_check_holds_captions_against_the_anchor_and_the_policy(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / "one.txt", "annika. One. Two. Three. Four.")
    write(few / "two.txt", "a woman planning")
    (few / "sub" / "three.png").unlink()
    (line,) = told(capsys, 3, "check", few, "--anchor", "annika", "--format", "json")[:1]
    assert line == "{"
    found = json.loads("\n".join(told(capsys, 3, "check", few, "--anchor=annika", "--format=json")))
    labels = {name: [row["label"] for row in rows] for name, rows in found.items()}
    assert labels == {"one.png": ["too_long"], "two.jpg": ["missing_anchor"]}


def test_check_of_no_dataset_is_refused(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no such folder" in refusal(capsys, "check", tmp_path / "missing")
    assert "wether" in refusal(capsys, "check", few, "--lora-type", "wether")


def test_a_job_that_is_none_is_refused(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, few)
    assert str(few) in line
    assert "--dataset_dir" in line
    assert "show, check" in line


@pytest.mark.parametrize("job", [["show"], ["check"], []], ids=["show", "check", "captions"])
def test_every_job_explains_itself(capsys: pytest.CaptureFixture[str], job: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run_here(*job, "--help")
    assert end.value.code == 0
    assert "usage: enhance" in capsys.readouterr().out


@pytest.mark.parametrize("job", ["show", "check"])
def test_a_job_with_wrong_flags_is_refused(capsys: pytest.CaptureFixture[str], job: str) -> None:
    assert "--colour" in refusal(capsys, job, "x", "--colour")


def test_a_reader_that_has_seen_enough_ends_nothing_in_a_traceback(few: Path) -> None:
    for number in range(300):
        shutil.copy(few / "one.png", few / f"{number}.png")
    process = start("check", few, "--anchor", "annika")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 3
    assert "Traceback" not in process.stderr.read()
