"""Files with nothing left to do are passed by on one line of the journal, and never wrongly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from doors import draw_scenes, report_of, run_here, snapshot, with_server
from few import caption_all, said, texts, write
from loopback import Answer, ChatServer


def lines_of(folder: Path) -> list[str]:
    return (folder / ".enhance" / "journal.0.jsonl").read_text().splitlines(keepends=True)


def without_digests(folder: Path) -> None:
    """As a run of an earlier version, or one that was killed, would have left the journal."""
    lines = [line for line in lines_of(folder) if '"settled"' not in line]
    assert len(lines) < len(lines_of(folder))
    (folder / ".enhance" / "journal.0.jsonl").write_text("".join(lines))


def told(folder: Path) -> dict[str, Any]:
    """What a report says of the files, apart from what this run did for them."""
    report = report_of(folder)
    return {name: report[name] for name in ("files", "notes", "ledger", "needs_a_person")}


def notes_and_inventions(server: ChatServer) -> None:
    """Merges that have something to be told of them."""
    server.script = lambda *_: Answer("a red moon and a castle in cutout style for Otto")


def test_each_file_is_noted_once_when_all_its_captions_stand(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    noted = [json.loads(line)["media"] for line in lines_of(few) if '"settled"' in line]
    assert sorted(noted) == ["one.png", "sub/three.png", "two.jpg"]
    caption_all(few, server, anchor="paper style")
    assert sum('"settled"' in line for line in lines_of(few)) == 6


def test_a_journal_without_digests_is_read_as_before_and_left_as_it_is(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    without_digests(few)
    before = snapshot(few)
    assert caption_all(few, server) == 0
    assert snapshot(few) == before


def test_a_moved_dataset_is_as_settled_as_before(
    few: Path, server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    moved = tmp_path / "elsewhere"
    few.rename(moved)
    before = snapshot(moved)
    assert caption_all(moved, server) == 0
    assert snapshot(moved) == before


@pytest.mark.parametrize("ending", ["_manual", "_generated", "_combined", ""])
def test_a_text_edited_since_is_noticed(few: Path, server: ChatServer, ending: str) -> None:
    caption_all(few, server)
    path = few / f"one{ending}.txt"
    write(path, path.read_bytes().replace(b"o", b"u"))  # as long as before
    edited = path.read_bytes()
    asked = caption_all(few, server)
    assert asked == (1 if ending in ("_manual", "_generated") else 0)
    assert path.read_bytes() == edited


def test_what_is_told_of_settled_files_is_what_a_longer_look_tells(
    few: Path, server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes_and_inventions(server)
    caption_all(few, server)
    other = tmp_path / "other"
    shutil.copytree(few, other)
    without_digests(other)
    for folder in (few, other):
        draw_scenes(folder, ["zoo.png"], seed=7)
        caption_all(folder, server)
    assert told(few)["ledger"]["files"]
    assert told(few) == told(other)
    summaries = [
        said(capsys, 0, "--dataset_dir", folder, *with_server(server), *more)
        for folder in (few, other)
        for more in ((), ("--explain",))
    ]
    assert summaries[0][1:] == summaries[2][1:]
    assert summaries[1] == summaries[3]


def test_lines_of_two_ranks_about_one_file_are_one_memory(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    caption_all(few, server, anchor="paper style")
    lines = lines_of(few)
    half = len(lines) // 2  # the first run by one rank, the second by another
    (few / ".enhance" / "journal.0.jsonl").write_text("".join(lines[half:]))
    (few / ".enhance" / "journal.1.jsonl").write_text("".join(lines[:half]))
    before = snapshot(few)
    assert caption_all(few, server, anchor="paper style") == 0
    assert snapshot(few) == before
    assert caption_all(few, server) == 3


def test_a_line_cut_by_a_kill_costs_nothing_but_itself(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    journal = few / ".enhance" / "journal.0.jsonl"
    with open(journal, "ab") as file:
        file.write(b'{"path":"one_generated.txt","key":"media=')
    before = snapshot(few)
    assert caption_all(few, server) == 0
    assert snapshot(few) == before
    assert caption_all(few, server, anchor="paper style") == 3
    assert caption_all(few, server, anchor="paper style") == 0


def test_what_was_undone_is_not_taken_for_settled(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    first = texts(few)
    caption_all(few, server, anchor="paper style")
    assert run_here("undo", few) == 0
    assert texts(few) == first
    assert caption_all(few, server) == 0
    assert run_here("undo", few) == 0
    assert (few / "one.txt").read_text() == "made for Otto"
    assert not (few / "one_manual.txt").exists()
    caption_all(few, server)
    assert (few / "one_manual.txt").read_text() == "made for Otto"


def test_names_with_quotes_and_of_any_letters_are_told_apart(
    tmp_path: Path, server: ChatServer
) -> None:
    names = ['say "a".png', 'say "b".png', "ä.png", "a_b.png", "a.b.png", "x\\y.png"]
    draw_scenes(tmp_path, names)
    assert caption_all(tmp_path, server) == len(names)
    before = snapshot(tmp_path)
    assert caption_all(tmp_path, server) == 0
    assert snapshot(tmp_path) == before
    write(tmp_path / 'say "a"_manual.txt', "made for Mia")
    assert caption_all(tmp_path, server) == 1
