"""`enhance check DIR`: captions, their files, the set, and what trainers make of them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from doors import run, run_here, snapshot, start
from few import caption_all, refusal, write
from loopback import ChatServer

GOOD = "a medium shot of annika leaning over a table and laughing, seen from the side"


@pytest.fixture
def one(tmp_path: Path, few: Path) -> Path:
    """A folder with one picture and a caption that nothing is wrong with."""
    folder = tmp_path / "one"
    folder.mkdir()
    add(folder, few, "a", GOOD)
    return folder


def add(folder: Path, few: Path, name: str, caption: str | bytes | None) -> None:
    """A picture called `name`, with its caption if it has one."""
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(few / "one.png", path)
    if caption is not None:
        write(path.with_suffix(".txt"), caption)


def told(capsys: pytest.CaptureFixture[str], status: int, *arguments: object) -> list[str]:
    """What check says on stdout; it ends with `status`."""
    capsys.readouterr()
    assert run_here("check", "--anchor", "annika", *arguments) == status
    return capsys.readouterr().out.splitlines()


def found(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """What check says in JSON; its status fits what it found."""
    capsys.readouterr()
    status = run_here("check", "--anchor", "annika", "--format", "json", *arguments)
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert status == (3 if answer["problems"] else 0)
    return answer


def labels(answer: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [row["label"] for row in rows] for name, rows in answer["files"].items()}


def of_the_set(answer: dict[str, Any], label: str) -> list[str]:
    return [row["message"] for row in answer["set"]["findings"] if row["label"] == label]


def of_trainer(answer: dict[str, Any], name: str) -> list[str]:
    return [row["message"] for row in answer["files"].get(name, ()) if row["label"] == "trainer"]


def test_check_finds_nothing_wrong_with_good_captions_and_writes_nothing(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(one)
    assert told(capsys, 0, one) == ["no problems found"]
    assert snapshot(one) == before


def test_check_finds_no_fault_in_the_files_of_a_run(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    answer = found(capsys, few, "--anchor", "cutout style", "--lora_type", "style")
    of_files = {"not_utf8", "bom", "empty", "multiline", "trailing_newline", "missing_caption"}
    assert not of_files.intersection(answer["problems"])
    assert "missing_anchor" not in answer["problems"]


@pytest.mark.parametrize(
    ("caption", "label"),
    [
        (f"{GOOD} at Otto’s".encode("cp1252"), "not_utf8"),
        (b"\xef\xbb\xbf" + GOOD.encode(), "bom"),
        (b" \n", "empty"),
        (b"", "empty"),
        (f"{GOOD}\n\n{GOOD}", "multiline"),
        (f"{GOOD}\r\n", "trailing_newline"),
        (f"{GOOD} beside [name]", "placeholder"),
        (f"{GOOD} beside {{CHARACTER_NAME}}", "placeholder"),
        (f"{GOOD} with {{red|blue}} cards", "wildcard_syntax"),
        (f"{GOOD} ||| outdoors", "wildcard_syntax"),
        (f"{GOOD} ;;; outdoors", "wildcard_syntax"),
        (f"{GOOD} {{ outdoors", "wildcard_syntax"),
        (f"{GOOD} and {'more and ' * 300}on", "token_budget"),
        (None, "missing_caption"),
    ],
)
def test_check_finds_what_is_wrong_with_a_file(
    one: Path, few: Path, caption: bytes | None, label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, "b", caption)
    assert label in labels(found(capsys, one)).get("b.png", [])


def test_braces_that_are_doubled_for_sd_scripts_are_left_alone(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(one / "a.txt", f"{GOOD} with a card that says {{{{sale}}}}")
    assert "wildcard_syntax" not in found(capsys, one)["problems"]


def test_the_longest_caption_is_that_of_the_named_encoder(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(one / "a.txt", GOOD + ", with a friend at her side" * 12)
    for limit, status in (("clip", 3), ("60", 3), ("qwen-image", 0), ("t5", 0)):
        told(capsys, status, one, "--target_tokens", limit, "--fail_on", "token_budget")
    told(capsys, 3, one, "--trainer", "sd-scripts", "--fail_on", "token_budget")
    assert "clap" in refusal(capsys, "check", one, "--target_tokens", "clap")


def test_a_caption_that_cannot_be_read_costs_its_file(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, "b", None)
    (one / "b.txt").mkdir()
    assert labels(found(capsys, one)) == {"b.png": ["unreadable"]}


def test_captions_without_a_picture_and_pictures_of_one_name_are_told(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(one / "gone.txt", GOOD)
    shutil.copy(few / "two.jpg", one / "a.jpg")
    answer = found(capsys, one)
    assert labels(answer) == {"a.png": ["stem_collision"], "gone.txt": ["orphan_caption"]}
    assert "a.jpg and a.png" in answer["files"]["a.png"][0]["message"]


@pytest.mark.skipif(sys.platform == "darwin", reason="there the two names are one")
def test_a_caption_whose_name_has_another_unicode_form_is_told(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, "cafe\u0301", None)
    write(one / "caf\u00e9.txt", GOOD)
    answer = found(capsys, one)
    (row,) = answer["files"]["caf\u00e9.txt"]
    assert "Unicode form" in row["message"]


def test_only_captions_of_the_extension_that_trainers_read_can_be_orphans(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("notes.txt", "a.TXT", "gone.Caption"):
        write(one / name, GOOD)
    answer = found(capsys, one)
    assert set(labels(answer)) == {"a.TXT", "notes.txt"}
    (one / "a.txt").rename(one / "a.caption")
    answer = found(capsys, one, "--caption_extension", ".caption")
    assert set(labels(answer)) == {"gone.Caption"}


def test_offending_words_are_marked_in_their_caption(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(one / "a.txt", f"{GOOD}, {{red|blue}}\nwith \x1b[2J cards")
    lines = told(capsys, 3, one)
    (line,) = (line for line in lines if line.startswith("a.png: "))
    assert line.startswith(f"a.png: {GOOD}, >>{{red|blue}}<< with ")
    assert "\x1b" not in line


def test_a_table_by_problem_comes_first(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("b", "c"):
        add(one, few, name, None)
    write(one / "a.txt", f"{GOOD}\n")
    first, second, *_, last = told(capsys, 3, one)
    assert first.split() == [
        "2",
        "missing_caption",
        *["a", "picture", "or", "video", "without", "a", "caption"],
    ]
    assert second.split() == ["1", "trailing_newline", *["ends", "with", "a", "line", "break"]]
    assert last == "3 files have problems"


def test_files_of_a_large_set_are_told_up_to_a_number(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        add(one, few, f"b{number}", None)
    lines = told(capsys, 3, one, "--limit_files", "1")
    assert "b0.png" in lines
    assert "b1.png" not in lines
    assert any(line.startswith("… and 2 more files") for line in lines)
    assert "b2.png" in told(capsys, 3, one, "--limit_files", "0")
    assert len(found(capsys, one, "--limit_files", "1")["files"]) == 3


def test_only_the_problems_that_are_named_fail(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, "b", GOOD)
    write(one / "a.txt", f"{GOOD}\n")
    told(capsys, 3, one)
    told(capsys, 0, one, "--fail_on", "bom,empty")
    told(capsys, 3, one, "--fail_on", "bom, trailing_newline")
    told(capsys, 3, one, "--fail_on", "near_identical")
    line = refusal(capsys, "check", one, "--fail_on", "trailing_newlin")
    assert "did you mean trailing_newline?" in line


def test_a_common_word_as_the_anchor_is_told_once_of_the_dataset(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(one / "a.txt", GOOD.replace("annika", "girl"))
    add(one, few, "b", "a close up of girl glancing over one shoulder")
    answer = found(capsys, one, "--anchor", "girl")
    assert labels(answer) == {".": ["generic_anchor"]}


def test_a_phrase_in_most_captions_is_told_and_fails_only_if_named(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, act in enumerate(["reading", "running", "jumping", "sleeping", "singing"]):
        text = f"a medium shot of annika {act} beside the old piano"
        add(one, few, f"b{number}", text)
    answer = found(capsys, one)
    (message,) = of_the_set(answer, "common_phrase")
    assert message.startswith('"old piano" is in 83 %')
    told(capsys, 0, one)
    told(capsys, 3, one, "--fail_on", "common_phrase")


def test_near_identical_captions_are_told_together(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, "b", GOOD.replace("laughing", "smiling"))
    add(one, few, "c", GOOD.replace("table", "green table"))
    add(one, few, "d", "a close up of annika glancing over one shoulder")
    (finding,) = (
        row for row in found(capsys, one)["set"]["findings"] if row["label"] == "near_identical"
    )
    assert finding["names"] == ["a.png", "b.png", "c.png"]


def test_captions_that_differ_in_their_view_are_told_apart_by_it(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, "b", GOOD.replace("a medium shot", "a close up"))
    add(one, few, "c", GOOD.replace("from the side", "from above"))
    assert of_the_set(found(capsys, one), "near_identical") == []


def test_spellings_of_the_anchor_are_counted(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, "b", GOOD.replace("annika", "Annika"))
    (message,) = of_the_set(found(capsys, one), "anchor_spellings")
    assert '"annika" 1, "Annika" 1' in message


def test_traits_are_held_against_what_the_drafts_see(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one / "a.png").unlink()
    (one / "a.txt").unlink()
    for number, act in enumerate(["reading", "running", "jumping", "sleeping", "singing"]):
        add(one, few, f"b{number}", f"a medium shot of annika {act} with blue eyes")
        hair = ("red", "black", "blonde")[number % 3]
        write(one / f"b{number}_generated.txt", f"a woman with {hair} hair, {act}")
    answer = found(capsys, one)
    (constant,) = of_the_set(answer, "constant_trait")
    assert constant.startswith("eyes is ")
    (untagged,) = of_the_set(answer, "untagged_trait")
    assert untagged.startswith("hair varies in the drafts")


def test_lengths_and_what_prompts_will_ask_for_are_told(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, "b", "annika laughing")
    add(one, few, "c", "a close up of annika climbing a ladder")
    answer = found(capsys, one)
    assert answer["set"]["lengths"]["fewest"] == 2
    assert answer["set"]["lengths"]["most"] == 15
    assert {"phrase": "laughing", "count": 2, "of": 3} in answer["set"]["promptable"]
    assert any("laughing 66 %" in line for line in told(capsys, 3, one))


def test_sd_scripts_reads_other_extensions_and_falls_back_to_shorter_stems(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, "a_b_c_d_e", None)
    add(one, few, "sub/d", GOOD)
    answer = found(capsys, one, "--trainer", "sd-scripts")
    assert "a.txt in its place" in of_trainer(answer, "a_b_c_d_e.png")[0]
    assert "subfolders" in of_trainer(answer, "sub/")[0]
    assert 'caption_extension = ".txt"' in of_the_set(answer, "trainer")[0]
    write(one / "a.txt", "")
    assert "AssertionError" in "\n".join(told(capsys, 3, one, "--trainer", "sd-scripts"))


def test_what_only_the_settings_must_say_fails_nothing(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, 0, one, "--trainer", "sd-scripts")
    told(capsys, 3, one, "--trainer", "sd-scripts", "--fail_on", "trainer")


def test_musubi_tuner_drops_pictures_without_captions(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, "b", None)
    (row,) = found(capsys, one, "--trainer", "musubi-tuner")["files"]["b.png"]
    assert "musubi-tuner drops the picture in silence" in row["message"]


def test_ai_toolkit_fills_its_own_placeholders(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(one / "a.txt", GOOD.replace("annika", "[trigger]"))
    answer = found(capsys, one, "--trainer", "ai-toolkit")
    assert answer["problems"] == {}
    assert "1 caption " in of_the_set(answer, "trainer")[0]
    assert found(capsys, one, "--trainer", "musubi-tuner")["problems"] == {"placeholder": 1}


def test_files_of_macos_are_told_with_what_trainers_make_of_them(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(one / "._a.png", b"\0\5\x16\7")
    for trainer in ("onetrainer", "simpletuner", "diffusion-pipe"):
        assert of_trainer(found(capsys, one, "--trainer", trainer), "._a.png")
    run_here("check", one)
    assert "._a.png" in capsys.readouterr().err


def test_simpletuner_looks_behind_dots(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(one, few, ".thumbnails/deep/a", None)
    answer = found(capsys, one, "--trainer", "simpletuner")
    assert "1 picture" in of_trainer(answer, ".thumbnails/")[0]
    assert not found(capsys, one, "--trainer", "onetrainer")["problems"]


def test_diffusion_pipe_takes_stray_files_for_media(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("captions.json", "set.tar", "notes.md", "cache.npz"):
        write(one / name, b"{}")
    write(one / "a.txt", f"{GOOD} in a café")
    answer = found(capsys, one, "--trainer", "diffusion-pipe")
    assert "in place of every .txt" in of_trainer(answer, "captions.json")[0]
    assert "as a dataset" in of_trainer(answer, "set.tar")[0]
    assert of_trainer(answer, "notes.md")
    assert not of_trainer(answer, "cache.npz")
    assert "PYTHONUTF8=1" in of_the_set(answer, "trainer")[0]


@pytest.mark.parametrize(
    ("trainer", "unseen"),
    [
        ("ai-toolkit", {"g.gif", "h.heic", "t.tif", "v.avif"}),
        ("sd-scripts", {"g.gif", "h.heic", "t.tif", "v.avif"}),
        ("musubi-tuner", {"g.gif", "h.heic", "t.tif"}),
        ("onetrainer", {"g.gif", "h.heic"}),
        ("simpletuner", {"h.heic"}),
        ("diffusion-pipe", set()),
    ],
)
def test_pictures_that_a_trainer_does_not_see_are_told(
    one: Path, capsys: pytest.CaptureFixture[str], trainer: str, unseen: set[str]
) -> None:
    names = {"g.gif", "h.heic", "t.tif", "v.avif", "w.WEBP"}
    for name in names:
        write(one / name, b"the bytes do not matter here")
        write(one / f"{name[0]}.txt", GOOD)
    answer = found(capsys, one, "--trainer", trainer)
    told_of = {name for name in names if any("not see" in row for row in of_trainer(answer, name))}
    assert told_of == unseen


def test_a_trainer_that_reads_one_extension_is_told(
    one: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (one / "a.txt").rename(one / "a.caption")
    answer = found(capsys, one, "--caption_extension", "caption", "--trainer", "onetrainer")
    assert of_trainer(answer, ".") == ["OneTrainer reads .txt files only, not .caption"]


def test_show_tells_what_is_wrong_with_a_final_caption(
    one: Path, few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(one / "a.txt", "I'm sorry, I can't help with that.\n")
    capsys.readouterr()
    assert run_here("show", one / "a.png") == 0
    shown = capsys.readouterr().out
    assert "trailing_newline: " in shown
    assert "refusal: " in shown
    caption_all(few, server)
    write(few / "one.txt", "a cat on a wall, close up")
    capsys.readouterr()
    assert run_here("show", few / "one.png") == 0
    assert 'missing_anchor: the anchor "cutout style" is missing' in capsys.readouterr().out


def test_what_carries_grammar_alone_is_not_among_what_prompts_can_ask_for(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, act in enumerate(["reading", "running", "jumping", "sleeping"]):
        said = "only the first, can't stop" if number % 2 else "next to a lamp"
        add(one, few, f"b{number}", f"a medium shot of annika {act}, {said}")
    asked = {row["phrase"] for row in found(capsys, one)["set"]["promptable"]}
    assert not asked & {"only", "first", "can't", "next"}
    assert "lamp" in asked


def test_captions_that_a_run_published_elsewhere_are_checked_there(
    one: Path, few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(one, tmp_path / "out")
    write(one / "a.txt", "mine")
    assert not found(capsys, one, "--output_dir", tmp_path / "out")["problems"]


def test_a_terminal_of_another_encoding_is_told_all_the_same(one: Path) -> None:
    write(one / "a.txt", "日本の annika を描く")
    done = run("check", one, "--anchor", "annika", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are of Unix")
@pytest.mark.parametrize("asked", ["", "1"])
def test_words_are_in_colour_on_a_terminal_unless_asked_not_to(one: Path, asked: str) -> None:
    import pty

    write(one / "a.txt", f"{GOOD}, {{red|blue}}")
    ours, theirs = pty.openpty()
    environment = {"NO_COLOR": asked, "TERM": "xterm"}
    process = start("check", one, "--anchor=annika", stdout=theirs, env=environment)
    assert process.wait(60) == 3
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert ("\x1b[1;31m{red|blue}\x1b[0m" in shown) == (not asked)
    assert (">>{red|blue}<<" in shown) == bool(asked)


def test_check_of_no_dataset_is_refused(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no such folder" in refusal(capsys, "check", tmp_path / "missing")
    assert "wether" in refusal(capsys, "check", few, "--lora-type", "wether")
    assert "kohya" in refusal(capsys, "check", few, "--trainer", "kohya")


def test_a_reader_that_has_seen_enough_ends_nothing_in_a_traceback(few: Path) -> None:
    for number in range(300):
        shutil.copy(few / "one.png", few / f"{number}.png")
    process = start("check", few, "--anchor", "annika", "--limit_files", "0")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 3
    assert "Traceback" not in process.stderr.read()


def test_videos_are_checked_as_pictures_are(
    one: Path, few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(one / "clip.mp4", "a video")
    write(one / "clip.txt", GOOD)
    write(one / "silent.webm", "another one")
    files = found(capsys, one)["files"]
    assert [row["label"] for row in files["silent.webm"]] == ["missing_caption"]
    assert "clip.mp4" not in files
    files = found(capsys, one, "--trainer", "sd-scripts", "--caption_extension", ".txt")["files"]
    assert "sd-scripts does not see .mp4 videos" in files["clip.mp4"][0]["message"]
    files = found(capsys, one, "--trainer", "musubi-tuner")["files"]
    assert "clip.mp4" not in files
    assert "stops where it is a video" in files["silent.webm"][0]["message"]
