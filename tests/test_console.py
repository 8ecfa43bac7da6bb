"""What a run shows while it works: bars in a terminal, plain lines elsewhere, and a log file."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from doors import TWO_RANKS, draw_scenes, run, start, with_server
from launches import PATIENCE
from loopback import Answer, ChatServer, merge


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    draw_scenes(folder, [f"{number:02}.png" for number in range(8)])
    return folder


def test_elsewhere_than_in_a_terminal_progress_is_told_in_plain_lines(pictures: Path) -> None:
    def slowly(number: int, body: dict[str, Any]) -> Answer:
        if number == 6:
            time.sleep(11)  # a line comes every ten seconds
        return merge(number, body)

    with ChatServer(slowly) as server:
        done = run("--dataset_dir", pictures, *with_server(server), "--concurrency", "1")
    assert done.returncode == 0, done.stderr
    shown = done.stdout + done.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown)
    assert re.search(r"^merge [1-6]/8 files, \d+\.\d/s, \d\d:\d\d left$", done.stderr, re.MULTILINE)
    assert "%|" not in shown


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pseudo terminals")
def test_in_a_terminal_each_stage_has_a_bar_over_the_whole_dataset(
    pictures: Path, server: ChatServer
) -> None:
    import termios

    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, (24, 100))
    launch = start("--dataset_dir", pictures, *with_server(server), stderr=theirs)
    os.close(theirs)
    shown: list[bytes] = []
    reader = threading.Thread(target=_read, args=(ours, shown), daemon=True)
    reader.start()
    launch.communicate(timeout=PATIENCE)
    assert launch.returncode == 0
    reader.join(PATIENCE)
    os.close(ours)
    screen = b"".join(shown).decode()
    for label in ("draft", "merge", "clean"):
        assert re.search(rf"{label}: .*%\|.*\| .*8/8 \[\d\d:\d\d<\d\d:\d\d, .*file", screen)


def _read(terminal: int, shown: list[bytes]) -> None:
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # Linux: the other end was closed
            return
        if not data:
            return
        shown.append(data)


def test_a_log_file_tells_time_rank_and_thread_of_every_process(
    pictures: Path, server: ChatServer, tmp_path: Path
) -> None:
    log = tmp_path / "logs" / "run.log"
    (pictures / "07.png").write_bytes(b"no picture")  # a batch fails, which is told in its thread
    done = run(
        *("--dataset_dir", pictures, *with_server(server)),
        *("--log_file", log, "--log_level", "debug"),
        launcher=TWO_RANKS,
    )
    assert done.returncode == 0, done.stderr
    form = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ rank (\d) (\S+) .+"
    lines = [line for line in log.read_text().splitlines() if re.match(r"\d{4}-", line)]
    told = [re.fullmatch(form, line) for line in lines]
    assert all(told)
    assert any(match and match[2].startswith("generated_") for match in told)
    assert {match[1] for match in told if match} == {"0", "1"}
