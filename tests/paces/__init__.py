"""Runs whose captioner sleeps instead of computing, and fails on purpose: `captioners/paced.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
KINDS = ("plain", "heavy", "kills", "breaks", "too large", "confuses", "waits")
SAID = "A drawing of a ball with the number {} on it."


def draw(folder: Path, kinds: Mapping[str, str]) -> None:
    """Pictures by their names, each of a kind; their numbers are their places."""
    from PIL import Image

    for number, (name, kind) in enumerate(kinds.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = (number // 256, number % 256, KINDS.index(kind))
        Image.new("RGB", (8, 8), colour).save(path)


def start(folder: Path, *flags: object, launcher: list[str] | None = None, **more: Any) -> Any:
    """Drafts of a folder by the paced captioner, `accelerate launch`ed if a launcher is given."""
    model = folder.parent / "paced"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    command = [sys.executable, "-m"]
    if launcher is not None:
        command += ["accelerate.commands.launch", *launcher, "--main_process_port", "0", "-m"]
    command += ["paces", "--dataset_dir", str(folder), "--model_id", str(model)]
    command += ["--until", "generated", *map(str, flags)]
    here = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    environment = {**os.environ, "PYTHONPATH": here, "HF_HUB_OFFLINE": "1", **more.pop("env", {})}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    return subprocess.Popen(command, env=environment, **options)


def run(folder: Path, *flags: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Like `start`, and waits for the end."""
    process = start(folder, *flags, **more)
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def ranks(count: int, *more: str) -> list[str]:
    """The launcher's flags for CPU processes on this machine."""
    plain = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    return ["--multi_gpu", "--num_processes", str(count), *plain, *more]


def drafts(folder: Path) -> dict[str, str]:
    """The drafts that stand on disk, by the stems of their pictures."""
    found = sorted(folder.rglob("*_generated.txt"))
    ending = len("_generated.txt")
    return {path.relative_to(folder).as_posix()[:-ending]: path.read_text() for path in found}
