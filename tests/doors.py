"""The doors that users use, and what tests look at behind them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from loopback import ChatServer
from scenes import MORE_DETAILED, all_scenes, caption, draw, held_out, save

REPOSITORY = Path(__file__).resolve().parent.parent
FLORENCE = REPOSITORY / "examples" / "models" / "florence2-shapes"
CHAT = REPOSITORY / "examples" / "models" / "chat-shapes"
SHAPES = REPOSITORY / "examples" / "shapes"

# Two CPU ranks; `--cpu --num_processes 2` would start one process.
TWO_RANKS = [
    *("--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no"),
]


def run_here(*arguments: object) -> int:
    """The program's door within this process, which spares importing torch: the exit status."""
    from enhance.cli import main

    return main([str(argument) for argument in arguments])


def start(*arguments: object, launcher: list[str] | None = None, **more: Any) -> Any:
    """`python -m enhance …`, or `accelerate launch <launcher> -m enhance …`, not waited for."""
    command = [sys.executable, "-m"]
    if launcher is not None:
        free = ["--main_process_port", "0"] if "--multi_gpu" in launcher else []
        command += ["accelerate.commands.launch", *launcher, *free, "-m"]
    command += ["enhance", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **more.pop("env", {})}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    return subprocess.Popen(command, env=environment, **options)


def run(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Like `start`, and waits for the end."""
    process = start(*arguments, **more)
    out, err = process.communicate(timeout=240)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def local_models(anchor: str = "cutout style", lora_type: str = "style") -> list[str]:
    """The flags of a run that needs no server."""
    return [
        *("--model_id", str(FLORENCE), "--model", str(CHAT)),
        *("--anchor", anchor, "--lora_type", lora_type),
    ]


def with_server(server: ChatServer, anchor: str = "cutout style", *more: str) -> list[str]:
    """The flags of a run that merges on the loopback server."""
    return [
        *("--model_id", str(FLORENCE), "--base_url", server.url),
        *("--anchor", anchor, "--lora_type", "style", *more),
    ]


def draw_scenes(folder: Path, names: list[str], seed: int = 5) -> dict[str, str]:
    """Draws an unseen scene into each named file; the right draft of each by name."""
    generator = random.Random(seed)
    scenes = [scene for scene in all_scenes() if held_out(scene)]
    right = {}
    for name in names:
        scene = generator.choice(scenes)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save(draw(scene, generator), path)
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)  # as datasets are: drawn before the run
        right[name] = caption(scene, MORE_DETAILED)
    return right


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and modification time of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def finals(folder: Path) -> dict[str, str]:
    """Published captions by the path of their image's stem."""
    endings = ("_manual.txt", "_generated.txt", "_combined.txt")
    return {
        path.relative_to(folder).as_posix()[: -len(".txt")]: path.read_bytes().decode()
        for path in sorted(folder.rglob("*.txt"))
        if not path.name.endswith(endings)
    }


def report_of(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / ".enhance" / "report.json").read_text())
    return loaded
