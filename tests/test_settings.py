"""Settings: five layers through one parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from doors import FLORENCE, report_of, run_here
from few import printed, refusal, write
from loopback import ChatServer

KEY = "sk-something-that-nobody-may-see"


def settings(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, tuple[Any, str]]:
    """Each setting's value and origin, as --print_config tells them."""
    text = printed(capsys, *arguments)
    values = {name: value for part in yaml.safe_load(text).values() for name, value in part.items()}
    origins = {
        line.split(":")[0].strip(): line.rsplit("# ", 1)[1]
        for line in text.splitlines()
        if line.startswith("  ")
    }
    return {name: (value, origins[name]) for name, value in values.items()}


def test_a_flag_wins_over_the_environment_over_dotenv_over_yaml_over_the_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(Path("my.yaml"), "anchor: d\nlimit: 4\nprompt: d\nmerge_temperature: 0.4\n")
    write(Path(".env"), "ENHANCE_ANCHOR=c\nENHANCE_LIMIT=3\nENHANCE_PROMPT=c\n")
    monkeypatch.setenv("ENHANCE_ANCHOR", "b")
    monkeypatch.setenv("ENHANCE_LIMIT", "2")
    found = settings(capsys, "--config", "my.yaml", "--anchor", "a")
    assert found["anchor"] == ("a", "flag")
    assert found["limit"] == (2, "environment")
    assert found["prompt"] == ("c", ".env")
    assert found["merge_temperature"] == (0.4, "my.yaml")
    assert found["lora_type"] == ("character", "default")


def test_the_layers_reach_the_run_and_the_report_says_where_each_setting_came_from(
    few: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENHANCE_ANCHOR", "paper style")
    write(Path(".env"), f"ENHANCE_LORA_TYPE=style\nENHANCE_MODEL_ID={FLORENCE}\n")
    write(Path("my.yaml"), f"merge:\n  base_url: {server.url}\nload:\n  limit: 1\n")
    assert run_here("--dataset_dir", few, "--config", "my.yaml") == 0
    assert "paper style" in (few / "one.txt").read_text()
    said = report_of(few)["settings"]
    assert said["anchor"] == {"value": "paper style", "from": "environment"}
    assert said["lora_type"] == {"value": "style", "from": ".env"}
    assert said["limit"] == {"value": 1, "from": "my.yaml"}
    assert said["dataset_dir"] == {"value": str(few), "from": "flag"}
    assert said["until"] == {"value": "final", "from": "default"}


def test_kebab_case_is_accepted_in_flags_and_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path("my.yaml"), "run:\n  dry-run: true\nmax-new-tokens: 9\n")
    found = settings(capsys, "--config=my.yaml", "--lora-type=style", "--no-recursive")
    assert found["dry_run"] == (True, "my.yaml")
    assert found["max_new_tokens"] == (9, "my.yaml")
    assert found["lora_type"] == ("style", "flag")
    assert found["recursive"] == (False, "flag")


def test_a_value_with_dashes_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert settings(capsys, "--anchor=ann-ika", "--prompt", "a-b")["anchor"] == ("ann-ika", "flag")


@pytest.mark.parametrize(
    ("spelled", "name", "value"),
    [
        ("overlap: false", "overlap", False),
        ("no_overlap: true", "overlap", False),
        ("no_overlap: false", "overlap", True),
        ("generate: {generate: off}", "generate", False),
        ("recursive: 'no'", "recursive", False),
        ("strict: yes", "strict", True),
        ("overwrite: [combined, final]", "overwrite", ["combined", "final"]),
        ("overwrite: final", "overwrite", ["final"]),
        ("anchor:", "anchor", ""),
    ],
)
def test_yaml_switches_and_lists(
    capsys: pytest.CaptureFixture[str], spelled: str, name: str, value: object
) -> None:
    write(Path("my.yaml"), spelled)
    assert settings(capsys, "--config", "my.yaml")[name][0] == value


@pytest.mark.parametrize("anchor", ["no", "on", "007", "1e3", "1_000", "~x", "null x"])
def test_a_text_in_yaml_is_taken_as_it_is_written(
    capsys: pytest.CaptureFixture[str], anchor: str
) -> None:
    write(Path("my.yaml"), f"anchor: {anchor}\n")
    assert settings(capsys, "--config", "my.yaml")["anchor"][0] == anchor


