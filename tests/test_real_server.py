"""A real chat server, `transformers serve`, with the tiny chat model that the examples ship."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import CHAT, FLORENCE, SHAPES, finals, local_models, report_of, run_here
from launches import real_server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that runs for all tests of this file."""
    home = tmp_path_factory.mktemp("hugging face")
    (home / "hub").mkdir()  # the server lists its models from there, and fails without
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(CHAT)]
    command += ["--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1"]
    settings = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with real_server(command, home, "/health", **settings) as address:
        yield address


def test_it_merges_the_examples_as_the_same_model_does_in_process(
    served: str, dataset: Path, tmp_path: Path
) -> None:
    alone = Path(shutil.copytree(SHAPES, tmp_path / "alone"))
    assert run_here("--dataset_dir", alone, *local_models()) == 0
    flags = ["--model_id", str(FLORENCE), "--anchor", "cutout style", "--lora_type", "style"]
    assert run_here("--dataset_dir", dataset, *flags, "--base_url", served, "--model", CHAT) == 0
    captions = finals(dataset)
    assert captions == finals(alone)
    assert captions["01"] == (
        "a yellow square above a black star in cutout style, "
        "wide shot, bright noon light, calm mood"
    )
    assert len(captions) == 12
    report = report_of(dataset)
    assert report["files"] == {"all": 12, "captioned": 12}
    assert report["stages"]["combined"]["requests"] == 12
    assert report["stages"]["combined"]["completion_tokens"] > 0


def test_it_is_asked_for_a_model_by_name_as_it_lists_none(
    served: str, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here("--dataset_dir", dataset, "--no_generate", "--base_url", served) == 4
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{served}/v1" in line
    assert "--model" in line
