"""`enhance show FILE`, and what every job says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from doors import FLORENCE, run_here, snapshot
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
    lines = told(capsys, 0, "show", few / "one.png")
    assert lines[:5] == [
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
    lines = told(capsys, 0, "show", few / "broken.png")
    assert "    failed: the file is empty: copy or download it again" in lines


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