def test_switches_in_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENHANCE_STRICT", "1")
    monkeypatch.setenv("ENHANCE_NO_GENERATE", "true")
    monkeypatch.setenv("ENHANCE_RECURSIVE", "false")
    monkeypatch.setenv("ENHANCE_OVERWRITE", "combined final")
    found = settings(capsys)
    assert found["strict"] == (True, "environment")
    assert found["generate"] == (False, "environment")
    assert found["recursive"] == (False, "environment")
    assert found["overwrite"] == (["combined", "final"], "environment")


def test_a_flag_switches_back_what_a_file_switched(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path("my.yaml"), "strict: true\nno_generate: true\n")
    found = settings(capsys, "--config", "my.yaml", "--no_strict", "--generate")
    assert (found["strict"][0], found["generate"][0]) == (False, True)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("ancor", "annika", "ancor"),
        ("limit", "many", "many"),
        ("until", "sunset", "sunset"),
        ("strict", "maybe", "maybe"),
    ],
    ids=["typo", "type", "choice", "switch"],
)
def test_what_is_wrong_is_refused_in_every_layer_and_the_layer_is_named(
    few: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    what: str,
) -> None:
    line = refusal(capsys, "--dataset_dir", few, f"--{name}={value}")
    assert what in line

    monkeypatch.setenv(f"ENHANCE_{name.upper()}", value)
    line = refusal(capsys, "--dataset_dir", few)
    assert what in line
    assert "environment" in line
    monkeypatch.delenv(f"ENHANCE_{name.upper()}")

    write(Path(".env"), f"ENHANCE_{name.upper()}={value}\n")
    line = refusal(capsys, "--dataset_dir", few)
    assert what in line
    assert ".env" in line
    Path(".env").unlink()

    write(Path("my.yaml"), f"{name}: {value}\n")
    line = refusal(capsys, "--dataset_dir", few, "--config", "my.yaml")
    assert what in line
    assert "my.yaml" in line
    assert not (few / ".enhance").exists()


@pytest.mark.parametrize(
    "content",
    [b"- a list", b"anchor: [", b"anchor: \xff\xfe", b"load: 3", b"config: other.yaml"],
    ids=["no mapping", "broken", "no text", "no section", "another file"],
)
def test_a_yaml_file_that_cannot_be_used_is_refused(
    capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    write(Path("my.yaml"), content)
    assert "my.yaml" in refusal(capsys, "--config", "my.yaml")


def test_a_missing_yaml_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.yaml" in refusal(capsys, "--config", "nowhere.yaml")


def test_a_dotenv_that_is_no_text_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path(".env"), "ENHANCE_ANCHOR=café".encode("cp1252"))
    assert ".env" in refusal(capsys)


