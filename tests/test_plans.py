"""What a run would do, parts of a run, other prompts, exit statuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from doors import CHAT, draw_scenes, finals, report_of, run_here, snapshot, with_server
from few import caption_all, changed, long_ago, refusal, texts, write
from loopback import Answer, ChatServer, merge, texts_of


def plan(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """The lines of a plan, which writes nothing, without those on time and tokens."""
    folder = Path(str(arguments[1]))
    before = snapshot(folder)
    capsys.readouterr()
    assert run_here(*arguments) == 0
    assert snapshot(folder) == before
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if not line.startswith(("  asks", "  time", "  about"))]


def test_a_dry_run_counts_what_would_run_and_needs_neither_model_nor_server(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--model_id", "no/such-model", "--base_url", "http://127.0.0.1:9", "--dry_run")
    assert plan(capsys, "--dataset_dir", few, *flags) == [
        "draft: 3 of 3 files would run",
        "  3 would run: not made yet",
        "merge: 3 of 3 files would run",
        "  3 would run: not made yet",
        "clean: 3 of 3 files would run",
        "  3 would run: not made yet",
        "Nothing was written.",
    ]
    assert not (few / ".enhance").exists()


def test_a_dry_run_after_a_run_tells_why_files_would_run_again(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    flags = ("--dataset_dir", few, *with_server(server, "paper style"), "--dry_run")
    write(few / "one_combined.txt", "a pink moon in paper style")
    assert plan(capsys, *flags) == [
        "draft: 0 of 3 files would run",
        "  3 kept: up to date",
        "merge: 2 of 3 files would run",
        "  2 would run: anchor, prompt changed",
        "  1 kept: written by hand",
        "clean: 3 of 3 files would run",
        "  2 would run: the merge before it is made anew",
        "  1 would run: combined, anchor changed",
        "Nothing was written.",
    ]
    assert len(server.requests) == 3


def test_explain_says_of_every_file_what_would_run_and_why(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / "broken.png", "no picture")
    caption_all(few, server)
    write(few / "one_manual.txt", "made for Mia")
    (few / "two_generated.txt").unlink()
    write(few / "sub" / "three.txt", "my own words")
    draw_scenes(few, ["zoo.png"])
    flags = ("--dataset_dir", few, *with_server(server), "--explain")
    assert plan(capsys, *flags)[:15] == [
        "broken.png",
        "  draft: failed before: it holds text, not an image",
        "one.png",
        "  draft: kept: up to date",
        "  merge: would run: manual changed",
        "  clean: would run: the merge before it is made anew",
        "sub/three.png",
        "  draft: kept: up to date",
        "  merge: kept: up to date",
        "  clean: kept: written by hand",
        "two.jpg",
        "  draft: would run: its text is gone",
        "  merge: would run: the draft before it is made anew",
        "  clean: would run: the merge before it is made anew",
        "zoo.png",
    ]


def test_explain_says_that_the_picture_or_the_model_changed(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    draw_scenes(few, ["one.png"], seed=11)
    long_ago(few / "two.jpg")
    told = plan(capsys, "--dataset_dir", few, *with_server(server), "--explain")
    assert "  draft: would run: media changed" in told
    assert told.count("  draft: kept: up to date") == 2
    flags = [*with_server(server), "--model_id", "no/such-model", "--prompt", "<CAPTION>"]
    told = plan(capsys, "--dataset_dir", few, *flags, "--explain")
    assert told.count("  draft: would run: model, prompt changed") == 2


def test_a_plan_without_a_journal_knows_our_finals(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    caption_all(few, server)
    for path in (few / ".enhance").iterdir():
        path.unlink()
    told = plan(capsys, "--dataset_dir", few, *with_server(server), "--dry_run")
    assert "clean: 0 of 3 files would run" in told


def test_a_run_can_stop_after_the_drafts_and_go_on_later(few: Path, server: ChatServer) -> None:
    assert caption_all(few, server, "--until", "generated") == 0
    assert server.probes == 0
    written = {"one.txt", "two.txt"}
    drafts = {"one_generated.txt", "two_generated.txt", "sub/three_generated.txt"}
    assert texts(few).keys() == written | drafts
    before = texts(few)
    assert caption_all(few, server, "--until", "combined") == 3
    merged = {"one_combined.txt", "two_combined.txt", "sub/three_combined.txt"}
    assert changed(before, texts(few)) == merged
    assert caption_all(few, server) == 0
    assert (few / "one_manual.txt").read_bytes() == b"made for Otto"
    assert finals(few).keys() == {"one", "two", "sub/three"}


def test_without_drafts_the_manual_captions_alone_are_merged_and_files_without_are_listed(
    few: Path, server: ChatServer
) -> None:
    write(few / "two.txt", " \n")
    assert caption_all(few, server, "--no_generate") == 1
    assert texts_of(server.requests[0]) == {
        "person": "made for Otto",
        "draft": "",
        "anchor": "cutout style",
    }
    assert finals(few)["one"] == "cutout style, made for Otto"
    rows = report_of(few)["failed"]
    assert [(row["file"], row["stage"]) for row in rows] == [
        ("sub/three.png", "combined"),
        ("two.jpg", "combined"),
    ]
    assert "no manual caption" in rows[0]["reason"]
    before = snapshot(few)
    assert caption_all(few, server, "--no_generate") == 0
    assert snapshot(few) == before
    write(few / "two.txt", "calm mood")
    assert caption_all(few, server, "--no_generate") == 1


def test_no_drafts_and_nothing_but_drafts_is_refused(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--dataset_dir", few, "--no_generate", "--until", "generated")
    assert "leave nothing to do" in refusal(capsys, *flags)


def test_a_system_prompt_of_ones_own_replaces_the_instructions(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    write(tmp_path / "system.txt", "\ufeffWrite one caption for {anchor}.\n")
    caption_all(few, server, "--system_prompt", str(tmp_path / "system.txt"))
    for body in server.requests:
        assert body["messages"][0] == {
            "role": "system",
            "content": "Write one caption for {anchor}.",
        }
        assert texts_of(body)["anchor"] == "cutout style"


def test_a_system_prompt_that_is_missing_or_empty_is_refused(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "empty.txt", " \n")
    for file in (tmp_path / "empty.txt", tmp_path / "missing.txt", tmp_path):
        assert str(file) in refusal(capsys, "--dataset_dir", few, "--system_prompt", file)
    assert not (few / ".enhance").exists()


def test_a_prompts_folder_overrides_a_type_and_adds_one(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    policy = 'what = "{}"\ndescribe = ["clouds"]\nomit = ["birds"]\nsentences = [1, 1]\n'
    mine = tmp_path / "prompts"
    mine.mkdir()
    write(mine / "style.toml", policy.format("my style"))
    write(mine / "weather.toml", policy.format("the weather"))
    write(mine / "weather.j2", '{% extends "base.j2" %}\n{% block purpose %}Look up.{% endblock %}')
    caption_all(few, server, "--prompts_dir", str(mine))
    system = server.requests[-1]["messages"][0]["content"]
    assert "LoRA of my style" in system
    assert "- birds" in system
    caption_all(few, server, "--prompts_dir", str(mine), "--lora_type", "weather")
    system = server.requests[-1]["messages"][0]["content"]
    assert "LoRA of the weather" in system
    assert "Look up." in system


def test_prompts_that_cannot_be_used_are_refused(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "prompts"
    flags = ("--dataset_dir", few, "--prompts_dir", mine)
    assert "no such folder" in refusal(capsys, *flags)
    mine.mkdir()
    write(mine / "weather.toml", 'what = "the weather"\n')
    line = refusal(capsys, *flags, "--lora_type", "wether")
    assert "character, motion, object, style, weather" in line
    for name in ("../style", "/etc/passwd"):
        assert "is none of" in refusal(capsys, "--dataset_dir", few, "--lora_type", name)
    assert run_here(*flags, "--lora_type", "weather") == 4
    assert "weather.toml: the policy lacks" in capsys.readouterr().err


def test_a_run_exits_with_0_and_under_strict_with_3_if_a_file_needs_a_person(
    few: Path, server: ChatServer
) -> None:
    flags = ("--dataset_dir", few, *with_server(server))
    assert run_here(*flags, "--strict") == 0
    write(few / "broken.png", b"")
    assert run_here(*flags) == 0
    assert run_here(*flags, "--strict") == 3
    (few / "broken.png").unlink()
    assert run_here(*flags, "--strict") == 0
    server.script = lambda *_: Answer("")
    flags = ("--dataset_dir", few, *with_server(server, "paper style"))
    assert run_here(*flags, "--strict") == 3
    server.script = merge


@pytest.mark.parametrize(
    "flags",
    [
        ("--base_url", "http://127.0.0.1:9/v1"),
        ("--base_url", "https://example.com/v1"),
        ("--model_id", "./no-such-folder", "--model", str(CHAT)),
        ("--model", "./no-such-folder"),
    ],
    ids=["unreachable", "no key", "no captioner", "no chat model"],
)
def test_a_server_or_model_that_cannot_be_had_ends_the_run_with_4_and_one_line(
    few: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    before = snapshot(few)
    assert run_here("--dataset_dir", few, "--anchor", "x", *flags) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert flags[1].removeprefix("./") in line
    assert snapshot(few) == before


@pytest.mark.parametrize("flags", [[], ["--dry_run"]])
def test_a_text_that_cannot_be_read_costs_its_file_alone(
    few: Path, server: ChatServer, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (few / "one_generated.txt").mkdir()
    assert run_here("--dataset_dir", few, *with_server(server), *flags) == 0
    assert "one_generated.txt: Is a directory" in capsys.readouterr().out
    assert len(server.requests) == (0 if flags else 2)
