"""`enhance undo DIR`: brings back what the last run replaced."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from doors import TWO_RANKS, finals, report_of, run, run_here, snapshot, start, with_server
from few import caption_all, captioned, changed, many, refusal, said, texts, write
from launches import PATIENCE, kill_all, leftovers, wait_until
from loopback import Answer, ChatServer, merge, texts_of

from enhance.disk import Lock

ODD = {
    "one_generated.txt": "a pink moon, café\r\n".encode("cp1252"),
    "one_combined.txt": "a pink moon in cutout style\n".encode("utf-16"),
    "one.txt": b"\xef\xbb\xbfmy own words\n",
}


def captions_of(folder: Path) -> dict[str, bytes]:
    """What stands in the files that people write into."""
    return {name: data for name, data in texts(folder).items() if "_" not in name}


def test_after_the_first_run_the_captions_of_people_come_back_and_wait_to_be_used(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / "one.txt", "Otto’s café\r\n".encode("cp1252"))
    write(few / "two.txt", b" \n")
    before = texts(few)
    caption_all(few, server)
    after = texts(few)
    lines = said(capsys, 0, "undo", few)
    assert len(lines) == 1
    assert lines[0].startswith("2 texts brought back that the run of ")
    assert lines[0].endswith(" replaced, 0 left as they are, 7 that it made stay")
    assert {name: texts(few)[name] for name in before} == before
    assert not list(few.rglob("*_manual.txt"))
    shown = said(capsys, 0, "show", few / "one.png")
    assert "  waits to be used, as manual (one.txt, by a person): Otto’s café" in shown
    assert caption_all(few, server) == 0
    assert texts(few) == after
    assert report_of(few)["failed"] == []


def test_a_persons_caption_that_came_back_is_merged_when_it_changes(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    run_here("undo", few)
    write(few / "one.txt", "made for Mia")
    assert caption_all(few, server) == 1
    assert "made for Mia" in finals(few)["one"]
    assert (few / "one_manual.txt").read_bytes() == b"made for Mia"


def test_captions_of_ours_come_back_and_with_the_old_settings_nothing_runs(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    before = texts(few)
    assert caption_all(few, server, anchor="paper style") == 3
    assert len(changed(before, texts(few))) == 6
    assert run_here("undo", few) == 0
    assert texts(few) == before
    assert caption_all(few, server) == 0
    assert texts(few) == before
    assert caption_all(few, server, anchor="paper style") == 3
    assert "paper style" in finals(few)["one"]


def test_each_undo_goes_one_run_further_back_until_nothing_is_left(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / "one.txt", "Otto’s\nword".encode("cp1252"))
    states = [captions_of(few)]
    for job in (
        lambda: run_here("fix-encoding", few),
        lambda: run_here("clean", few),
        lambda: caption_all(few, server),
        lambda: caption_all(few, server),  # which finds all done
        lambda: caption_all(few, server, anchor="paper style"),
    ):
        job()
        states.append(captions_of(few))
    del states[4]
    while states:
        there = states.pop()
        present = captions_of(few)
        assert {name: present[name] for name in there} == there
        lines = said(capsys, 0, "undo", few)
    assert "nothing to undo" in lines[0]
    assert not list(few.rglob("*_manual.txt"))
    before = snapshot(few)
    assert "nothing to undo" in said(capsys, 0, "undo", few)[0]
    assert snapshot(few) == before


def test_a_text_that_was_edited_since_is_left_and_listed(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    write(few / "one.txt", "my own words")
    lines = said(capsys, 0, "undo", few)
    assert lines[0] == "one.txt: was edited since; left as it is"
    assert (few / "one.txt").read_bytes() == b"my own words"
    assert (few / "one_manual.txt").read_bytes() == b"made for Otto"
    assert (few / "two.txt").read_bytes() == b"calm mood"
    caption_all(few, server, anchor="paper style")
    assert (few / "one.txt").read_bytes() == b"my own words"


def test_a_text_that_was_deleted_since_stays_away(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    (few / "one.txt").unlink()
    assert said(capsys, 0, "undo", few)[0] == "one.txt: was deleted since; left so"
    assert not (few / "one.txt").exists()
    assert (few / "one_manual.txt").exists()


def test_a_manual_caption_that_was_edited_since_stays_and_is_merged(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    write(few / "one_manual.txt", "made for Mia")
    lines = said(capsys, 0, "undo", few)
    assert lines[0] == "one_manual.txt: was edited since; left as it is"
    assert (few / "one.txt").read_bytes() == b"made for Otto"
    caption_all(few, server)
    assert {"made for Mia", "made for Otto"} == {
        (few / "one_manual.txt").read_text(),
        (few / "one.txt").read_text(),
    }


def test_a_manual_caption_in_a_folder_of_its_own_is_taken_back_too(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    caption_all(few, server, "--sidecar_dir", str(tmp_path / "side"))
    assert (tmp_path / "side" / "one_manual.txt").exists()
    run_here("undo", few)
    assert not (tmp_path / "side" / "one_manual.txt").exists()
    assert (few / "one.txt").read_bytes() == b"made for Otto"
    caption_all(few, server)
    assert report_of(few)["failed"] == []
    assert "made for Otto" in finals(few)["one"]


def test_texts_of_people_that_overwrite_replaced_come_back_and_are_theirs(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    for name, data in ODD.items():
        write(few / name, data)
    caption_all(few, server, "--overwrite", "all")
    assert any("replaced by" in line for line in said(capsys, 0, "show", few / "one.png"))
    run_here("undo", few)
    assert {name: texts(few)[name] for name in ODD} == ODD
    assert not any("replaced by" in line for line in said(capsys, 0, "show", few / "one.png"))
    caption_all(few, server, anchor="paper style")
    assert {name: texts(few)[name] for name in ODD} == ODD


def test_an_edited_final_that_was_cleaned_comes_back_and_stays_the_persons(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    write(few / "one.txt", "my own,\nin cutout style\n")
    run_here("clean", few)
    shown = said(capsys, 0, "show", few / "one.png")
    assert any("replaced by enhance clean: my own" in line for line in shown)
    run_here("undo", few)
    caption_all(few, server, anchor="paper style")
    assert (few / "one.txt").read_bytes() == b"my own,\nin cutout style\n"


def test_a_dry_run_says_what_would_come_back_and_writes_nothing(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    before = snapshot(few)
    with Lock(few / ".enhance", "another", 0):
        lines = said(capsys, 0, "undo", few, "--dry_run")
    assert lines[:2] == ["one.txt: would come back", "two.txt: would come back"]
    assert lines[2].startswith("2 texts would come back that the run of ")
    assert snapshot(few) == before


def test_undoing_waits_for_no_other_run_and_needs_a_dataset(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no such folder" in refusal(capsys, "undo", tmp_path / "missing")
    with Lock(few / ".enhance", "another", 0):
        assert run_here("undo", few) == 4
    assert "nothing to undo" in said(capsys, 0, "undo", few)[0]
    assert not (few / ".enhance").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_costs_its_files_and_the_same_undo_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captions = {"one": b"annika\nwaving", "sub/two": b"annika\nsitting"}
    folder = captioned(tmp_path / "images", captions)
    clean = ("clean", folder, "--anchor", "annika")
    os.chmod(folder / "sub", 0o555)
    assert said(capsys, 0, *clean)[-1] == "1 cleaned, 0 already clean, 1 listed"
    os.chmod(folder / "sub", 0o755)
    run_here("undo", folder)
    run_here(*clean)
    os.chmod(folder / "sub", 0o555)
    lines = said(capsys, 3, "undo", folder)
    assert lines[0].startswith("sub/two.txt: cannot write")
    assert (folder / "one.txt").read_bytes() == captions["one"]
    os.chmod(folder / "sub", 0o755)
    run_here("undo", folder)
    assert texts(folder) == {f"{stem}.txt": data for stem, data in captions.items()}


def test_a_clock_that_is_set_back_does_not_change_the_order_of_runs(
    few: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = captions_of(few)
    caption_all(few, server)
    first = texts(few)
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() - 10**13)
    caption_all(few, server, anchor="paper style")
    run_here("undo", few)
    assert texts(few) == first
    run_here("undo", few)
    assert {name: texts(few)[name] for name in before} == before
    caption_all(few, server)
    assert texts(few) == first


def test_what_all_processes_of_one_launch_replaced_comes_back_together(
    tmp_path: Path, server: ChatServer
) -> None:
    stems = [f"scene {number:02}" for number in range(16)]
    folder = captioned(tmp_path / "images", {stem: stem.encode() for stem in stems})
    before = texts(folder)
    both = threading.Event()

    def once_both_ask(number: int, body: dict[str, Any]) -> Answer:
        if server.busy == 2:
            both.set()
        both.wait(PATIENCE)  # else the first to start may do all alone
        return merge(number, body)

    server.script = once_both_ask
    flags = ("--dataset_dir", folder, *with_server(server), "--no_generate", "--concurrency", "2")
    ended = run(*flags, launcher=TWO_RANKS)
    server.script = merge
    assert ended.returncode == 0, ended.stderr
    after = texts(folder)
    journals = list((folder / ".enhance").glob("journal.*.jsonl"))
    assert all(b'"waited"' in path.read_bytes() for path in journals)
    assert len(journals) == 2
    assert run_here("undo", folder) == 0
    assert {name: texts(folder)[name] for name in before} == before
    assert run_here(*flags) == 0
    assert texts(folder) == after
    assert len({texts_of(body)["person"] for body in server.requests}) == len(server.requests)


def test_killed_while_it_undoes_and_started_again_it_ends_as_if_undisturbed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stems = [f"scene {number:03}" for number in range(600)]
    folder = many(tmp_path / "images", {s: f"annika,\n{s}".encode() for s in stems})
    before = texts(folder)
    run_here("clean", folder, "--anchor", "annika")
    whole = Path(shutil.copytree(folder, tmp_path / "undisturbed"))
    run_here("undo", whole)
    instants = random.Random(7)
    for _ in range(2):
        left = len(list(folder.glob("*_manual.txt")))
        process = start("undo", folder)
        wait_until(lambda left=left: len(list(folder.glob("*_manual.txt"))) < left)
        time.sleep(instants.uniform(0, 0.02))
        kill_all(process)
        assert set(before.values()) <= set(texts(folder).values())
    assert list(folder.glob("*_manual.txt"))
    assert run_here("undo", folder) == 0
    assert texts(folder) == texts(whole) == before
    assert leftovers(folder) == []
    for each in (folder, whole):
        assert "nothing to undo" in said(capsys, 0, "undo", each)[0]
        assert run_here("clean", each, "--anchor", "annika") == 0
    assert texts(folder) == texts(whole)


def test_a_run_that_was_killed_is_undone_as_far_as_it_came(tmp_path: Path) -> None:
    stems = [f"scene {number:03}" for number in range(600)]
    folder = many(tmp_path / "images", {s: f"annika,\n{s}".encode() for s in stems})
    before = texts(folder)
    process = start("clean", folder, "--anchor", "annika")
    wait_until(lambda: list(folder.glob("*_manual.txt")))
    kill_all(process)
    assert run_here("undo", folder) == 0
    present = texts(folder)
    assert {name: present[name] for name in before} == before
