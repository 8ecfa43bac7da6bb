"""Processes that die or break: they cost what they held, and nobody claims more than is done."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import paces
import psutil
import pytest
from doors import report_of, snapshot
from launches import ended, journals, kill_all, leftovers, wait_until

FILES = 24
PLAIN = {f"{number:02}.png": "plain" for number in range(FILES)}
BROKEN = "no draft can be made in this process any more: CUDA error: an illegal memory access"


def pictures(tmp_path: Path, **kinds: str) -> Path:
    """A folder of plain pictures, but those named `_07` and so on, which are of other kinds."""
    folder = tmp_path / "pictures"
    paces.draw(folder, PLAIN | {f"{name[1:]}.png": kind for name, kind in kinds.items()})
    return folder


def undisturbed(*without: int) -> dict[str, str]:
    """The drafts of a run that nothing disturbs."""
    return {
        f"{number:02}": paces.SAID.format(number)
        for number in range(FILES)
        if number not in without
    }


def processes(launch: Any) -> list[psutil.Process]:
    """Those that caption: the launched one, or the ranks that a launcher started."""
    whole = psutil.Process(launch.pid)
    return [
        process
        for process in [whole, *whole.children(recursive=True)]
        if "paces" in process.cmdline() and "accelerate.commands.launch" not in process.cmdline()
    ]


def waiting(gate: Path, launch: Any) -> psutil.Process | None:
    """The process that waits at the gate, if one does."""
    numbers = {int(path.suffix[1:]) for path in gate.parent.glob(f"{gate.name}.*")}
    return next((one for one in processes(launch) if one.pid in numbers), None)


def test_a_file_that_kills_its_process_twice_is_set_aside_and_named(tmp_path: Path) -> None:
    folder = pictures(tmp_path, _07="kills")
    first = paces.run(folder, "--batch_size", 8)
    assert first.returncode == -signal.SIGABRT
    assert report_of(folder)["complete"] is False
    second = paces.run(folder, "--batch_size", 8)
    assert second.returncode == -signal.SIGABRT
    # It was tried alone, when all was done that the first process was not at.
    assert undisturbed(*range(16)).items() <= paces.drafts(folder).items()
    third = paces.run(folder, "--batch_size", 8, "--strict")
    assert third.returncode == 3, third.stderr
    assert paces.drafts(folder) == undisturbed(7)
    report = report_of(folder)
    assert report["complete"] is True
    assert report["files"] == {"all": FILES, "captioned": FILES - 1, "failed": 1}
    (failed,) = report["failed"]
    assert failed["file"] == "07.png"
    assert failed["reason"].startswith("2 processes died while they were at this file (Aborted)")
    assert failed["reason"] in third.stdout

    before = snapshot(folder)
    assert paces.run(folder, "--batch_size", 8).returncode == 0
    assert snapshot(folder) == before  # it is not tried again
    again = paces.run(folder, "--overwrite", "generated")
    assert again.returncode == -signal.SIGABRT
    paces.draw(folder, {"07.png": "plain"})  # the file was mended
    assert paces.run(folder).returncode == 0
    assert set(paces.drafts(folder)) == set(undisturbed())


def test_with_restarts_one_launch_names_the_culprit_and_does_all_else(tmp_path: Path) -> None:
    folder = pictures(tmp_path, _07="kills")
    done = paces.run(folder, "--batch_size", 4, launcher=paces.ranks(2, "--max_restarts", "2"))
    assert done.returncode == 0, done.stderr
    assert paces.drafts(folder) == undisturbed(7)
    report = report_of(folder)
    assert report["complete"] is True
    assert [row["file"] for row in report["failed"]] == ["07.png"]


@pytest.mark.parametrize("stop", ["killed", "stopped"])
def test_whoever_ends_a_run_from_outside_brands_no_file(tmp_path: Path, stop: str) -> None:
    folder, gate = pictures(tmp_path, _07="waits"), tmp_path / "gate"
    environment = {"PACED_GATE": str(gate)}
    for _ in range(2):
        launch = paces.start(folder, "--batch_size", 8, env=environment)
        wait_until(lambda launch=launch: waiting(gate, launch))
        if stop == "killed":
            kill_all(launch)
        else:
            launch.send_signal(signal.SIGTERM)
            wait_until(
                lambda: any(
                    "stopped" in line for lines in journals(folder).values() for line in lines
                )
            )
            launch.kill()  # it waits for the model, and whoever asked it to stop will not
            launch.communicate()
    suspects = [line for lines in journals(folder).values() for line in lines if "alone" in line]
    assert bool(suspects) is (stop == "killed")
    gate.touch()
    done = paces.run(folder, "--batch_size", 8, env=environment)
    assert done.returncode == 0, done.stderr
    assert paces.drafts(folder) == undisturbed()
    assert report_of(folder)["failed"] == []


def test_when_one_process_is_killed_the_others_stop_in_order_and_nothing_claims_to_be_whole(
    tmp_path: Path,
) -> None:
    folder, gate = pictures(tmp_path), tmp_path / "gate"
    assert paces.run(folder).returncode == 0
    assert report_of(folder)["complete"] is True

    paces.draw(folder, PLAIN | {"07.png": "waits", "30.png": "plain"})
    launch = paces.start(
        folder,
        *("--batch_size", 1, "--overwrite", "generated"),
        launcher=paces.ranks(2),
        env={"PACED_GATE": str(gate), "PACED_SECONDS": "0.2"},
    )
    wait_until(lambda: waiting(gate, launch))
    everybody = processes(launch)
    waiting(gate, launch).kill()
    _, said = launch.communicate(timeout=120)
    assert launch.returncode == 1
    assert "files in" not in said
    wait_until(lambda: ended(everybody))
    report = report_of(folder)
    assert report["complete"] is False
    assert report["heard"] < report["ranks"]

    gate.touch()
    done = paces.run(folder, launcher=paces.ranks(2), env={"PACED_GATE": str(gate)})
    assert done.returncode == 0, done.stderr
    assert report_of(folder)["complete"] is True
    assert set(paces.drafts(folder)) == {*undisturbed(), "30"}
    assert leftovers(folder) == []


def test_a_process_whose_gpu_is_broken_ends_and_the_others_do_its_files(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    done = paces.run(
        folder,
        *("--batch_size", 4),
        launcher=paces.ranks(2),
        env={"PACED_BROKEN": "1,0", "PACED_SECONDS": "0.5"},
    )
    assert done.returncode == 1
    assert done.stderr.count(BROKEN) == 1
    report = report_of(folder)
    assert [reason.startswith(BROKEN) for reason in report["ended"]] == [True]
    assert report["failed"] == []
    # All but the one batch that may be why.
    assert report["files"]["captioned"] == len(paces.drafts(folder)) >= FILES - 4
    assert report["complete"] is (report["files"]["captioned"] == FILES)

    again = paces.run(folder, launcher=paces.ranks(2))
    assert again.returncode == 0, again.stderr
    assert paces.drafts(folder) == undisturbed()
    assert report_of(folder)["complete"] is True


def test_a_file_that_breaks_the_gpu_costs_its_process_and_itself(tmp_path: Path) -> None:
    folder = pictures(tmp_path, _07="breaks")
    first = paces.run(folder, "--batch_size", 4)
    assert first.returncode == 4
    assert [line for line in first.stderr.splitlines() if BROKEN in line]
    assert report_of(folder)["failed"] == []
    for _ in range(3):
        last = paces.run(folder, "--batch_size", 4)
    assert last.returncode == 0, last.stderr
    assert paces.drafts(folder) == undisturbed(7)
    assert [row["file"] for row in report_of(folder)["failed"]] == ["07.png"]


def test_a_file_that_confuses_the_model_costs_itself_alone(tmp_path: Path) -> None:
    folder = pictures(tmp_path, _07="confuses", _11="too large")
    done = paces.run(folder, "--batch_size", 8)
    assert done.returncode == 0, done.stderr
    reasons = {row["file"]: row["reason"] for row in report_of(folder)["failed"]}
    assert reasons == {
        "07.png": "ValueError: this picture confuses the model",
        "11.png": "a batch of 1 does not fit",
    }
    assert "did not fit" not in done.stdout
    assert paces.drafts(folder) == undisturbed(7, 11)
