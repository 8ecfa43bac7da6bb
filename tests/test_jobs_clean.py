"""`enhance clean DIR`: captions that exist, without any model."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest
from doors import finals, run, run_here, snapshot, start
from few import caption_all, captioned, changed, kept, many, refusal, said, texts, write
from launches import kill_all, leftovers, wait_until
from loopback import ChatServer, texts_of

from enhance.disk import Lock

UNCLEAN = {
    "one": b'Caption: "annika waving"\n',
    "two words": "annika’s café,\r\nseen from above".encode("cp1252"),
    "sub/été": "\ufeffannika in the rain".encode(),
    "日本": "annika\u200b sitting\u00a0down ".encode("utf-16"),
}
RIGHT = {
    "one": "annika waving",
    "two words": "annika’s café, seen from above",
    "sub/été": "annika in the rain",
    "日本": "annika sitting down",
}
FLAGS = ("--anchor", "annika")


def test_captions_are_cleaned_and_what_a_person_wrote_is_kept_byte_for_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = captioned(tmp_path / "my images", UNCLEAN)
    assert said(capsys, 0, "clean", folder, *FLAGS)[-1] == "4 cleaned, 0 already clean, 0 listed"
    assert finals(folder) == RIGHT
    for stem, data in UNCLEAN.items():
        assert (folder / f"{stem}_manual.txt").read_bytes() == data
    assert leftovers(folder) == []


def test_a_second_cleaning_changes_nothing_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = captioned(tmp_path / "images", UNCLEAN)
    run_here("clean", folder, *FLAGS)
    before = snapshot(folder)
    assert said(capsys, 0, "clean", folder, *FLAGS)[-1] == "0 cleaned, 4 already clean, 0 listed"
    assert snapshot(folder) == before


def test_clean_captions_are_not_touched_and_leave_no_trace(tmp_path: Path) -> None:
    folder = captioned(tmp_path / "images", {"one": b"annika waving"})
    before = snapshot(folder)
    assert run_here("clean", folder, *FLAGS) == 0
    assert snapshot(folder) == before
    assert not (folder / ".enhance").exists()


def test_a_later_run_merges_what_was_kept_and_replaces_the_cleaned_caption(
    few: Path, server: ChatServer
) -> None:
    write(few / "one.txt", "made for\nOtto\n")
    run_here("clean", few)
    assert finals(few)["one"] == "made for Otto"
    assert caption_all(few, server) == 3
    assert sorted(texts_of(body)["person"] for body in server.requests) == [
        "",
        "calm mood",
        "made for\nOtto",
    ]
    assert "cutout style" in finals(few)["one"]
    assert (few / "one_manual.txt").read_bytes() == b"made for\nOtto\n"
    assert caption_all(few, server) == 0


def test_a_published_caption_that_was_edited_is_cleaned_and_still_the_persons(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    edited = "my “own” words,\r\nin cutout style\r\n".encode("cp1252")
    write(few / "one.txt", edited)
    assert run_here("clean", few, "--anchor", "cutout style") == 0
    cleaned = (few / "one.txt").read_bytes()
    assert cleaned.startswith(b"my ")
    assert b"\n" not in cleaned
    assert kept(few) == {"one.txt": [edited]}
    caption_all(few, server, anchor="paper style")
    assert (few / "one.txt").read_bytes() == cleaned
    caption_all(few, server, "--overwrite", "final")
    assert kept(few) == {"one.txt": [edited, cleaned]}


def test_a_caption_of_ours_is_replaced_and_the_next_run_replaces_it_again(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server, anchor="")
    write(few / "one_combined.txt", "a pink moon, seen from above")
    caption_all(few, server, anchor="")
    before = texts(few)
    flags = ("--anchor", "seen from Above")  # only its case is another
    assert run_here("clean", few, *flags, "--lora_type", "style") == 0
    assert changed(before, texts(few)) == {"one.txt"}
    assert "seen from Above" in finals(few)["one"]
    assert kept(few) == {}
    assert caption_all(few, server, anchor="") == 0
    assert texts(few) == before


def test_a_caption_beside_another_manual_one_is_cleaned_and_still_the_persons(
    few: Path, server: ChatServer
) -> None:
    write(few / "one_manual.txt", "made for Mia")
    write(few / "one.txt", "made for\nOtto in cutout style\n")
    run_here("clean", few)
    assert (few / "one_manual.txt").read_bytes() == b"made for Mia"
    assert kept(few) == {"one.txt": [b"made for\nOtto in cutout style\n"]}
    caption_all(few, server)
    assert (few / "one.txt").read_bytes() == b"made for Otto in cutout style"


def test_what_is_no_caption_or_cannot_be_published_is_left_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = captioned(
        tmp_path / "images",
        {
            "good": b"annika waving\n",
            "empty": b" \n",
            "refused": b"I'm sorry, I can't help with that.\n",
            "utf-16": "annika waving\n".encode("utf-16-le"),
            "broken": b"annika\x81 waving\n",
        },
    )
    captioned(folder, {"folder": b""})
    (folder / "folder.txt").unlink()
    (folder / "folder.txt").mkdir()
    before = texts_but(folder, "folder")
    lines = said(capsys, 3, "clean", folder, *FLAGS, "--strict")
    after = texts_but(folder, "folder")
    assert changed(before, after) == {"good.txt", "good_manual.txt"}
    assert lines[-1] == "1 cleaned, 0 already clean, 5 listed"
    reasons = dict(line.split(": ", 1) for line in lines[:-1])
    assert set(reasons) == {f"{stem}.txt" for stem in (*UNUSABLE, "folder")}
    assert "refused" in reasons["refused.txt"]
    assert "NUL" in reasons["utf-16.txt"]
    assert "0x81" in reasons["broken.txt"]
    assert "irectory" in reasons["folder.txt"]
    assert said(capsys, 0, "clean", folder, *FLAGS)[-1].startswith("0 cleaned, 1 already clean")


UNUSABLE = ("empty", "refused", "utf-16", "broken")


def texts_but(folder: Path, stem: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.txt") if path.stem != stem}


def test_a_caption_that_cannot_be_kept_costs_its_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "x" * 250  # with _manual.txt it would be too long a name
    folder = captioned(tmp_path / "images", {long: b"annika sitting\n", "one": b"annika waving\n"})
    lines = said(capsys, 0, "clean", folder, *FLAGS)
    assert lines[-1] == "1 cleaned, 0 already clean, 1 listed"
    assert lines[0].startswith(f"{long}.txt: cannot read or write")
    assert (folder / f"{long}.txt").read_bytes() == b"annika sitting\n"
    assert (folder / "one.txt").read_bytes() == b"annika waving"
    assert leftovers(folder) == []


def test_a_dry_run_shows_every_change_word_by_word_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = captioned(tmp_path / "images", {**UNCLEAN, "fine": b"annika waving"})
    before = snapshot(folder)
    assert said(capsys, 0, "clean", folder, *FLAGS, "--dry_run") == [
        "one.txt:",
        '  [-Caption: "-]annika waving[-"\\n-]',
        "sub/été.txt (becomes UTF-8 without BOM):",
        "  annika in the rain",
        "two words.txt (becomes UTF-8 without BOM):",
        "  annika’s café,[-\\r\\n-]{+ +}seen from above",
        "日本.txt (becomes UTF-8 without BOM):",
        "  annika[-\\u200b-] sitting[-\\xa0-]{+ +}down[- -]",
        "4 would be cleaned, 1 already clean, 0 listed",
    ]
    assert snapshot(folder) == before


def test_a_dry_run_may_be_asked_for_in_any_layer_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = captioned(tmp_path / "images", UNCLEAN)
    before = snapshot(folder)
    monkeypatch.setenv("ENHANCE_DRY_RUN", "1")
    monkeypatch.setenv("ENHANCE_ANCHOR", "annika")
    assert run_here("clean", folder) == 0
    assert snapshot(folder) == before


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
@pytest.mark.parametrize("plain", [False, True], ids=["colour", "NO_COLOR"])
def test_a_terminal_gets_colours_unless_it_wants_none(tmp_path: Path, plain: bool) -> None:
    folder = captioned(tmp_path / "images", {"one": b"annika  waving\n"})
    ours, theirs = os.openpty()
    environment = {"NO_COLOR": "1" if plain else ""}
    process = start("clean", folder, *FLAGS, "--dry_run", env=environment, stdout=theirs)
    os.close(theirs)
    assert process.wait(60) == 0
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert ("\x1b[31m" in shown) is not plain
    assert ("[-" in re.sub(r"\x1b\[\d*m", "", shown)) is plain


def test_without_an_anchor_captions_are_cleaned_and_it_is_said_once(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / "one.txt", "made for Otto\n")
    capsys.readouterr()
    assert run_here("clean", few) == 0
    assert capsys.readouterr().err.count("no --anchor") == 1
    assert finals(few)["one"] == "made for Otto"


def test_with_an_output_folder_what_was_published_there_is_cleaned(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    flags = ("--output_dir", str(tmp_path / "out"))
    write(few / "one.txt", "made for Otto\n")
    caption_all(few, server, *flags)
    write(tmp_path / "out" / "one.txt", "my own words\n")
    assert run_here("clean", few, *flags) == 0
    assert (tmp_path / "out" / "one.txt").read_bytes() == b"my own words"
    assert (few / "one.txt").read_bytes() == b"made for Otto\n"
    assert not (few / "one_manual.txt").exists()


@pytest.mark.skipif(os.name == "nt", reason="rights and links are of Unix")
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
def test_the_rights_of_a_caption_stay_and_its_copy_has_them_too(tmp_path: Path, mode: int) -> None:
    folder = captioned(tmp_path / "images", {"one": b"annika\nwaving at otto"})
    (folder / "one.txt").chmod(mode)
    assert run_here("clean", folder, *FLAGS) == 0
    assert rights(folder / "one.txt") == rights(folder / "one_manual.txt") == mode
    assert run_here("undo", folder) == 0
    assert rights(folder / "one.txt") == mode
    assert (folder / "one.txt").read_bytes() == b"annika\nwaving at otto"


@pytest.mark.skipif(os.name == "nt", reason="rights and links are of Unix")
@pytest.mark.parametrize("job", ["clean", "fix-encoding"])
def test_a_caption_that_is_a_link_stays_one_and_the_file_it_leads_to_is_mended(
    tmp_path: Path, job: str
) -> None:
    was = "annika’s\ncafé\n".encode("cp1252")
    folder = captioned(tmp_path / "images", {"one": b""})
    target = tmp_path / "texts" / "mine.txt"
    target.parent.mkdir()
    write(target, was)
    target.chmod(0o640)
    (folder / "one.txt").unlink()
    (folder / "one.txt").symlink_to(target)
    assert run_here(job, folder, *FLAGS) == 0
    assert (folder / "one.txt").is_symlink()
    assert target.read_text("utf-8").split() == ["annika’s", "café"]
    assert rights(target) == 0o640
    assert run_here("undo", folder) == 0
    assert (folder / "one.txt").is_symlink()
    assert target.read_bytes() == was
    assert rights(target) == 0o640


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_pictures_that_share_a_caption_cost_their_files_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unclean = dict.fromkeys(("one", "two", "three", "three_manual"), b"annika\nwaving at otto")
    folder = captioned(tmp_path / "images", unclean)
    (folder / "two.jpg").write_bytes((folder / "two.png").read_bytes())
    lines = said(capsys, 3, "clean", folder, *FLAGS, "--strict")
    assert lines[-1] == "1 cleaned, 0 already clean, 2 listed"
    assert any("two.jpg and two.png" in line for line in lines)
    assert (folder / "one.txt").read_bytes() == b"annika waving at otto"
    for stem in ("two", "three", "three_manual"):
        assert (folder / f"{stem}.txt").read_bytes() == unclean[stem]


def test_a_copy_that_a_kill_left_unnoted_is_taken_back_by_undo(tmp_path: Path) -> None:
    folder = captioned(tmp_path / "images", {"one": b"annika\nwaving at otto"})
    write(folder / "one_manual.txt", (folder / "one.txt").read_bytes())
    assert run_here("clean", folder, *FLAGS) == 0
    assert (folder / "one.txt").read_bytes() == b"annika waving at otto"
    assert run_here("undo", folder) == 0
    assert (folder / "one.txt").read_bytes() == b"annika\nwaving at otto"
    assert not (folder / "one_manual.txt").exists()


@pytest.mark.parametrize("job", ["clean", "check", "undo", "fix-encoding"])
def test_a_job_without_a_folder_says_how_to_name_one(
    job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"say which folder: enhance {job} DIR" in refusal(capsys, job)


def test_cleaning_waits_for_no_other_run_in_the_same_folder(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Lock(few / ".enhance", "another", 0):
        assert run_here("clean", few, *FLAGS) == 4
        assert "another run is at work" in capsys.readouterr().err
        assert run_here("clean", few, *FLAGS, "--dry_run") == 0


def test_cleaning_no_dataset_or_with_two_lines_of_anchor_is_refused(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no such folder" in refusal(capsys, "clean", tmp_path / "missing")
    assert "one line" in refusal(capsys, "clean", few, "--anchor", "two\nlines")


def test_killed_while_it_cleans_and_started_again_it_ends_as_if_undisturbed(tmp_path: Path) -> None:
    stems = [f"scene {number:03}" for number in range(600)]
    unclean = {stem: f"annika\n{stem}\n".encode() for stem in stems}
    folder = many(tmp_path / "images", unclean)
    for pause in (0.0, 0.02):
        done = len(list(folder.glob("*_manual.txt")))
        process = start("clean", folder, *FLAGS)
        wait_until(lambda before=done: len(list(folder.glob("*_manual.txt"))) > before)
        time.sleep(pause)
        kill_all(process)
        for stem, data in unclean.items():
            stands = [folder / f"{stem}.txt", folder / f"{stem}_manual.txt"]
            assert data in [path.read_bytes() for path in stands if path.exists()]
    assert len(list(folder.glob("*_manual.txt"))) < len(stems)
    assert run("clean", folder, *FLAGS).returncode == 0
    assert finals(folder) == {stem: f"annika {stem}" for stem in stems}
    assert all((folder / f"{stem}_manual.txt").read_bytes() == unclean[stem] for stem in stems)
    assert leftovers(folder) == []
