"""What is imported, seen from outside: `python -m enhance` in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doors import REPOSITORY, run, run_here, snapshot, with_server
from few import write
from loopback import ChatServer, merge
from seeing import drafts_of, paint, seeing

HEAVY = ("torch", "transformers", "aiohttp", "accelerate", "numpy")


def imported(*arguments: object) -> set[str]:
    """The top-level packages that a run imports."""
    command = [sys.executable, "-X", "importtime", "-m", "enhance", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in lines}


def test_help_imports_nothing_heavy() -> None:
    packages = imported("--help")
    assert "enhance" in packages
    assert not packages.intersection(HEAVY)


def test_a_run_that_finds_everything_done_imports_nothing_heavy(
    few: Path, server: ChatServer
) -> None:
    flags = ("--dataset_dir", few, *with_server(server))
    assert run_here(*flags) == 0
    before, asked = snapshot(few), server.probes
    packages = imported(*flags)
    assert "stages" in packages
    assert not packages.intersection(HEAVY)
    assert snapshot(few) == before
    assert (server.probes, len(server.requests)) == (asked, 3)


def test_a_run_by_servers_alone_imports_no_model_library(tmp_path: Path) -> None:
    paint(tmp_path / "few" / "a.png", "red")
    with ChatServer(seeing(then=merge)) as server:
        flags = ("--captioner", "openai", "--base_url", server.url)
        packages = imported("--dataset_dir", tmp_path / "few", *flags)
        assert len(drafts_of(server)) == 1
    assert "aiohttp" in packages
    assert not packages.intersection({"torch", "transformers", "accelerate", "numpy"})


def test_a_dry_run_imports_nothing_heavy(few: Path) -> None:
    assert not imported("--dataset_dir", few, "--dry_run").intersection(HEAVY)


@pytest.mark.parametrize("foreign", ["stages.py", "stages/__init__.py"])
def test_foreign_stages_in_the_working_folder_are_a_clear_error(foreign: str) -> None:
    path = Path(foreign)
    path.parent.mkdir(exist_ok=True)
    write(path, "raise SystemExit('hijacked')")
    done = run("--help")
    assert done.returncode == 1
    assert "ImportError: enhance found a foreign package 'stages'" in done.stderr
    assert str(Path(foreign).resolve()) in done.stderr
    assert "hijacked" not in done.stderr


def test_folders_of_the_users_own_do_not_hijack_the_run() -> None:
    for folder in ("stages", "prompts", "configs"):
        Path(folder).mkdir()
        write(Path(folder) / "style.toml", "")
    done = run("--config", "low_memory", "--print_config")
    assert done.returncode == 0, done.stderr
    assert "overlap: false" in done.stdout


def test_a_captioned_folder_by_python_m_says_what_it_did(few: Path, server: ChatServer) -> None:
    done = run("--dataset_dir", few, *with_server(server))
    assert done.returncode == 0, done.stderr
    assert "3 files in" in done.stdout
    assert re.search(r"3 made, \d+ tokens in 3 requests", done.stdout)
