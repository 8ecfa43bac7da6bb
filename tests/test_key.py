"""The key reaches the server, and shows nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from doors import run_here, with_server
from few import caption_all, printed, refusal, write
from loopback import Answer, ChatServer

KEY = "sk-something-that-nobody-may-see"


@pytest.mark.parametrize("line", ["OPENAI_API_KEY: x", "merge:\n  api_key: x", "hf_token: x"])
def test_a_key_in_yaml_is_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str], line: str
) -> None:
    write(Path("my.yaml"), line.replace(": x", f": {KEY}"))
    said = refusal(capsys, "--config", "my.yaml")
    assert "my.yaml" in said
    assert ".env" in said
    assert KEY not in said


def test_print_config_says_that_there_is_a_key_and_not_which(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "OPENAI_API_KEY: not set" in printed(capsys)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    text = printed(capsys)
    assert "OPENAI_API_KEY: set" in text
    assert KEY not in text


def test_the_key_of_dotenv_reaches_the_server_and_nothing_else(
    few: Path, server: ChatServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(Path(".env"), f"OPENAI_API_KEY={KEY}\n")
    log = tmp_path / "run.log"
    caption_all(few, server, "--log_level", "debug", "--log_file", str(log))
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    files = [path for path in few.rglob("*") if path.is_file()]
    assert not [path for path in [*files, log] if KEY.encode() in path.read_bytes()]
    assert KEY not in "".join(capfd.readouterr())


def test_a_server_that_repeats_the_key_in_its_error_does_not_get_it_printed(
    few: Path,
    server: ChatServer,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    body = f'{{"error": {{"message": "Incorrect key {KEY}"}}}}'.encode()
    server.script = lambda *_: Answer(status=401, body=body)
    flags = with_server(server)
    assert run_here("--dataset_dir", few, *flags, "--log_level", "debug") == 4
    told = "".join(capfd.readouterr())
    assert "Incorrect key ***" in told
    assert KEY not in told


def test_the_environment_wins_over_the_key_of_dotenv(
    few: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(Path(".env"), "OPENAI_API_KEY=another\n")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caption_all(few, server)
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("flags", [["--api_key", KEY], [f"--api_key={KEY}"]], ids=["two", "one"])
def test_a_key_given_as_a_flag_is_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    line = refusal(capsys, *flags)
    assert "--api_key" in line
    assert KEY not in line


def test_a_key_under_our_own_prefix_is_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENHANCE_API_KEY", KEY)
    line = refusal(capsys)
    assert "api_key" in line
    assert KEY not in line
