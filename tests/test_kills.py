"""Runs that are stopped or killed: nothing is lost or half written, and the next one goes on."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from doors import TWO_RANKS, draw_scenes, finals, report_of, run, run_here, start, with_server
from launches import PATIENCE, Hold, captions, kill_all, leftovers, wait_until
from loopback import ChatServer, texts_of

from enhance.disk import Lock

FILES = 24
NAMES = [f"{number % 3}/scene {number:02}" for number in range(FILES)]
NOTES = [f"note {number:02}" for number in range(FILES)]  # what people wrote


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn scenes, each with a manual caption of its own."""
    folder = tmp_path_factory.mktemp("drawn") / "pictures"
    draw_scenes(folder, [f"{name}.png" for name in NAMES])
    for name, note in zip(NAMES, NOTES, strict=True):
        (folder / f"{name}.txt").write_text(f"{note}\n")
    return folder


@pytest.fixture(scope="module")
def undisturbed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All texts of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("undisturbed") / "pictures"
    shutil.copytree(pictures, folder)
    with ChatServer() as server:
        assert run_here("--dataset_dir", folder, *with_server(server)) == 0
    return captions(folder)


@pytest.fixture
def folder(pictures: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pictures, tmp_path / "pictures"))


def merged(folder: Path) -> set[str]:
    """The notes of all files whose merged caption stands on disk."""
    return {
        note
        for name, note in zip(NAMES, NOTES, strict=True)
        if (folder / f"{name}_combined.txt").exists()
    }


@contextmanager
def at_work(
    folder: Path, server: ChatServer, answered: int, *flags: str, **more: Any
) -> Iterator[subprocess.Popen[str]]:
    """A run that was given so many answers and waits for more."""
    server.script = hold = Hold(len(server.requests) + answered)
    launch = start("--dataset_dir", folder, *with_server(server), *flags, **more)
    wait_until(hold.holds.is_set)
    yield launch
    hold.release()


def standing(folder: Path) -> set[str]:
    """What stands in the files that people write into, and in those that keep what they wrote."""
    return {
        path.read_text()
        for name in NAMES
        for path in (folder / f"{name}_manual.txt", folder / f"{name}.txt")
        if path.exists()
    }


def asked(server: ChatServer, since: int) -> list[str]:
    """The notes that were sent to the server from a request on."""
    return [texts_of(body)["person"] for body in server.requests[since:]]


def test_a_run_that_is_asked_to_stop_says_so_leaves_nothing_and_goes_on_later(
    folder: Path, undisturbed: dict[str, bytes]
) -> None:
    with ChatServer() as server:
        with at_work(folder, server, 5) as launch:
            wait_until(lambda: len(merged(folder)) == 5)
            launch.send_signal(signal.SIGTERM)  # while four requests wait for their answers
            time.sleep(0.05)
            launch.send_signal(signal.SIGTERM)  # as each thread of a dying launcher does
            said, complained = launch.communicate(timeout=60)  # and would wait twice as long
        assert launch.returncode == 130
        assert "Traceback" not in complained
        assert "the same command goes on from here" in said
        report = report_of(folder)
        assert report["complete"] is False
        assert report["failed"] == []
        assert (report["stages"]["combined"].get("failed", 0)) == 0
        assert report["stages"]["combined"]["done"] == 5
        assert leftovers(folder) == []

        sent = len(server.requests)
        assert run("--dataset_dir", folder, *with_server(server)).returncode == 0
        assert len(asked(server, sent)) == FILES - 5
    assert report_of(folder)["complete"] is True
    assert captions(folder) == undisturbed


@pytest.mark.parametrize("launcher", [None, TWO_RANKS], ids=["one process", "two processes"])
def test_killed_at_random_instants_runs_end_with_the_captions_of_an_undisturbed_one(
    folder: Path, undisturbed: dict[str, bytes], launcher: list[str] | None
) -> None:
    instants = random.Random(2026 if launcher else 1917)
    with ChatServer() as server:
        for _ in range(3):
            saved, sent = merged(folder), len(server.requests)
            with at_work(folder, server, instants.randint(1, 6), launcher=launcher) as launch:
                wait_until(lambda before=saved: merged(folder) > before)
                time.sleep(instants.uniform(0, 0.1))
                kill_all(launch)
            assert saved.isdisjoint(asked(server, sent))
    saved = merged(folder)
    assert len(saved) < FILES
    with ChatServer() as server:
        ended = run("--dataset_dir", folder, *with_server(server), launcher=launcher)
        assert ended.returncode == 0, ended.stderr
        assert sorted(asked(server, 0)) == sorted(set(NOTES) - saved)
    assert captions(folder) == undisturbed
    assert leftovers(folder) == []
    assert report_of(folder)["files"] == {"all": FILES, "captioned": FILES}


def test_killed_ten_times_while_it_publishes_a_run_loses_no_hand_written_caption(
    folder: Path,
) -> None:
    instants = random.Random(64)
    with ChatServer() as server:
        for _ in range(10):
            saved, sent = merged(folder), len(server.requests)
            with at_work(folder, server, instants.randint(0, 2), "--no_generate") as launch:
                time.sleep(instants.uniform(0, 0.03))
                kill_all(launch)
            assert saved.isdisjoint(asked(server, sent))
            assert {f"{note}\n" for note in NOTES} <= standing(folder)
    with ChatServer() as server:
        ended = run("--dataset_dir", folder, *with_server(server), "--no_generate")
        assert ended.returncode == 0, ended.stderr
    assert finals(folder) == {
        name: f"cutout style, {note}" for name, note in zip(NAMES, NOTES, strict=True)
    }
    assert leftovers(folder) == []


def test_what_a_killed_run_left_is_swept_and_its_lock_does_not_block(
    folder: Path, undisturbed: dict[str, bytes], server: ChatServer
) -> None:
    state = folder / ".enhance"
    state.mkdir()
    (state / "lock.0badcafe.0").touch()
    strays = [state, folder, folder / "1"]
    for place in strays:
        (place / ".enhance.0badcafe.0.7.tmp").write_text("half a cap")
    (folder / "1" / "notes.tmp").write_text("of somebody else")
    assert run_here("--dataset_dir", folder, *with_server(server)) == 0
    assert leftovers(folder) == ["1/notes.tmp"]
    assert captions(folder) == undisturbed


def test_processes_that_clear_away_dead_locks_together_do_not_refuse_each_other(
    tmp_path: Path,
) -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(2)
    processes = [spawn.Process(target=_lock, args=(tmp_path, rank, together)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0, 0]


def _lock(folder: Path, rank: int, together: Any) -> None:
    """One rank of several launches, each of which finds many locks of a killed one."""
    for launch in range(10):
        if rank == 0:
            for dead in range(100):
                (folder / f"lock.dead{launch}.{dead}").touch()
        together.wait(PATIENCE)
        with Lock(folder, f"alive{launch}", rank):
            together.wait(PATIENCE)
        together.wait(PATIENCE)
