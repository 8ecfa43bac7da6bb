"""The first room: which pictures are found, what is refused, how captions are read."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import pytest
from doors import draw_scenes, local_models, report_of, run_here, snapshot, with_server
from few import caption_all, refusal, texts, write
from loopback import ChatServer, texts_of
from PIL import Image


def planned(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """The files that a run would work on."""
    capsys.readouterr()
    assert run_here(*arguments, "--until", "generated", "--explain") == 0
    lines = capsys.readouterr().out.splitlines()
    return [
        line for line in lines if "." in line and not line.startswith((" ", "draft", "Nothing"))
    ]


def test_pictures_and_videos_are_found_by_extension_in_any_case_and_sorted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [
        *("a.PNG", "b.Jpg", "c.JPEG", "d.webp", "e.BMP", "f.avif", "g.GIF"),
        *("h.Tif", "i.TIFF", "j.jfif", "sub/deeper/h.png", "z.png"),
    ]
    videos = ["v.mp4", "v2.WebM", "v3.MOV", "w.avi", "x.mkv"]
    draw_scenes(tmp_path, names)
    for video in videos:
        write(tmp_path / video, "of one")
    names = sorted((*names, *videos))
    for other in ("notes.md", "clip.mpg", "i.psd", "j.png.bak", "png", "k.txt"):
        write(tmp_path / other, "not a picture")
    assert planned(capsys, "--dataset_dir", tmp_path) == names


def test_subfolders_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_scenes(tmp_path, ["a.png", "sub/b.png"])
    assert planned(capsys, "--dataset_dir", tmp_path, "--no_recursive") == ["a.png"]


def test_hidden_folders_and_files_are_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path, ["a.png", ".thumbs/b.png", "sub/.git/c.png"])
    write(tmp_path / "._a.png", "what macOS leaves")
    write(tmp_path / "sub" / "._x.png", "what macOS leaves")
    assert planned(capsys, "--dataset_dir", tmp_path) == ["a.png"]


def test_a_hidden_folder_that_is_named_is_captioned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path / ".hidden", ["a.png"])
    assert planned(capsys, "--dataset_dir", tmp_path / ".hidden") == ["a.png"]


def test_a_folder_with_the_name_of_a_picture_is_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path, ["a.png/b.png"])
    assert planned(capsys, "--dataset_dir", tmp_path) == ["a.png/b.png"]


def test_links_that_form_a_circle_are_followed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path, ["a.png", "sub/b.png"])
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "sub" / "self").symlink_to(tmp_path / "sub")
    (tmp_path / "also").symlink_to(tmp_path / "sub")
    assert planned(capsys, "--dataset_dir", tmp_path) == ["a.png", "sub/b.png"]


def test_a_link_to_nothing_costs_that_file_alone(few: Path, server: ChatServer) -> None:
    (few / "gone.png").symlink_to(few / "nothing.png")
    (few / "itself.png").symlink_to(few / "itself.png")
    assert caption_all(few, server) == 3
    assert [row["file"] for row in report_of(few)["failed"]] == ["gone.png", "itself.png"]


def test_a_gif_is_captioned_by_its_first_frame(few: Path, server: ChatServer) -> None:
    right = draw_scenes(few, ["seen.png", "other.png"], seed=8)
    with Image.open(few / "seen.png") as first, Image.open(few / "other.png") as second:
        first.save(few / "moving.gif", save_all=True, append_images=[second], duration=100)
    caption_all(few, server, "--until", "generated")
    assert (few / "moving_generated.txt").read_text() == right["seen.png"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.png", "a.jpg"),
        ("sub/a.png", "sub/a.PNG"),
        ("Otto.png", "otto.webp"),
        ("Straße.png", "STRASSE.png"),
        (unicodedata.normalize("NFC", "été.png"), unicodedata.normalize("NFD", "été.png")),
    ],
    ids=["extensions", "extension case", "case", "folded case", "Unicode form"],
)
def test_two_pictures_that_would_share_a_caption_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: str, second: str
) -> None:
    draw_scenes(tmp_path, [first, second])
    if len([path for path in tmp_path.rglob("*") if path.suffix]) == 1:
        pytest.skip("this disk takes the two names for one")
    before = snapshot(tmp_path)
    line = refusal(capsys, "--dataset_dir", tmp_path)
    assert first in line
    assert second in line
    assert "caption file" in line
    assert snapshot(tmp_path) == before


def test_the_same_name_in_two_folders_is_two_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path, ["a.png", "sub/a.jpg"])
    assert planned(capsys, "--dataset_dir", tmp_path) == ["a.png", "sub/a.jpg"]


@pytest.mark.parametrize("suffix", ["_manual", "_generated", "_combined"])
def test_a_picture_named_like_a_sidecar_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    draw_scenes(tmp_path, ["a.png", f"a{suffix}.png"])
    line = refusal(capsys, "--dataset_dir", tmp_path)
    assert f"a{suffix}.png" in line
    assert "a.png" in line.replace(f"a{suffix}.png", "")
    (tmp_path / "a.png").unlink()
    assert f"a{suffix}.png" in refusal(capsys, "--dataset_dir", tmp_path)


def test_a_folder_without_pictures_is_refused_and_what_is_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    line = refusal(capsys, "--dataset_dir", folder)
    assert str(folder) in line
    assert "nothing at all" in line
    write(folder / "notes.md", b"")
    assert "1 .md" in refusal(capsys, "--dataset_dir", folder)
    write(folder / "clip.mp4", b"")
    line = refusal(capsys, "--dataset_dir", folder, "--only", "images")
    assert "no images" in line
    assert "1 .mp4" in line
    assert not (folder / ".enhance").exists()


def test_a_missing_folder_and_a_file_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path, ["a.png"])
    line = refusal(capsys, "--dataset_dir", tmp_path / "missing")
    assert str(tmp_path / "missing") in line
    assert "no such folder" in line
    assert "file" in refusal(capsys, "--dataset_dir", tmp_path / "a.png")
    assert "--dataset_dir" in refusal(capsys)
    assert "--dataset_dir" in refusal(capsys, "--dataset_dir", "")


@pytest.mark.parametrize("extension", [".png", ".JPG", ".", "", "a/b", ".enhance/x"])
def test_a_caption_extension_that_cannot_be_used_is_refused(
    few: Path, capsys: pytest.CaptureFixture[str], extension: str
) -> None:
    flags = ("--dataset_dir", few, "--caption_extension", extension)
    assert "--caption_extension" in refusal(capsys, *flags)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_a_manual_caption_in_another_encoding_is_read_as_it_was_meant(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str], encoding: str
) -> None:
    data = "Otto’s café".encode(encoding)
    if encoding == "utf-16-be":
        data = b"\xfe\xff" + data
    write(few / "one.txt", data)
    caption_all(few, server)
    people = {texts_of(body)["person"] for body in server.requests}
    assert people == {"Otto’s café", "calm mood", ""}
    assert (few / "one_manual.txt").read_bytes() == data
    assert (few / "one.txt").read_bytes().decode("utf-8").endswith("Otto’s café")
    notes = [note for note in report_of(few)["notes"] if note["file"] == "one.png"]
    assert [note["problem"] for note in notes] == ([] if "sig" in encoding else ["not_utf8"])
    assert ("one.txt is not UTF-8" in capsys.readouterr().out) == bool(notes)


def test_a_caption_that_is_not_utf_8_is_left_as_it_is_when_nothing_is_published(
    few: Path, server: ChatServer
) -> None:
    write(few / "one.txt", "Otto’s café".encode("cp1252"))
    caption_all(few, server, "--until", "combined")
    assert (few / "one.txt").read_bytes() == "Otto’s café".encode("cp1252")


def test_a_caption_that_is_not_utf_8_is_told_of_at_the_end_of_each_run(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / "one.txt", "Otto’s café".encode("cp1252"))
    caption_all(few, server)
    capsys.readouterr()
    caption_all(few, server)
    assert "one_manual.txt is not UTF-8" in capsys.readouterr().out


def test_a_caption_that_cannot_be_read_costs_its_file_alone(few: Path, server: ChatServer) -> None:
    (few / "one.txt").unlink()
    (few / "one.txt").mkdir()
    assert caption_all(few, server) == 2
    assert not (few / "one_generated.txt").exists()
    (row,) = report_of(few)["failed"]
    assert (row["file"], row["stage"]) == ("one.png", "manual")
    assert "one.txt" in row["reason"]


def test_a_limit_takes_the_first_files_of_the_sorted_list_and_a_later_run_the_rest(
    few: Path, server: ChatServer
) -> None:
    assert caption_all(few, server, "--limit", "1") == 1
    assert {name for name in texts(few) if "generated" in name} == {"one_generated.txt"}
    assert report_of(few)["files"] == {"all": 1, "captioned": 1}
    assert caption_all(few, server, "--limit", "0") == 2


def test_a_limit_does_not_hide_names_that_collide(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(few / "two.jpg", few / "two.png")
    assert "two.jpg" in refusal(capsys, "--dataset_dir", few, "--limit", "1")


def test_names_with_dots_spaces_and_foreign_letters_keep_their_captions(
    tmp_path: Path, server: ChatServer
) -> None:
    names = [
        "05.v2.final.png",
        "a b  c.png",
        "日本 👩‍👧.png",
        "été.png",
        "x.png.png",
        "$HOME 'q'.png",
    ]
    right = draw_scenes(tmp_path / "set", names)
    assert run_here("--dataset_dir", tmp_path / "set", *with_server(server)) == 0
    for name, draft in right.items():
        assert (tmp_path / "set" / f"{name[:-4]}_generated.txt").read_text() == draft
        assert (tmp_path / "set" / f"{name[:-4]}.txt").exists()


def test_captions_that_are_not_read_are_told(
    few: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write(few / "one.TXT", "a caption with a loud name")
    write(few / "lonely.txt", "a caption without a picture")
    caption_all(few, server)
    said = capsys.readouterr().err
    assert "are not read: trainers look for .txt, rename them (one.TXT)" in said
    assert "belong to no picture or video (lonely.txt)" in said
    caption_all(few, server, "--caption_extension", ".caption")
    assert "are not read: --caption_extension is .caption" in capsys.readouterr().err


def test_all_names_that_clash_are_told_at_once(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one.jpg", "two.png", "three_manual.png"):
        shutil.copy(few / "one.png", few / name)
    assert run_here("--dataset_dir", few) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(name in line for name in ("one.jpg", "two.png", "three_manual.png"))


def test_files_that_have_a_caption_can_be_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path, ["a.png", "b.png", "c.png"])
    write(tmp_path / "a.txt", "by another tool")
    write(tmp_path / "b.txt", "  ")
    flags = ("--dataset_dir", tmp_path, *local_models(), "--skip_captioned")
    assert run_here(*flags, "--dry_run") == 0
    assert "1 left out: it has a caption (--skip_captioned)" in capsys.readouterr().out
    assert run_here(*flags) == 0
    assert "3 files in" in (said := capsys.readouterr().out)
    assert "2 done, 1 had a caption" in said
    assert (tmp_path / "a.txt").read_text() == "by another tool"
    assert not (tmp_path / "a_generated.txt").exists()
    before = snapshot(tmp_path)
    assert run_here(*flags) == 0
    assert "2 done, 1 had a caption" in capsys.readouterr().out
    assert run_here("--dataset_dir", tmp_path, *local_models()) == 0
    assert (tmp_path / "a_manual.txt").read_text() == "by another tool"
    assert snapshot(tmp_path)["b_generated.txt"] == before["b_generated.txt"]


def test_files_that_are_named_are_captioned_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_scenes(tmp_path, ["a.png", "my day/b.png", "my day/c.png"])
    flags = ("--dataset_dir", tmp_path, *local_models())
    assert planned(capsys, *flags, "--files", "./a.png", "my day/c.png") == [
        "a.png",
        "my day/c.png",
    ]
    assert run_here(*flags, "--files", tmp_path / "my day" / "c.png") == 0
    assert "1 file in" in capsys.readouterr().out
    assert [name for name in texts(tmp_path) if "generated" in name] == ["my day/c_generated.txt"]
    alone = snapshot(tmp_path)["my day/c_generated.txt"]
    assert run_here(*flags) == 0
    assert snapshot(tmp_path)["my day/c_generated.txt"] == alone
    assert planned(capsys, *flags, "--files", "my day") == ["my day/b.png", "my day/c.png"]
    monkeypatch.chdir(tmp_path.parent)
    completed = f"{tmp_path.name}/a.png"
    assert planned(capsys, *flags, "--files", completed, "my day/b.png") == [
        "a.png",
        "my day/b.png",
    ]
    line = refusal(capsys, *flags, "--files", "a.png", "d.png", "my")
    assert line.endswith(f"--files: no image or video of {tmp_path} is there: d.png, my")


def test_a_file_that_is_named_still_shares_its_captions_with_none(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(few / "one.png", few / "one.jpg")
    line = refusal(capsys, "--dataset_dir", few, "--files", "one.png")
    assert "one.jpg and one.png would share one caption file" in line


def test_a_dataset_within_another_is_told_before_its_texts_count_as_written_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path, ["a.png", "sub/b.png", "sub/deep/c.png"])
    flags = (*local_models(), "--dry_run")
    assert run_here("--dataset_dir", tmp_path, *local_models(), "--until", "generated") == 0
    assert "captioned" not in capsys.readouterr().err
    sub = tmp_path / "sub"
    assert run_here("--dataset_dir", sub, *flags) == 0
    told = capsys.readouterr().err
    assert f"{tmp_path} was captioned as a whole: its texts in sub count as yours here" in told
    advised = ("--dataset_dir", tmp_path, "--files", sub)
    assert " ".join(map(str, advised)) in told
    assert run_here(*advised, *flags) == 0
    said = capsys.readouterr()
    assert "count as yours" not in said.err
    assert "2 kept: up to date" in said.out

    (tmp_path / ".enhance").rename(sub / "deep" / ".enhance")
    assert run_here("--dataset_dir", tmp_path, *flags) == 0
    assert "captioned by themselves before: sub/deep; their texts count" in capsys.readouterr().err