def test_what_print_config_says_can_be_read_again_by_config(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = [
        *("--anchor", 'it\'s: a #1 "café"', "--prompt", "<A> no", "--limit", "7"),
        *("--no_generate", "--strict", "--overwrite", "combined", "final"),
        *("--merge_temperature", "0.5"),
        *("--model", "on", "--revision", "007", "--lora_type", "style"),
    ]
    first = settings(capsys, *flags)
    write(Path("again.yaml"), printed(capsys, *flags))
    again = settings(capsys, "--config", "again.yaml")
    assert {name: value for name, (value, _) in again.items()} == {
        name: value for name, (value, _) in first.items()
    }
    # null and [] are "not given", in every layer
    assert {origin for value, origin in again.values() if value not in (None, [])} == {"again.yaml"}


def test_the_printed_defaults_can_be_read_again(capsys: pytest.CaptureFixture[str]) -> None:
    first = settings(capsys)
    write(Path("again.yaml"), printed(capsys))
    again = settings(capsys, "--config", "again.yaml")
    assert [value for value, _ in again.values()] == [value for value, _ in first.values()]


def test_a_shipped_configuration_is_named_without_its_path(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert settings(capsys, "--config", "low_memory")["overlap"][0] is False


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_openai_base_url_names_the_server(
    few: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == ".env":
        write(Path(".env"), f"OPENAI_BASE_URL={server.url}\n")
    else:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    assert run_here("--dataset_dir", few, "--model_id", FLORENCE, "--lora_type", "style") == 0
    assert len(server.requests) == 3


GETCAP = {
    "GETCAP_THREAD_POOL": "7",
    "GETCAP_THROTTLE_SUBMISSION_RATE": "1.5",
    "GETCAP_LOG_LEVEL": "WARNING",
    "GETCAP_THROTTLE_RETRIES": "100",
    "GETCAP_THROTTLE_BACKOFF_FACTOR": "2",
    "OPENAI_MODEL": "gpt-x",
    "OPENAI_BASE_URL": "http://127.0.0.1:9",
}


@pytest.mark.parametrize("where", ["environment", ".env"])
def test_names_of_the_older_tool_are_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == ".env":
        write(Path(".env"), "".join(f"{name}={value}\n" for name, value in GETCAP.items()))
    else:
        for name, value in GETCAP.items():
            monkeypatch.setenv(name, value)
    found = settings(capsys)
    assert found["concurrency"] == (7, where)
    assert found["rpm"] == (90, where)
    assert found["log_level"] == ("warning", where)
    assert found["model"] == ("gpt-x", where)
    assert found["base_url"] == ("http://127.0.0.1:9", where)


def test_each_name_of_another_tool_that_holds_is_told_and_so_is_what_has_no_counterpart(
    few: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**GETCAP, "GETCAP_LOG_LEVEL": "INFO"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENHANCE_MODEL", "mine")
    assert run_here("--dataset_dir", few, "--concurrency", "2", "--dry_run") == 0
    told = [
        line for line in capsys.readouterr().err.splitlines() if line[:6] in {"GETCAP", "OPENAI"}
    ]
    assert [line.partition(":")[0] for line in told] == [
        "OPENAI_BASE_URL is read as --base_url http",
        "GETCAP_THROTTLE_SUBMISSION_RATE is read as --rpm 90",
        "GETCAP_LOG_LEVEL is read as --log_level info",
        "GETCAP_THROTTLE_RETRIES has no counterpart",
        "GETCAP_THROTTLE_BACKOFF_FACTOR has no counterpart",
    ]


def test_a_rate_of_the_older_tool_that_is_no_number_is_refused_by_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GETCAP_THROTTLE_SUBMISSION_RATE", "fast")
    assert "GETCAP_THROTTLE_SUBMISSION_RATE: 'fast' is no number" in refusal(capsys)


def test_caption_dir_is_output_dir_in_every_layer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings(capsys, "--caption-dir", "out")["output_dir"] == ("out", "flag")
    write(Path("my.yaml"), "caption_dir: there\n")
    assert settings(capsys, "--config", "my.yaml")["output_dir"] == ("there", "my.yaml")
    monkeypatch.setenv("ENHANCE_CAPTION_DIR", "here")
    assert settings(capsys, "--config", "my.yaml")["output_dir"] == ("here", "environment")


def test_a_dotenv_saved_by_notepad_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path(".env"), "ENHANCE_ANCHOR=café\n".encode("utf-8-sig"))
    assert settings(capsys)["anchor"] == ("café", ".env")


@pytest.mark.parametrize(
    "flags",
    [
        ["--batch_size", "-1"],
        ["--limit", "-1"],
        ["--max_tokens", "0"],
        ["--max_new_tokens", "0"],
        ["--concurrency", "-2"],
        ["--merge_temperature", "9"],
        ["--timeout", "0"],
    ],
)
def test_a_number_out_of_its_range_is_refused(
    few: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here("--dataset_dir", few, *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert flags[0] in line
    assert "at least" in line


def test_a_misspelt_flag_is_answered_with_what_was_meant(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here("--dataset_dir", few, "--ancor", "annika") == 2
    assert "did you mean --anchor?" in capsys.readouterr().err


def test_an_anchor_of_two_lines_is_refused(few: Path) -> None:
    assert run_here("--dataset_dir", few, "--anchor", "two\nlines") == 2


def test_a_task_that_the_captioner_does_not_know_is_refused(
    few: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--model_id", FLORENCE, "--until", "generated", "--prompt", "<FOO>"]
    assert run_here("--dataset_dir", few, *flags) == 2
    assert "<MORE_DETAILED_CAPTION>" in capsys.readouterr().err
