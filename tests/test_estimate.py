"""What --dry_run tells of requests, tokens, time and money before they are spent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doors import CHAT, report_of, snapshot
from few import said
from loopback import ChatServer
from merges import NAMES, answer
from seeing import seeing

FLAGS = ("--anchor", "cutout style", "--lora_type", "style", "--no_generate")


def planned(
    capsys: pytest.CaptureFixture[str], folder: Path, server: ChatServer, *more: str
) -> str:
    arguments = ("--dataset_dir", folder, "--base_url", server.url, *FLAGS, "--dry_run", *more)
    return "\n".join(said(capsys, 0, *arguments))


def test_a_plan_tells_how_often_and_how_much_is_asked_and_asks_no_model(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(notes)
    with ChatServer(answer) as server:
        told = planned(capsys, notes, server)
        assert server.requests == []
    assert "merge: 8 of 8 files would run" in told
    asked = r"asks 8 times; asking again comes on top: about [\d,]+ tokens in \(estimated at 4"
    assert re.search(asked, told)
    assert "--limit 20" in told
    assert "costs" not in told
    assert snapshot(notes) == before


def test_tokens_are_counted_where_the_tokenizer_of_the_model_is_at_hand(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(answer) as server:
        told = planned(capsys, notes, server, "--model", str(CHAT))
    assert "(counted by the model's tokenizer)" in told


def test_tokens_are_counted_by_a_server_that_counts_them(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(answer, tokenizes=True) as server:
        told = planned(capsys, notes, server)
        assert "(counted by the model's tokenizer)" in told
        (tokens,) = re.findall(r"about ([\d,]+) tokens in", told)
        assert int(tokens.replace(",", "")) < 8 * 2000  # a word each, as this server counts
        assert server.requests == []


def test_a_probe_of_a_few_files_tells_the_time_and_the_length_of_answers(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(answer) as server:
        flags = ("--dataset_dir", notes, "--base_url", server.url, *FLAGS)
        said(capsys, 0, *flags, "--limit", "2")
        used = report_of(notes)["stages"]["combined"]
        told = planned(capsys, notes, server)
    assert "asks 6 times" in told
    assert re.search(r"about \d+ s, at the pace of the last run \(2 files in \d+ s\)", told)
    length = used["completion_tokens"] / used["requests"]
    assert f"{6 * length:.0f} out ({length:.0f} an answer, as in the last run)" in told


def test_a_price_makes_a_cost_and_tells_where_max_cost_would_stop(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(answer) as server:
        told = planned(capsys, notes, server, "--price_in", "100", "--max_cost", "0.01")
        (tokens,) = re.findall(r"about ([\d,]+) tokens in", told)
        (cost,) = re.findall(r"costs about ([\d.]+) by", told)
        assert float(cost) == pytest.approx(int(tokens.replace(",", "")) * 100 / 1e6, rel=0.01)
        assert "--max_cost 0.01 stops before" in told


def test_the_report_tells_what_was_really_used_and_paid(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(answer) as server:
        flags = ("--dataset_dir", notes, "--base_url", server.url, *FLAGS)
        told = said(capsys, 0, *flags, "--price_in", "1", "--price_out", "2")
    used = report_of(notes)["stages"]["combined"]
    assert used["requests"] == len(NAMES)
    paid = (used["prompt_tokens"] + 2 * used["completion_tokens"]) / 1e6
    assert used["cost"] == pytest.approx(paid)
    assert any(f"cost {paid:.4g}" in line for line in told)


def drafting(folder: Path, server: ChatServer, *more: object) -> tuple[object, ...]:
    flags = ("--dataset_dir", folder, "--captioner_base_url", server.url, "--until", "generated")
    return (*flags, "--price_in", 10, "--price_out", 20, *more)


def test_a_plan_tells_what_a_captioners_server_is_asked_without_the_pictures_own_tokens(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(seeing()) as server:
        told = "\n".join(said(capsys, 0, *drafting(notes, server, "--dry_run")))
        assert server.requests == []
    assert "draft: 8 of 8 files would run" in told
    asked = r"asks 8 times; asking again comes on top: about ([\d,]+) tokens in \(estimated at 4 "
    (tokens,) = re.findall(asked + r"letters each; without the pictures' own, which", told)
    (cost,) = re.findall(r"costs about ([\d.]+) by the prices given, without the pictures", told)
    paid = (10 * int(tokens.replace(",", "")) + 20 * 8 * 90) / 1e6
    assert float(cost) == pytest.approx(paid, rel=0.01)


def test_after_a_probe_a_plan_tells_the_tokens_of_pictures_too(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(seeing()) as server:
        said(capsys, 0, *drafting(notes, server, "--limit", 2))
        used = report_of(notes)["stages"]["generated"]
        told = "\n".join(said(capsys, 0, *drafting(notes, server, "--dry_run", "--max_cost", 0.01)))
    tokens = 6 * used["prompt_tokens"] / 2
    assert f"about {tokens:,.0f} tokens in (with the pictures, as in the last run)" in told
    assert "--max_cost 0.01 stops before" in told
