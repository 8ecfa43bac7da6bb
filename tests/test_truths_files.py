"""Truths 4 to 7: whole writes, the trainer's exact file, and where each file may stand."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from doors import draw_scenes, finals, report_of, run_here, snapshot, start, with_server
from few import caption_all, changed, draw_few, kept, texts, write
from loopback import Answer, ChatServer, merge, texts_of

SIDECARS = ("_manual.txt", "_generated.txt", "_combined.txt")


def test_the_published_file_is_one_line_of_utf_8_without_bom_or_newline(
    few: Path, server: ChatServer
) -> None:
    write(few / "one.txt", "a café, 日本, the end")
    server.script = lambda *_: Answer(
        "\ufeff```\n“A café,\r\n\tin cutout style” — 日本 👩‍👧 \x00end\n\n```\n"
    )
    caption_all(few, server)
    data = (few / "one.txt").read_bytes()
    assert data == "“A café, in cutout style” — 日本 👩‍👧 end".encode()


def test_no_file_is_ever_published_empty(few: Path, server: ChatServer) -> None:
    server.script = lambda *_: Answer(' "" ')
    caption_all(few, server)
    assert texts(few).keys() == {
        *("one.txt", "two.txt"),
        *("one_generated.txt", "two_generated.txt", "sub/three_generated.txt"),
    }


def sources(body: dict[str, Any]) -> tuple[str, str]:
    """Draft and manual caption of a request, without the anchor."""
    texts = texts_of(body)
    return texts["draft"].rstrip("."), texts["person"]


def test_a_caption_without_its_anchor_is_listed_and_not_published(
    few: Path, server: ChatServer
) -> None:
    server.script = lambda _, body: Answer(", ".join(filter(None, sources(body))))
    caption_all(few, server, "--lora_type", "motion")  # where code puts no anchor in
    assert (few / "one.txt").read_bytes() == b"made for Otto"
    assert not (few / "sub" / "three.txt").exists()
    (row, *_) = report_of(few)["needs_a_person"]
    assert (row["file"], row["stage"], row["problems"]) == ("one.png", "final", ["missing_anchor"])
    assert row["text"].endswith("grey background, made for Otto")


def test_the_report_says_when_an_edit_of_a_person_cannot_be_published(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    published = (few / "one.txt").read_bytes()
    write(few / "one_combined.txt", "a pink moon in flat style")  # lacks the anchor
    assert caption_all(few, server) == 0
    assert (few / "one.txt").read_bytes() == published
    assert [row["file"] for row in report_of(few)["needs_a_person"]] == ["one.png"]


def test_beside_the_media_stand_only_txt_files_and_ours_are_text(
    few: Path, server: ChatServer
) -> None:
    media = {"one.png", "two.jpg", "sub/three.png", "broken.png"}
    write(few / "broken.png", b"")
    caption_all(few, server)
    others = snapshot(few).keys() - media
    assert {name for name in others if not name.endswith(".txt")} == {
        ".enhance/journal.0.jsonl",
        ".enhance/report.json",
    }
    for name in others:
        (few / name).read_bytes().decode("ascii" if name.endswith(".jsonl") else "utf-8")


def test_a_run_that_cannot_start_leaves_no_trace(few: Path) -> None:
    before = snapshot(few)
    flags = ["--base_url", "http://127.0.0.1:9/v1"]
    assert run_here("--dataset_dir", few, *flags) == 4
    assert snapshot(few) == before
    assert not (few / ".enhance").exists()


def test_sidecars_and_finals_go_into_folders_of_the_same_tree(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    before = snapshot(few)
    flags = ["--sidecar_dir", str(tmp_path / "side"), "--output_dir", str(tmp_path / "out")]
    caption_all(few, server, *flags)
    left = {name: state for name, state in snapshot(few).items() if ".enhance" not in name}
    assert left == before
    assert finals(tmp_path / "out").keys() == {"one", "two", "sub/three"}
    assert snapshot(tmp_path / "side").keys() == {
        f"{stem}{suffix}" for stem in ("one", "two", "sub/three") for suffix in SIDECARS[1:]
    }
    states = [snapshot(folder) for folder in (few, tmp_path / "out", tmp_path / "side")]
    assert caption_all(few, server, *flags) == 0
    assert [snapshot(folder) for folder in (few, tmp_path / "out", tmp_path / "side")] == states


def test_the_manual_caption_is_kept_under_the_sidecar_folder(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    caption_all(few, server, "--sidecar_dir", str(tmp_path / "side"))
    assert (tmp_path / "side" / "one_manual.txt").read_bytes() == b"made for Otto"
    assert texts(few).keys() == {"one.txt", "two.txt", "sub/three.txt"}


def test_a_manual_caption_kept_beside_the_media_is_found_by_a_run_with_a_sidecar_folder(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    caption_all(few, server)
    before = finals(few)
    assert caption_all(few, server, "--sidecar_dir", str(tmp_path / "side")) == 3
    assert finals(few)["one"] == before["one"]
    assert not (tmp_path / "side" / "one_manual.txt").exists()


def test_folders_are_the_same_however_they_are_spelled(
    few: Path, server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    caption_all(Path("few"), server, "--sidecar_dir", "few/side", "--output_dir", "out")
    monkeypatch.chdir(few)
    more = ["--sidecar_dir", str(few / "side"), "--output_dir", "../out"]
    assert caption_all(Path("."), server, *more, anchor="paper style") == 3
    assert all("paper style" in caption for caption in finals(tmp_path / "out").values())


def test_another_caption_extension_is_read_and_written(few: Path, server: ChatServer) -> None:
    write(few / "one.caption", "seen from above")
    caption_all(few, server, "--caption_extension", ".caption")
    assert "seen from above" in (few / "one.caption").read_text()
    assert (few / "one_manual.txt").read_bytes() == b"seen from above"
    assert (few / "one.txt").read_bytes() == b"made for Otto"
    assert (few / "sub" / "three.caption").exists()
    assert caption_all(few, server, "--caption_extension", "caption") == 0


def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    names = [f"{number}.png" for number in range(24)]
    draw_scenes(few, names)
    undisturbed = draw_few(tmp_path / "undisturbed")
    draw_scenes(undisturbed, names)
    caption_all(undisturbed, server)

    asked = threading.Semaphore(0)

    def slowly(number: int, body: dict[str, object]) -> Answer:
        asked.release()
        time.sleep(0.05)
        return merge(number, body)

    server.script = slowly
    process = start("--dataset_dir", few, *with_server(server, "cutout style", "--concurrency=1"))
    for _ in range(9):
        assert asked.acquire(timeout=120)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = len(finals(few))
    assert 2 < done < 27
    server.script = merge
    caption_all(few, server)
    assert texts(few) == texts(undisturbed)
    assert not list(few.rglob("*.tmp"))
    assert not list((few / ".enhance").glob("lock*"))


def test_what_a_killed_run_left_half_written_is_swept_and_made_again(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    right = texts(few)
    book = few / ".enhance" / "journal.0.jsonl"
    lines = book.read_bytes().splitlines(keepends=True)
    last = next(i for i in reversed(range(len(lines))) if b'"hash"' in lines[i])
    name = json.loads(lines[last])["path"]
    (few / name).unlink()
    book.write_bytes(b"".join(lines[:last]) + lines[last][:20])
    write(few / "sub" / ".enhance.deadbeef.0.7.tmp", "a red cir")
    write(few / ".enhance" / "lock.deadbeef.0", b"")
    caption_all(few, server)
    assert texts(few) == right
    torn = [line for line in book.read_bytes().splitlines() if not line.endswith(b"}")]
    assert torn == [lines[last][:20]]  # the next line did not run into it
    assert snapshot(few).keys() == {
        *right,
        *("one.png", "two.jpg", "sub/three.png"),
        *(".enhance/journal.0.jsonl", ".enhance/report.json"),
    }


def test_a_folder_in_which_nothing_can_be_written_is_refused_in_one_line(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / ".enhance", "a file where the folder should be")
    assert run_here("--dataset_dir", few, *with_server(server)) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot write into" in line
    assert os.fspath(few / ".enhance") in line
    assert server.requests == []


def test_without_the_journal_our_finals_are_still_ours(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    right = texts(few)
    lose_journal(few)
    assert caption_all(few, server) == 0
    assert texts(few) == right
    assert kept(few) == {}
    before = snapshot(few)
    assert caption_all(few, server) == 0
    assert snapshot(few) == before
    write(few / "one_combined.txt", "a pink moon in cutout style")
    caption_all(few, server)
    assert finals(few)["one"] == "a pink moon in cutout style"
    assert kept(few) == {}


def test_without_the_journal_an_edited_final_stays(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    write(few / "one.txt", "my own words")
    write(few / "sub" / "three.txt", "my own words")  # of which no manual caption was kept
    right = texts(few)
    lose_journal(few)
    for _ in range(2):
        assert caption_all(few, server) == 0
        assert texts(few) == right


def test_without_the_journal_the_sidecars_stay(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    before = texts(few)
    lose_journal(few)
    assert caption_all(few, server, "--prompt", "<CAPTION>") == 0
    assert texts(few) == before


def test_a_folder_of_the_older_tool_is_published_with_its_manual_captions_kept(
    few: Path, server: ChatServer
) -> None:
    for stem in ("one", "two", "sub/three"):
        write(few / f"{stem}_generated.txt", f"draft of {stem}")
        write(few / f"{stem}_combined.txt", f'"{stem} in cutout style"')
    past = time.time() - 3600
    for stem in ("one", "two"):
        os.utime(few / f"{stem}.txt", (past, past))
    before = texts(few)
    assert caption_all(few, server) == 0
    assert finals(few) == {stem: f"{stem} in cutout style" for stem in ("one", "two", "sub/three")}
    assert (few / "one_manual.txt").read_bytes() == b"made for Otto"
    new = {"one_manual.txt", "two_manual.txt", "one.txt", "two.txt", "sub/three.txt"}
    assert changed(before, texts(few)) == new
    assert caption_all(few, server) == 0


def lose_journal(folder: Path) -> None:
    for path in (folder / ".enhance").iterdir():
        path.unlink()
    (folder / ".enhance").rmdir()
