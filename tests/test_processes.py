"""Launches of one and of several processes: who does what, once, and what they say together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from doors import (
    CHAT,
    FLORENCE,
    TWO_RANKS,
    draw_scenes,
    finals,
    report_of,
    run,
    snapshot,
    start,
    with_server,
)
from launches import Hold, ended, journals, leftovers, wait_until
from loopback import Answer, ChatServer, merge, texts_of

ONE_RANK = ["--num_processes", "1", "--mixed_precision", "no"]


def names_of_64() -> list[str]:
    """File names as people have them, in nested folders and six formats."""
    endings = (".png", ".JPG", ".webp", ".bmp", ".gif", ".avif")
    patterns = ("scene {}", "sub/été {}", "sub/日本 {}/v1.{}.final", "a b.c/Straße_{}")
    return [
        patterns[number % 4].replace("{}", f"{number:02}") + endings[number % 6]
        for number in range(64)
    ]


def bare_drafts(folder: Path, names: list[str]) -> dict[str, str]:
    """What the model says of each picture alone, without this program."""
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(FLORENCE)
    model = AutoModelForImageTextToText.from_pretrained(FLORENCE, dtype=torch.float32).eval()
    drafts = {}
    for name in names:
        with Image.open(folder / name) as image:
            inputs = processor(
                text="<MORE_DETAILED_CAPTION>", images=image.convert("RGB"), return_tensors="pt"
            )
        tokens = model.generate(**inputs, max_new_tokens=512, num_beams=3, do_sample=False)
        drafts[name] = processor.batch_decode(tokens, skip_special_tokens=True)[0].strip()
    return drafts


def test_one_launched_process_does_the_job(dataset: Path, server: ChatServer) -> None:
    done = run("--dataset_dir", dataset, *with_server(server), launcher=ONE_RANK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("12 files in ")
    report = report_of(dataset)
    assert (report["complete"], report["ranks"]) == (True, 1)
    assert report["files"] == {"all": 12, "captioned": 12}
    assert len(finals(dataset)) == 12


def test_two_processes_do_every_file_once_and_swap_none(tmp_path: Path) -> None:
    folder = tmp_path / "my images"
    names = names_of_64()
    draw_scenes(folder, names)
    stems = {name.rpartition(".")[0]: name for name in names}
    notes = {stem: f"note {number:02}" for number, stem in enumerate(stems)}
    for stem, note in notes.items():
        (folder / f"{stem}.txt").write_text(note)
    drafts = bare_drafts(folder, names)

    def script(number: int, body: dict[str, Any]) -> Answer:
        wait_until(lambda: len(journals_there(folder)) == 2)  # so that neither rank has it all
        return merge(number, body)

    with ChatServer(script) as server:
        done = run("--dataset_dir", folder, *with_server(server), launcher=TWO_RANKS)
        assert done.returncode == 0, done.stderr

        for stem, name in stems.items():
            assert (folder / f"{stem}_generated.txt").read_text() == drafts[name]
        seen = [texts_of(body) for body in server.requests]
        assert Counter(texts["person"] for texts in seen) == dict.fromkeys(notes.values(), 1)
        drafted = {notes[stem]: drafts[name] for stem, name in stems.items()}
        assert all(texts["draft"] == drafted[texts["person"]] for texts in seen)

    published = finals(folder)
    assert set(published) == set(stems)
    assert all(published[stem].endswith(f" in cutout style, {notes[stem]}") for stem in stems)
    made = {
        rank: [line["path"] for line in lines if "hash" in line]
        for rank, lines in journals(folder).items()
    }
    assert Counter(made[0] + made[1]) == {
        f"{stem}{ending}": 1
        for stem in stems
        for ending in ("_generated.txt", "_combined.txt", ".txt")
    }
    assert made[0]
    assert made[1]
    assert done.stdout.count("files in ") == 1
    report = report_of(folder)
    assert (report["complete"], report["ranks"]) == (True, 2)
    assert report["files"] == {"all": 64, "captioned": 64}
    assert {counts["done"] for counts in report["stages"].values()} == {64}
    assert leftovers(folder) == []


def journals_there(folder: Path) -> list[Path]:
    return list((folder / ".enhance").glob("journal.*.jsonl"))


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RANK": "0"}, "RANK=0 of WORLD_SIZE=None"),
        ({"RANK": "1"}, "RANK=1 of WORLD_SIZE=None"),
        ({"WORLD_SIZE": "2"}, "RANK=None of WORLD_SIZE=2"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK=2 of WORLD_SIZE=2"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK=-1 of WORLD_SIZE=2"),
        ({"RANK": "one", "WORLD_SIZE": "2"}, "must be numbers"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "no store to share work"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "2 processes were started"),
        ({"PMI_SIZE": "2", "RANK": "0", "WORLD_SIZE": "1"}, "2 processes were started"),
        ({"PMI_SIZE": "two"}, "must be numbers"),
    ],
)
def test_ranks_that_disagree_with_their_world_stop_with_one_line(
    dataset: Path, server: ChatServer, variables: dict[str, str], said: str
) -> None:
    before = snapshot(dataset)
    stopped = run("--dataset_dir", dataset, *with_server(server), env=variables)
    assert stopped.returncode == 4
    (line,) = stopped.stderr.splitlines()
    assert said in line
    assert snapshot(dataset) == before
    assert server.requests == []


@pytest.mark.parametrize("wall", ["server", "model"])
def test_a_wall_that_both_processes_meet_is_told_once(dataset: Path, wall: str) -> None:
    flags = {
        "server": ["--model_id", str(FLORENCE), "--base_url", "http://127.0.0.1:9"],
        "model": ["--model_id", "/no/such/folder", "--model", str(CHAT)],
    }[wall]
    before = snapshot(dataset)
    stopped = run("--dataset_dir", dataset, *flags, launcher=TWO_RANKS)
    assert stopped.returncode == 1  # the launcher's, whatever its processes say
    assert stopped.stderr.count("enhance: ") == 1
    assert {"server": "http://127.0.0.1:9/v1", "model": "/no/such/folder"}[wall] in stopped.stderr
    assert stopped.stdout == ""
    assert snapshot(dataset) == before


def test_processes_end_in_order_with_a_killed_launcher_and_the_next_run_goes_on(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "my images"
    draw_scenes(folder, [f"{number:02}.png" for number in range(24)])
    hold = Hold(answered=3)
    with ChatServer(hold) as server:
        launch = start("--dataset_dir", folder, *with_server(server), launcher=TWO_RANKS)
        wait_until(lambda: hold.holds.is_set() and len(journals_there(folder)) == 2)
        ranks = psutil.Process(launch.pid).children(recursive=True)
        assert len(ranks) == 2
        launch.kill()
        _, said = launch.communicate(timeout=120)
        wait_until(lambda: ended(ranks))
        assert leftovers(folder) == []  # they were asked, and put down what they held
        assert "Traceback" not in said
        hold.release()
        again = run("--dataset_dir", folder, *with_server(server))
        assert again.returncode == 0, again.stderr
    assert len(finals(folder)) == 24


def test_a_second_run_is_refused_while_one_is_at_work_and_does_it_no_harm(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "my images"
    draw_scenes(folder, [f"{number:02}.png" for number in range(6)])
    hold = Hold(answered=1)
    with ChatServer(hold) as server:
        first = start("--dataset_dir", folder, *with_server(server))
        wait_until(hold.holds.is_set)
        for launcher in (None, TWO_RANKS):
            second = run("--dataset_dir", folder, *with_server(server), launcher=launcher)
            assert second.returncode == (4 if launcher is None else 1)
            lines = second.stderr.splitlines()
            (line,) = [line for line in lines if line.startswith("enhance: ")]
            assert f"another run is at work in {folder}" in line
        hold.release()
        said, _ = first.communicate(timeout=120)
        assert first.returncode == 0
        assert len(server.requests) == 6
    assert said.startswith("6 files in ")
    assert len(finals(folder)) == 6
    assert leftovers(folder) == []
