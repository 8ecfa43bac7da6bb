"""A folder of odd and broken image files: each is captioned or explained, and costs no other."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from doors import FLORENCE, report_of, run
from odd_images import Odd, make
from pictures import DRAFT


class Done(NamedTuple):
    """What a run over the folder left behind."""

    folder: Path
    files: list[Odd]
    status: int
    said: str
    failed: dict[bytes, str]  # the report's reasons


def caption_them(folder: Path, *more: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A run of its own process, which obeys the rights of files even where root starts it."""
    flags = ("--dataset_dir", folder, "--model_id", FLORENCE, "--until", "generated", *more)
    return run(*flags, preexec_fn=obey, errors="surrogateescape", **options)


def obey() -> None:
    import ctypes

    if os.name == "posix" and os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def failures(folder: Path) -> dict[bytes, str]:
    return {
        row["file"].encode("utf-8", "surrogateescape"): row["reason"]
        for row in report_of(folder)["failed"]
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("odd")
    files = make(folder)
    ended = caption_them(folder, "--strict")
    return Done(folder, files, ended.returncode, ended.stdout + ended.stderr, failures(folder))


def draft_of(folder: Path, odd: Odd) -> str | None:
    path = os.path.join(os.fsencode(folder), os.path.splitext(odd.name)[0] + b"_generated.txt")
    return Path(os.fsdecode(path)).read_bytes().decode() if os.path.lexists(path) else None


def test_there_are_more_than_a_hundred_files_of_every_kind(done: Done) -> None:
    assert len(done.files) > 150
    assert sum(not odd.reason for odd in done.files) > 50


def test_each_file_is_captioned_or_explained(done: Done) -> None:
    wrong = {}
    for odd in done.files:
        draft, reason = draft_of(done.folder, odd), done.failed.get(odd.name)
        if odd.reason:
            right = draft is None and reason is not None and odd.reason in reason
        else:
            right = bool(draft) and reason is None
        if not right:
            wrong[odd.name] = (draft, reason)
    assert wrong == {}


def test_where_the_picture_can_be_recognised_the_draft_says_what_it_shows(done: Done) -> None:
    seen = {odd.name: (odd.draft, draft_of(done.folder, odd)) for odd in done.files if odd.draft}
    assert {name: texts[1] for name, texts in seen.items() if texts[0] != texts[1]} == {}


def test_the_report_lists_exactly_the_explained_files(done: Done) -> None:
    assert set(done.failed) == {odd.name for odd in done.files if odd.reason}
    assert done.status == 3
    report: dict[str, Any] = report_of(done.folder)
    assert report["needs_a_person"] == []
    assert report["files"]["all"] == len(done.files)


def test_no_library_speaks_to_the_user(done: Done) -> None:
    for word in ("Warning", "warn(", "Traceback", "PIL", "libpng", "JPEGLib"):
        assert word not in done.said


def test_the_first_frame_of_many_animations_is_told_once(done: Done) -> None:
    assert done.said.count("of animated images the first frame is captioned") == 1


def test_a_reason_is_one_short_line_without_the_name_of_the_file(done: Done) -> None:
    for name, reason in done.failed.items():
        if len(name) < 200:
            assert len(reason) < 130
            assert reason.isprintable()
            assert os.fsdecode(done.folder) not in reason


def test_a_second_run_changes_nothing_and_loads_no_model(done: Done) -> None:
    before = texts(done.folder)
    again = caption_them(done.folder, "--strict", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert again.returncode == 3
    imported = {line.rpartition("|")[2].strip() for line in again.stderr.splitlines()}
    assert "enhance.flow" in imported
    assert "torch" not in imported
    assert texts(done.folder) == before


def test_jobs_and_plans_bear_such_a_folder_too(done: Done) -> None:
    for job in (["check", done.folder], ["--dataset_dir", done.folder, "--explain"]):
        ended = run(*job, preexec_fn=obey, errors="surrogateescape")
        assert ended.returncode in (0, 3)
        assert "Traceback" not in ended.stderr
    name = os.fsdecode(os.fsencode(done.folder) + b"/caf\xe9.png")
    assert DRAFT in run("show", name, errors="surrogateescape").stdout


def texts(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Captions, journal and report, with the times they were written; not the odd files."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.suffix in (".txt", ".json", ".jsonl")
    }
