"""llama.cpp's server with the tiny chat model, where its Python package is installed.

It is built from source for ten minutes, so it is no part of `.[dev]`:

    .venv/bin/python -m pip install "llama-cpp-python[server]" gguf
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import CHAT, FLORENCE, finals, report_of, run_here
from few import said
from launches import real_server

pytest.importorskip("llama_cpp", reason="llama.cpp's Python package is not installed")
pytest.importorskip("gguf", reason="gguf is not installed")

STYLE = ("--model_id", str(FLORENCE), "--anchor", "cutout style", "--lora_type", "style")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a context of 1024 tokens."""
    from gguf_of import write_gguf

    folder = tmp_path_factory.mktemp("llama")
    write_gguf(CHAT, folder / "tiny.gguf")
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(folder / "tiny.gguf")]
    command += ["--model_alias", "tiny", "--n_ctx", "1024"]
    with real_server(command, folder, "/v1/models") as address:
        yield address


def test_it_merges_the_examples_with_the_only_model_it_lists(llama: str, dataset: Path) -> None:
    assert run_here("--dataset_dir", dataset, *STYLE, "--base_url", llama) == 0
    captions = finals(dataset)
    assert len(captions) == 12
    assert captions["01"] == (
        "a yellow square above a black star in cutout style, "
        "wide shot, bright noon light, calm mood"
    )
    assert report_of(dataset)["stages"]["combined"]["completion_tokens"] > 0


def test_a_draft_beyond_its_context_is_shortened(
    llama: str, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = "The image shows a yellow square above a black star on a grey background. "
    (dataset / "01_generated.txt").write_text(draft + "There is more paper. " * 2000)
    said(capsys, 0, "--dataset_dir", dataset, *STYLE, "--base_url", llama, "--no_repair")
    assert "01" in finals(dataset)
    assert report_of(dataset)["failed"] == []
