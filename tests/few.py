"""A small dataset that tests change by hand, and the looks that tests take behind the doors."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from doors import draw_scenes, run_here, with_server
from loopback import ChatServer

# Who wrote what: three pictures, two of them with a manual caption.
WRITTEN = {"one": "made for Otto", "two": "calm mood"}


def draw_few(folder: Path) -> Path:
    """Three pictures, two of them captioned by hand."""
    draw_scenes(folder, ["one.png", "two.jpg", "sub/three.png"])
    for name, text in WRITTEN.items():
        write(folder / f"{name}.txt", text)
    return folder


def write(path: Path, text: str | bytes) -> None:
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def caption_all(folder: Path, server: ChatServer, *more: str, anchor: str = "cutout style") -> int:
    """Captions the folder on the loopback server; how many requests that took."""
    before = len(server.requests)
    status = run_here("--dataset_dir", folder, *with_server(server, anchor), *more)
    assert status == 0
    return len(server.requests) - before


def journal(folder: Path) -> list[dict[str, object]]:
    lines = [
        line
        for path in sorted((folder / ".enhance").glob("journal.*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]
    return [json.loads(line) for line in lines]


def kept(folder: Path) -> dict[str, list[bytes]]:
    """Texts that the journal kept before they were replaced, by path, oldest first."""
    result: dict[str, list[bytes]] = {}
    for line in journal(folder):
        if "kept" in line:
            text = str(line["kept"]).encode("utf-8", "surrogateescape")
            result.setdefault(str(line["path"]), []).append(text)
    return result


def texts(folder: Path) -> dict[str, bytes]:
    """Every caption file by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.txt"))
    }


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    """Names of texts that came, went or changed."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def long_ago(path: Path) -> None:
    """As if the file had been written an hour before."""
    past = path.stat().st_mtime - 3600
    os.utime(path, (past, past))


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line by which a run is refused, with status 2 and nothing on stdout."""
    capsys.readouterr()
    assert run_here(*arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    return line


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What --print_config says."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run_here(*arguments, "--print_config")
    assert end.value.code == 0
    return capsys.readouterr().out


def said(capsys: pytest.CaptureFixture[str], status: int, *arguments: object) -> list[str]:
    """What a job says on stdout; it ends with `status`."""
    capsys.readouterr()
    assert run_here(*arguments) == status
    return capsys.readouterr().out.splitlines()


def captioned(folder: Path, captions: dict[str, bytes]) -> Path:
    """A folder of pictures with captions, by the names of their stems."""
    draw_scenes(folder, [f"{stem}.png" for stem in captions])
    for stem, data in captions.items():
        write(folder / f"{stem}.txt", data)
    return folder


def many(folder: Path, captions: dict[str, bytes]) -> Path:
    """Like `captioned`, with one picture for all: quicker drawn where there are hundreds."""
    first, *others = captions
    captioned(folder, {first: captions[first]})
    for stem in others:
        os.link(folder / f"{first}.png", folder / f"{stem}.png")
        write(folder / f"{stem}.txt", captions[stem])
    return folder
