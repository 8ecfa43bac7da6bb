"""What a stranger gets: the demo, the wheel, and no surprise from the folder they stand in."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import scenes
from doors import REPOSITORY, finals, local_models, run


def test_the_demo_is_right_about_every_picture(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes.main([str(tmp_path / "drawn anew")])
    truth = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    done = run(*("--config", "configs/shapes.yaml", "--dataset_dir", dataset), cwd=str(REPOSITORY))
    assert done.returncode == 0, done.stderr
    expected = {}
    for name, phrase in truth.items():
        stem = name.rsplit(".", 1)[0]
        manual = dataset / f"{stem}_manual.txt"
        extra = f", {manual.read_text(encoding='utf-8')}" if manual.exists() else ""
        expected[stem] = f"{phrase} in cutout style{extra}"
    assert finals(dataset) == expected
    assert sum(", " in caption for caption in expected.values()) == 7
    table = subprocess.run(
        [sys.executable, "examples/table.py", str(dataset)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert all(name in table.stdout for name in truth)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, as pip would lay it into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def test_the_wheel_brings_prompts_and_configurations(installed: Path) -> None:
    inside = {path.relative_to(installed).as_posix() for path in installed.rglob("*")}
    for name in ("base.j2", "character.toml", "style.j2", "motion.toml", "object.j2"):
        assert f"enhance/prompts/{name}" in inside
    assert "enhance/prompts/words/synonyms.toml" in inside
    assert "enhance/configs/example.yaml" in inside
    assert not any(name.startswith(("prompts", "configs", "tests", "examples")) for name in inside)


def test_folders_of_the_user_with_our_names_do_not_get_in_the_way(
    installed: Path, dataset: Path, tmp_path: Path
) -> None:
    here = tmp_path / "a project"
    for name in ("stages", "prompts", "configs"):
        (here / name).mkdir(parents=True)
    (here / "prompts" / "style.toml").write_text("nonsense")
    done = run(
        *("--dataset_dir", dataset, *local_models()),
        cwd=str(here),
        env={"PYTHONPATH": str(installed)},
    )
    assert done.returncode == 0, done.stderr
    assert len(finals(dataset)) == 12
