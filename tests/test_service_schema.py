"""The service is what its /openapi.json says: schemathesis asks whatever the description allows,
and what it does not allow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from doors import REPOSITORY, draw_scenes
from serving import Service, ready

ST = Path(sys.executable).with_name("st")
TOKEN = "s3cret-of-the-tests"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It holds what the description's examples name."""
    root = tmp_path_factory.mktemp("schema") / "images"
    draw_scenes(root, ["01.png", "02.png"])
    return root


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    with Service(folder, "--preload") as one:
        ready(one)
        yield one


def asked(service: Service, tmp_path: Path, *flags: str) -> list[Any]:
    """All requests of schemathesis with their answers, which are as described."""
    har = tmp_path / "all.har"
    config = REPOSITORY / "tests" / "schemathesis.toml"
    command = [ST, "--config-file", config, "run", f"{service.url}/openapi.json"]
    command += ["--continue-on-failure", "--report-har-path", har, *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    entries: list[Any] = json.loads(har.read_text())["log"]["entries"]
    return entries


def test_every_answer_to_what_is_allowed_and_what_is_not_is_as_described(
    service: Service, tmp_path: Path
) -> None:
    entries = asked(service, tmp_path)
    _, described = service.get("/openapi.json")
    seen: dict[tuple[str, str], set[int]] = {}
    for entry in entries:
        place = (urlsplit(entry["request"]["url"]).path, entry["request"]["method"].lower())
        seen.setdefault(place, set()).add(entry["response"]["status"])
    del described["paths"]["/openapi.json"]  # which schemathesis has read, and asks no more
    for path, methods in described["paths"].items():
        methods.pop("parameters", None)
        for method, route in methods.items():
            if "200" in route["responses"] and "{" not in path:
                assert 200 in seen[path, method], (path, seen)
            if "requestBody" in route:
                assert 400 in seen[path, method], (path, seen)
    assert service.get("/health")[1]["model_loaded"] is True


def test_where_a_token_is_set_nothing_but_the_health_is_told_without_it(
    folder: Path, tmp_path: Path
) -> None:
    with Service(folder, env={"CAPTION_TOKEN": TOKEN}) as service:
        authorized = {"Authorization": f"Bearer {TOKEN}"}
        _, described = service.get("/openapi.json", **authorized)
        refused = set()
        for path, methods in described["paths"].items():
            for method in {*methods} - {"parameters"}:
                status, _ = service._ask(method.upper(), path, b"{}", {})
                refused |= {path} if status == 401 else set()
        assert {*described["paths"]} - refused == {"/health"}
        flags = ("-H", f"Authorization: Bearer {TOKEN}", "--phases", "examples")
        asked(service, tmp_path, *flags)
