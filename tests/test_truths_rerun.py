"""Truths 2 and 3: a second run changes nothing; what was made from something else is made anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from doors import FLORENCE, draw_scenes, finals, report_of, run_here, snapshot, with_server
from few import caption_all, changed, long_ago, texts, write
from loopback import Answer, ChatServer, merge
from PIL import Image

DRAFTS = {"one_generated.txt", "two_generated.txt", "sub/three_generated.txt"}
MERGED = {"one_combined.txt", "two_combined.txt", "sub/three_combined.txt"}
FINALS = {"one.txt", "two.txt", "sub/three.txt"}


def made(folder: Path) -> dict[str, int]:
    """How many texts the last run that did anything made, per stage."""
    return {
        stage: counts.get("done", 0)
        for stage, counts in report_of(folder)["stages"].items()
        if counts.get("done")
    }


def test_a_second_run_leaves_every_byte_and_every_time(few: Path, server: ChatServer) -> None:
    write(few / "one.txt", b"made for Otto\r\n")
    write(few / "two.txt", "calm café".encode("cp1252"))
    (few / "broken.png").write_bytes(b"")
    caption_all(few, server)
    before, probes = snapshot(few), server.probes
    assert caption_all(few, server) == 0
    assert caption_all(few, server, "--no_overlap") == 0
    assert snapshot(few) == before
    assert server.probes == probes


def test_a_second_run_needs_neither_server_nor_model(few: Path, tmp_path: Path) -> None:
    model = tmp_path / "florence"
    shutil.copytree(FLORENCE, model)
    with ChatServer() as server:
        flags = with_server(server)
        flags[1] = str(model)
        assert run_here("--dataset_dir", few, *flags) == 0
    shutil.rmtree(model)
    before = snapshot(few)
    assert run_here("--dataset_dir", few, *flags) == 0
    assert snapshot(few) == before


def test_another_anchor_reruns_merge_and_clean_only(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    before = texts(few)
    assert caption_all(few, server, anchor="paper style") == 3
    assert changed(before, texts(few)) == MERGED | FINALS
    assert made(few) == {"combined": 3, "final": 3}
    assert all("paper style" in caption for caption in finals(few).values() if caption)


def test_another_prompt_reruns_drafts_and_what_follows(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    before = texts(few)
    assert caption_all(few, server, "--prompt", "<CAPTION>") == 3
    assert changed(before, texts(few)) >= DRAFTS
    assert made(few) == {"generated": 3, "combined": 3}  # they merge to what was there


def test_another_captioner_reruns_drafts(few: Path, server: ChatServer, tmp_path: Path) -> None:
    caption_all(few, server)
    before = texts(few)
    shutil.copytree(FLORENCE, tmp_path / "another")
    flags = [*with_server(server), "--model_id", tmp_path / "another"]
    assert run_here("--dataset_dir", few, *flags) == 0
    # It draws the same drafts, and a merge of the same texts is the same merge.
    assert made(few) == {"generated": 3}
    assert changed(before, texts(few)) == set()


def test_another_revision_reruns_drafts(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    caption_all(few, server, "--revision", "v2")
    assert made(few) == {"generated": 3}


@pytest.mark.parametrize(
    "flags",
    [["--merge_temperature", "0.5"], ["--model", "other"], ["--max_tokens", "99"]],
    ids=lambda flags: flags[0],
)
def test_another_chat_setting_reruns_merges(
    few: Path, server: ChatServer, flags: list[str]
) -> None:
    caption_all(few, server)
    before = texts(few)
    # A model that the server does not list is tried first.
    assert caption_all(few, server, *flags) == 3 + ("--model" in flags)
    assert made(few) == {"combined": 3}
    assert changed(before, texts(few)) == set()


def test_other_instructions_rerun_merges(few: Path, server: ChatServer, tmp_path: Path) -> None:
    caption_all(few, server)
    write(tmp_path / "system.txt", "Fuse the two texts.")
    flags = ["--system_prompt", str(tmp_path / "system.txt")]
    assert caption_all(few, server, *flags) == 3
    assert caption_all(few, server, *flags) == 0
    write(tmp_path / "system.txt", "Fuse both texts.")
    assert caption_all(few, server, *flags) == 3


@pytest.mark.parametrize(
    "flags",
    [["--batch_size", "1"], ["--concurrency", "2"], ["--no_overlap"], ["--timeout", "9"]],
    ids=lambda flags: flags[0],
)
def test_how_fast_a_run_goes_is_no_reason_to_do_anything_again(
    few: Path, server: ChatServer, flags: list[str]
) -> None:
    caption_all(few, server)
    before = snapshot(few)
    assert caption_all(few, server, *flags) == 0
    assert snapshot(few) == before


def test_another_picture_under_the_same_name_reruns_that_file_alone(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    before = texts(few)
    right = draw_scenes(few, ["one.png"], seed=11)
    assert caption_all(few, server) == 1
    assert changed(before, texts(few)) == {"one_generated.txt", "one_combined.txt", "one.txt"}
    assert (few / "one_generated.txt").read_text() == right["one.png"]


def test_another_picture_of_the_same_size_and_time_is_seen_soon_after_the_first(
    few: Path, server: ChatServer
) -> None:
    bmps = few / "bmps"
    bmps.mkdir()
    draw_scenes(bmps, ["x.bmp"], seed=1)
    os.utime(bmps / "x.bmp")
    status = os.stat(bmps / "x.bmp")
    caption_all(bmps, server)
    with Image.open(bmps / "x.bmp") as image:
        image.transpose(Image.Transpose.ROTATE_180).save(bmps / "x.bmp")
    assert os.stat(bmps / "x.bmp").st_size == status.st_size
    os.utime(bmps / "x.bmp", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert caption_all(bmps, server) == 1


def test_a_touched_picture_reruns_nothing(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    before = texts(few)
    for name in ("one.png", "two.jpg", "sub/three.png"):
        long_ago(few / name)
    assert caption_all(few, server) == 0
    assert made(few) == {"generated": 3, "combined": 3, "final": 3}  # still the first run's report
    assert changed(before, texts(few)) == set()


def test_a_new_picture_is_the_only_one_worked_on(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    before = texts(few)
    draw_scenes(few, ["four.png"], seed=9)
    assert caption_all(few, server) == 1
    ours = {"four_generated.txt", "four_combined.txt", "four.txt"}
    assert changed(before, texts(few)) == ours


def test_a_deleted_text_is_made_again_and_no_other(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    before = texts(few)
    (few / "one_generated.txt").unlink()
    (few / "two.txt").unlink()
    assert caption_all(few, server) == 0
    assert made(few) == {"generated": 1, "final": 1}
    assert texts(few) == before


def test_a_setting_that_is_set_back_brings_the_earlier_captions_back(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    before = texts(few)
    caption_all(few, server, anchor="paper style")
    caption_all(few, server)
    assert texts(few) == before


def test_a_moved_dataset_needs_no_second_run(few: Path, server: ChatServer, tmp_path: Path) -> None:
    caption_all(few, server)
    few.rename(tmp_path / "elsewhere")
    before = snapshot(tmp_path / "elsewhere")
    assert caption_all(tmp_path / "elsewhere", server) == 0
    assert snapshot(tmp_path / "elsewhere") == before


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("I'm sorry, I can't help with that."), "refused"),
        (Answer(""), "empty"),
        (Answer("<think>hm, a circle"), "thinking"),
        (Answer("a red circle in cutout st", finish="length"), "cut off"),
    ],
    ids=["refusal", "empty", "thinking only", "cut off"],
)
def test_an_answer_that_is_no_caption_is_listed_and_not_asked_for_again(
    few: Path, server: ChatServer, answer: Answer, reason: str
) -> None:
    server.script = lambda number, body: answer if "calm mood" in str(body) else merge(number, body)
    # Once more, told what is wrong; one that thinks also with more room, and with less thought.
    assert caption_all(few, server) in (4, 6)
    assert (few / "two.txt").read_bytes() == b"calm mood"
    assert not (few / "two_combined.txt").exists()
    (row,) = report_of(few)["needs_a_person"]
    assert (row["file"], row["stage"], row["text"]) == ("two.jpg", "combined", answer.text)
    assert reason in row["reason"]
    assert report_of(few)["files"] == {"all": 3, "captioned": 2, "needs_a_person": 1}
    before = snapshot(few)
    assert caption_all(few, server) == 0
    assert snapshot(few) == before


def test_a_bad_answer_leaves_the_caption_that_was_published_before(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    before = texts(few)
    server.script = lambda *_: Answer("Sorry, I cannot do that.")
    assert caption_all(few, server, anchor="paper style") == 6
    assert texts(few) == before
    assert report_of(few)["files"] == {"all": 3, "needs_a_person": 3}
    server.script = merge
    assert caption_all(few, server) == 3  # the first settings again: nothing of theirs is left
    assert texts(few) == before


def test_a_picture_that_is_cut_off_costs_itself_alone_and_is_tried_again_when_it_changes(
    few: Path, server: ChatServer
) -> None:
    whole = (few / "one.png").read_bytes()
    Image.open(few / "two.jpg").resize((400, 400)).save(few / "two.jpg")
    jpeg = (few / "two.jpg").read_bytes()
    write(few / "two.jpg", jpeg[: len(jpeg) // 2])
    write(few / "four.png", b"")
    write(few / "five.png", "a note, not a picture")
    assert caption_all(few, server) == 2
    assert finals(few).keys() == {"one", "two", "sub/three"}
    assert finals(few)["two"] == "calm mood"
    rows = {row["file"]: row for row in report_of(few)["failed"]}
    assert rows.keys() == {"two.jpg", "four.png", "five.png"}
    assert {row["stage"] for row in rows.values()} == {"generated"}
    assert "cut off" in rows["two.jpg"]["reason"]
    assert "empty" in rows["four.png"]["reason"]
    assert "not an image" in rows["five.png"]["reason"]

    before = snapshot(few)
    assert caption_all(few, server) == 0
    assert snapshot(few) == before

    write(few / "two.jpg", jpeg)
    write(few / "four.png", whole)
    assert caption_all(few, server) == 2
    assert [row["file"] for row in report_of(few)["failed"]] == ["five.png"]
    assert "calm mood" in finals(few)["two"]
    assert finals(few)["two"] != "calm mood"
