"""The chat model in this process: the embedded default, on the shipped checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from doors import CHAT, FLORENCE, finals, local_models, run_here


def copy_with_template(tmp_path: Path, template: str) -> Path:
    """The chat checkpoint with another chat template."""
    copy = tmp_path / "chat"
    shutil.copytree(CHAT, copy)
    (copy / "chat_template.jinja").write_text(template, encoding="utf-8")
    return copy


def merge_with(model: Path, dataset: Path) -> int:
    """The example dataset, merged by `model`."""
    flags = ["--anchor", "cutout style", "--lora_type", "style", "--model_id", FLORENCE]
    return run_here("--dataset_dir", dataset, *flags, "--model", model)


def test_a_template_without_a_system_role_gets_the_instructions_from_the_user(
    dataset: Path, tmp_path: Path
) -> None:
    template = (CHAT / "chat_template.jinja").read_text(encoding="utf-8")
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    assert merge_with(copy_with_template(tmp_path, refusal + template), dataset) == 0
    assert finals(dataset)["04 日本"] == "a green square above an orange cross in cutout style"


def test_a_model_without_a_chat_template_is_refused_before_any_draft(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = copy_with_template(tmp_path, "")
    (model / "chat_template.jinja").unlink()
    settings = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert "chat_template" not in settings
    assert merge_with(model, dataset) == 4
    assert "no chat template" in capsys.readouterr().err
    assert not (dataset / "01_generated.txt").exists()


def test_a_captioner_is_refused_as_a_chat_model_before_any_draft(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert merge_with(FLORENCE, dataset) == 4
    assert "no language model" in capsys.readouterr().err
    assert not (dataset / "01_generated.txt").exists()


def test_an_answer_at_the_token_limit_is_not_published(dataset: Path) -> None:
    assert run_here("--dataset_dir", dataset, *local_models(), "--max_tokens", 5, "--strict") == 3
    assert not (dataset / "04 日本.txt").exists()
    assert (dataset / "01.txt").read_bytes() == b"wide shot, bright noon light, calm mood"


def test_anchors_and_facts_it_was_never_shown_are_kept(dataset: Path) -> None:
    (dataset / "01.txt").write_text("at the K-17 harbour", encoding="utf-8")
    assert run_here("--dataset_dir", dataset, *local_models("Zoë style")) == 0
    assert finals(dataset)["01"] == (
        "a yellow square above a black star in Zoë style, at the K-17 harbour"
    )
