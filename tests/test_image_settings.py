"""What settings and extras decide of a picture, and when that drafts anew."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from doors import FLORENCE, REPOSITORY, report_of, run, run_here
from few import changed, printed, refusal, texts, write
from pictures import DRAFT, HEIC, JXL, encoded, picture

FLAGS = ("--model_id", str(FLORENCE), "--until", "generated")


@pytest.fixture
def stickers(tmp_path: Path) -> Path:
    """A scene cut out of its grey, and one that is whole."""
    folder = tmp_path / "stickers"
    folder.mkdir()
    whole = picture()
    grey = whole.getpixel((2, 2))
    cut_out = whole.convert("RGBA")
    for place in product(range(whole.width), range(whole.height)):
        if whole.getpixel(place) == grey:
            cut_out.putpixel(place, (0, 0, 0, 0))
    cut_out.save(folder / "cut out.png")
    whole.save(folder / "whole.png")
    return folder


def drafted(folder: Path, *more: str) -> int:
    """How many drafts a run makes. A run that makes none leaves the report before it."""
    (folder / ".enhance" / "report.json").unlink(missing_ok=True)
    assert run_here("--dataset_dir", folder, *FLAGS, *more) == 0
    counts: dict[str, int] = report_of(folder)["stages"]["generated"]
    return counts.get("done", 0)


def test_another_background_drafts_anew_and_the_same_by_another_name_does_not(
    stickers: Path,
) -> None:
    assert drafted(stickers, "--background", "grey") == 2
    assert texts(stickers)["cut out_generated.txt"].decode() == DRAFT
    before = texts(stickers)
    run_here("--dataset_dir", stickers, *FLAGS, "--background", "#808080")
    assert changed(before, texts(stickers)) == set()
    assert drafted(stickers, "--background", "white") == 2
    assert drafted(stickers, "--background", "#000000") == 2
    assert drafted(stickers) == 2


def test_a_folder_may_have_its_own_background(stickers: Path) -> None:
    write(stickers / "caption.toml", 'background = "grey"')
    assert drafted(stickers) == 2
    assert texts(stickers)["cut out_generated.txt"].decode() == DRAFT


def test_white_is_the_background_unless_told_otherwise(
    stickers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "background: white  # default" in printed(capsys)
    assert drafted(stickers) == 2
    before = texts(stickers)
    run_here("--dataset_dir", stickers, *FLAGS, "--background", "#FFF")
    assert changed(before, texts(stickers)) == set()


@pytest.mark.parametrize("colour", ["whte", "#12345", "#00000000", "rgba(0,0,0,0)"])
def test_a_background_that_is_no_colour_is_refused(
    capsys: pytest.CaptureFixture[str], colour: str
) -> None:
    assert f"'{colour}' is no colour: say white, grey" in refusal(capsys, "--background", colour)


@pytest.mark.skipif(not HEIC or not JXL, reason="needs the extras heic and jxl")
def test_a_file_that_waits_for_an_extra_costs_later_runs_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    write(folder / "a.heic", encoded(picture(), "HEIF"))
    write(folder / "b.jxl", encoded(picture(), "JXL"))
    bare = {"PYTHONPATH": f"{without_extras(tmp_path)}:{REPOSITORY}"}
    assert run("--dataset_dir", folder, *FLAGS, env=bare).returncode == 0
    before = report_of(folder)
    assert run("--dataset_dir", folder, *FLAGS, env=bare).returncode == 0
    assert report_of(folder) == before


def without_extras(tmp_path: Path) -> Path:
    """What makes a machine of one on which they are not installed: Python takes None for "there
    is no such module"."""
    folder = tmp_path / "without"
    folder.mkdir()
    names = "sys.modules['pillow_heif'] = sys.modules['pillow_jxl'] = None"
    write(folder / "sitecustomize.py", f"import sys\n{names}\n")
    return folder


@pytest.mark.skipif(not HEIC or not JXL, reason="needs the extras heic and jxl")
def test_without_an_extra_its_files_name_it_and_with_it_they_are_captioned(tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    for name, kind in (("a.heic", "HEIF"), ("b.jxl", "JXL"), ("c.jpg", "HEIF"), ("d.png", "PNG")):
        write(folder / name, encoded(picture(), kind))
    bare = {"PYTHONPATH": f"{without_extras(tmp_path)}:{REPOSITORY}"}
    assert run("--dataset_dir", folder, *FLAGS, env=bare).returncode == 0
    install = 'images need an extra: pip install "enhance-captions'
    assert [row["reason"] for row in report_of(folder)["failed"]] == [
        f'HEIC {install}[heic]"',
        f'JPEG XL {install}[jxl]"',
        f'HEIC {install}[heic]"',
    ]
    assert set(texts(folder)) == {"d_generated.txt"}
    assert drafted(folder) == 3
    assert {text.decode() for text in texts(folder).values()} == {DRAFT}
