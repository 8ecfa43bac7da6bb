"""Fixtures: settings of no machine, a dataset of drawn scenes, a loopback server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import SHAPES
from few import draw_few
from loopback import ChatServer
from merges import NAMES

os.environ["HF_HUB_OFFLINE"] = "1"  # before the first import of huggingface_hub
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tiny models are faster so, on busy machines too


OF_THE_MACHINE = (
    *("ENHANCE_", "OPENAI_", "CAPTIONER_", "GEMINI_", "GOOGLE_", "REPLICATE_", "GETCAP_"),
    "ACCELERATE_",
)


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test: its variables, its .env, its hub cache."""
    for name in list(os.environ):
        if name.startswith(OF_THE_MACHINE):
            monkeypatch.delenv(name)
    work = tmp_path / "cwd"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer() as running:
        yield running


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A copy of the example dataset: twelve scenes, seven of them with a manual caption."""
    copy = tmp_path / "my images"
    shutil.copytree(SHAPES, copy)
    return copy


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Three pictures that no model has seen, two of them captioned by hand."""
    return draw_few(tmp_path / "few")


@pytest.fixture
def notes(dataset: Path, tmp_path: Path) -> Path:
    """Eight pictures, each with a manual caption: merging them needs no draft and no model."""
    folder = tmp_path / "notes"
    folder.mkdir()
    picture = (dataset / "01.png").read_bytes()
    for name in NAMES:
        (folder / f"{name}.png").write_bytes(picture)
        (folder / f"{name}.txt").write_text(f"note {name}")
    return folder
