"""Truth 1: what a person wrote is never lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from doors import finals, report_of, run_here, snapshot, with_server
from few import caption_all, changed, kept, texts, write
from loopback import Answer, ChatServer, merge, texts_of

ODD = {
    "cp1252": "Otto’s café".encode("cp1252"),
    "utf-16": "Otto’s café".encode("utf-16"),
    "bom": "Otto’s café".encode("utf-8-sig"),
    "crlf": b"made for Otto\r\ncalm mood\r\n",
    "newline": b"made for Otto\n",
    "spaces": b"  made for Otto\t ",
    "empty": b"",
    "blank": b" \n\n",
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_a_manual_caption_is_kept_byte_for_byte_before_it_is_replaced(
    few: Path, server: ChatServer, data: bytes
) -> None:
    write(few / "one.txt", data)
    caption_all(few, server)
    assert (few / "one_manual.txt").read_bytes() == data
    assert (few / "one.txt").read_bytes() != data
    assert not (few / "sub" / "three_manual.txt").exists()


def test_a_manual_caption_stays_where_it_is_until_something_is_published(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server, "--until", "combined")
    assert (few / "one.txt").read_bytes() == b"made for Otto"
    assert not (few / "one_manual.txt").exists()


def test_our_own_caption_is_never_merged_as_if_hand_written(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    server.requests.clear()
    caption_all(few, server, "--overwrite", "all")
    merged = sorted(texts_of(body)["person"] for body in server.requests)
    assert merged == ["", "calm mood", "made for Otto"]


def test_an_edited_final_is_not_merged_as_if_hand_written(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    write(few / "sub" / "three.txt", "my own words in cutout style")
    server.requests.clear()
    caption_all(few, server, "--overwrite", "combined")
    merged = sorted(texts_of(body)["person"] for body in server.requests)
    assert merged == ["", "calm mood", "made for Otto"]


def test_an_edited_manual_caption_makes_one_merge_run_and_its_final_follows(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    before = texts(few)
    write(few / "one_manual.txt", "made for Mia")
    assert caption_all(few, server) == 1
    assert changed(before, texts(few)) == {"one_manual.txt", "one_combined.txt", "one.txt"}
    assert "made for Mia" in finals(few)["one"]
    assert caption_all(few, server) == 0


def test_a_manual_caption_written_later_is_merged_and_left_as_it_is(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    write(few / "sub" / "three_manual.txt", "seen from above\n")
    assert caption_all(few, server) == 1
    assert "seen from above" in finals(few)["sub/three"]
    assert (few / "sub" / "three_manual.txt").read_bytes() == b"seen from above\n"


def test_an_edited_draft_is_used_downstream_and_never_overwritten(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    write(few / "one_generated.txt", "The image shows a pink moon on a grey background.\n")
    before = texts(few)
    assert caption_all(few, server) == 1
    assert changed(before, texts(few)) == {"one_combined.txt", "one.txt"}
    assert finals(few)["one"].startswith("a pink moon in cutout style")
    assert caption_all(few, server, "--prompt", "<CAPTION>") == 2  # of the two others
    assert (few / "one_generated.txt").read_bytes().startswith(b"The image shows a pink moon")


def test_an_edited_combined_caption_is_cleaned_and_never_overwritten(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    write(few / "one_combined.txt", 'Caption: "a pink moon in cutout style"\n')
    before = texts(few)
    assert caption_all(few, server) == 0
    assert changed(before, texts(few)) == {"one.txt"}
    assert finals(few)["one"] == "a pink moon in cutout style"
    write(few / "one_manual.txt", "something else")
    assert caption_all(few, server) == 0
    assert finals(few)["one"] == "a pink moon in cutout style"


def test_an_edited_final_is_never_overwritten(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    mine = b"my very own words\r\n"
    write(few / "one.txt", mine)
    write(few / "sub" / "three.txt", mine)
    assert caption_all(few, server, anchor="paper style") == 3
    assert (few / "one.txt").read_bytes() == mine
    assert (few / "sub" / "three.txt").read_bytes() == mine
    assert "paper style" in finals(few)["two"]


@pytest.mark.parametrize(
    ("named", "redone"),
    [
        ("generated", {"one_generated.txt"}),
        ("combined", {"one_combined.txt"}),
        ("final", {"one.txt"}),
        ("all", {"one_generated.txt", "one_combined.txt", "one.txt"}),
    ],
)
def test_overwrite_makes_edited_texts_anew_and_keeps_the_old_ones_in_the_journal(
    few: Path, server: ChatServer, named: str, redone: set[str]
) -> None:
    caption_all(few, server)
    right = texts(few)
    mine = {
        "one_generated.txt": "a pink moon, caf\xe9\r\n".encode("cp1252"),
        "one_combined.txt": "a pink moon in cutout style\n".encode("utf-16"),
        "one.txt": b"\xef\xbb\xbfmy own words\n",
    }
    for name, data in mine.items():
        write(few / name, data)
    caption_all(few, server, "--overwrite", named)
    after = texts(few)
    assert {name for name in mine if after[name] != mine[name]} == redone
    assert kept(few) == {name: [mine[name]] for name in redone}
    if named == "all":
        assert after == right


def test_overwrite_does_not_touch_the_manual_captions(few: Path, server: ChatServer) -> None:
    write(few / "one.txt", b"made for Otto\r\n")
    caption_all(few, server, "--overwrite", "all")
    caption_all(few, server, "--overwrite", "all")
    assert (few / "one_manual.txt").read_bytes() == b"made for Otto\r\n"
    assert kept(few) == {}


def test_several_stages_can_be_overwritten_at_once(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    for name in ("one_generated.txt", "one_combined.txt", "one.txt"):
        write(few / name, "a pink moon in cutout style")
    caption_all(few, server, "--overwrite", "combined", "final")
    assert set(kept(few)) == {"one_combined.txt", "one.txt"}
    assert (few / "one_generated.txt").read_bytes() == b"a pink moon in cutout style"


def test_with_an_output_folder_the_persons_file_stays_untouched(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    write(few / "one.txt", b"made for Otto\r\n")
    mine = {name: state for name, state in snapshot(few).items() if name.endswith(".txt")}
    flags = ["--output_dir", str(tmp_path / "out")]
    caption_all(few, server, *flags)
    after = snapshot(few)
    assert {name: after[name] for name in mine} == mine
    assert not list(few.rglob("*_manual.txt"))
    assert "made for Otto" in finals(tmp_path / "out")["one"]
    write(few / "one.txt", "made for Mia")
    assert caption_all(few, server, *flags) == 1
    assert "made for Mia" in finals(tmp_path / "out")["one"]


def test_a_text_of_a_person_in_the_output_folder_is_never_overwritten(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write(out / "one.txt", "my own words\n")
    caption_all(few, server, "--output_dir", str(out))
    assert (out / "one.txt").read_bytes() == b"my own words\n"
    assert "calm mood" in finals(out)["two"]


def test_a_caption_typed_after_a_refused_answer_is_still_the_persons(
    few: Path, server: ChatServer
) -> None:
    server.script = lambda *_: Answer("I'm sorry, I can't help with that.")
    run_here("--dataset_dir", few, *with_server(server))
    write(few / "one.txt", "made for Mia")
    server.script = merge
    caption_all(few, server)
    assert "made for Mia" in finals(few)["one"]
    assert (few / "one_manual.txt").read_bytes() == b"made for Mia"


def test_a_manual_caption_kept_in_a_sidecar_folder_is_found_by_a_run_that_does_not_name_it(
    few: Path, server: ChatServer, tmp_path: Path
) -> None:
    caption_all(few, server, "--sidecar_dir", str(tmp_path / "sidecars"))
    right = finals(few)
    assert "made for Otto" in right["one"]
    for more in ([], ["--output_dir", str(tmp_path / "out")]):
        caption_all(few, server, *more)
        assert finals(few) == right
    assert finals(tmp_path / "out") == right


def test_a_manual_caption_that_is_gone_stops_its_file_until_it_is_back(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    right = finals(few)
    manual = (few / "one_manual.txt").read_bytes()
    (few / "one_manual.txt").unlink()
    assert caption_all(few, server, anchor="paper style") == 2
    assert finals(few)["one"] == right["one"]
    (failed,) = report_of(few)["failed"]
    assert (failed["file"], failed["stage"]) == ("one.png", "manual")
    assert "put it back" in failed["reason"]
    (few / "one_manual.txt").write_bytes(manual)
    assert caption_all(few, server) == 2
    assert finals(few) == right
    assert report_of(few)["failed"] == []
    (few / "one_manual.txt").write_bytes(b"")
    assert caption_all(few, server) == 1
    assert "Otto" not in finals(few)["one"]


def test_texts_renamed_with_their_picture_are_made_anew_and_the_manual_one_is_kept(
    few: Path, server: ChatServer
) -> None:
    caption_all(few, server)
    for path in [path for path in few.iterdir() if path.name.startswith("one")]:
        path.rename(few / path.name.replace("one", "other"))
    (few / "two.jpg").rename(few / "lone.jpg")  # a picture whose texts stay behind
    before = finals(few)["other"]
    assert caption_all(few, server) == 2
    assert finals(few)["other"] == before
    assert (few / "other_manual.txt").read_bytes() == b"made for Otto"
    assert caption_all(few, server) == 0
    shutil.copy(few / "sub" / "three.png", few / "other.png")
    assert caption_all(few, server) == 1
    assert finals(few)["other"] != before


def test_whoever_deletes_all_texts_of_a_picture_starts_anew(few: Path, server: ChatServer) -> None:
    caption_all(few, server)
    for path in few.glob("one*.txt"):
        path.unlink()
    assert caption_all(few, server) == 1
    assert report_of(few)["failed"] == []
    assert "Otto" not in finals(few)["one"]
