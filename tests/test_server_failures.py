"""Everything that chat servers were seen to do wrong, and that no caption is lost by it."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doors import finals, report_of, run_here, snapshot
from loopback import Answer, ChatServer, completion
from merges import (
    ALL,
    NAMES,
    answer,
    complaint,
    error,
    failing_first,
    failing_for,
    merge_on,
    note_of,
)


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(sorted(times))]


def whole(text: str = "in cutout style, note", **more: Any) -> bytes:
    return json.dumps({**completion(Answer(text)), **more}).encode()


def stream(*events: object) -> Answer:
    lines = [f"data: {event if isinstance(event, str) else json.dumps(event)}" for event in events]
    body = "\n\n".join(lines).encode()
    return Answer(body=body, headers={"content-type": "text/event-stream"})


def delta(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


PASSING = {
    "an answer cut off amid its body": Answer("x" * 500, cut=True),
    "a rate limit as an error object with status 200": Answer(
        body=b'{"error": {"message": "Rate limit exceeded", "code": 429}}'
    ),
    "an error within a choice": Answer(
        body=b'{"choices": [{"error": {"code": 502, "message": "upstream"}, "message": {}}]}'
    ),
    "a full KV cache": Answer(status=500, body=error("failed to find free space in the KV cache")),
    "a stream that breaks off": stream(delta("in cut")),
    "an overloaded vendor": Answer(status=529, body=error("Overloaded")),
    "a time to wait in the sentence alone": Answer(
        status=429, body=error("Rate limit reached. Please try again in 20ms.")
    ),
    "a time to wait as a date": Answer(
        status=429, headers={"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, body=error("later")
    ),
    "a time to wait in milliseconds": Answer(
        status=429, headers={"retry-after-ms": "15"}, body=error("later")
    ),
    "Google's time to wait": Answer(
        status=429,
        body=b'[{"error": {"code": 429, "message": "Resource exhausted",'
        b' "details": [{"retryDelay": "0.02s"}]}}]',
    ),
    "a model that loads": Answer(status=503, body=error("Loading model")),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_costs_no_caption(notes: Path, fault: Answer) -> None:
    with ChatServer(failing_for_once("03", fault)) as server:
        assert merge_on(server.url, notes) == 0
        assert len(server.requests) == len(NAMES) + 1
    assert finals(notes) == ALL
    assert report_of(notes)["failed"] == []


def failing_for_once(name: str, fault: Answer) -> Callable[[int, dict[str, Any]], Answer]:
    once = failing_first(fault)
    return lambda number, body: (
        once(number, body) if note_of(body) == name else answer(number, body)
    )


def test_an_answer_that_comes_as_a_stream_unasked_is_read(notes: Path) -> None:
    def streaming(number: int, body: dict[str, Any]) -> Answer:
        text = answer(number, body).text
        return stream(delta(text[:5]), delta(text[5:]), delta("", "stop"), "[DONE]")

    with ChatServer(streaming) as server:
        assert merge_on(server.url, notes) == 0
        assert len(server.requests) == len(NAMES)
    assert finals(notes) == ALL


def test_an_answer_in_parts_is_read(notes: Path) -> None:
    def parts(number: int, body: dict[str, Any]) -> Answer:
        data = completion(answer(number, body))
        text = data["choices"][0]["message"]["content"]
        data["choices"][0]["message"]["content"] = [{"type": "text", "text": text}]
        return Answer(body=json.dumps(data).encode())

    with ChatServer(parts) as server:
        assert merge_on(server.url, notes) == 0
    assert finals(notes) == ALL


def test_a_pause_that_one_answer_asks_for_holds_all_workers(notes: Path) -> None:
    limit = Answer(status=429, headers={"retry-after": "1"}, body=error("slow down"))
    with ChatServer(lambda n, body: limit if n == 1 else answer(n, body)) as server:
        assert merge_on(server.url, notes, "--concurrency", "8") == 0
        assert max(gaps(server.times)) > 0.9
        assert len(server.requests) == len(NAMES) + 1
    assert finals(notes) == ALL


def test_limits_told_in_headers_are_kept_without_one_refusal(notes: Path) -> None:
    """As OpenAI tells them: five a second, of which two may come at once."""
    began = time.monotonic()
    lock = threading.Lock()
    left = [2.0, began]
    refused = []

    def limited(number: int, body: dict[str, Any]) -> Answer:
        with lock:
            now = time.monotonic()
            left[0] = min(2.0, left[0] + 5 * (now - left[1]))
            left[1] = now
            if left[0] < 1:
                refused.append(number)
                return Answer(status=429, body=error("slow down"))
            left[0] -= 1
            told = {
                "x-ratelimit-limit-requests": "2",
                "x-ratelimit-remaining-requests": str(int(left[0])),
                "x-ratelimit-reset-requests": f"{(2 - left[0]) / 5:.3f}s",
            }
        result = answer(number, body)
        result.headers = told
        return result

    with ChatServer(limited) as server:
        assert merge_on(server.url, notes, "--concurrency", "2") == 0
    assert finals(notes) == ALL
    assert refused == []


def test_no_more_requests_a_minute_are_sent_than_rpm_allows(notes: Path) -> None:
    with ChatServer(answer) as server:
        assert merge_on(server.url, notes, "--rpm", "240") == 0
        assert max(Counter(int(at - server.times[0]) for at in server.times).values()) <= 4 + 4
        assert server.times[-1] - server.times[0] > 0.9  # eight, of which four may go at once
    assert finals(notes) == ALL


def test_no_more_tokens_a_minute_are_sent_than_tpm_allows(notes: Path) -> None:
    with ChatServer(answer) as server:
        # About 1,500 a request, with the answer's limit; ten seconds' worth may go at once.
        assert merge_on(server.url, notes, "--tpm", "30000") == 0
        assert server.times[-1] - server.times[0] > 4
    assert finals(notes) == ALL


def test_fewer_requests_are_under_way_after_a_server_said_it_is_too_busy(notes: Path) -> None:
    def crowded(number: int, body: dict[str, Any]) -> Answer:
        busy = server.busy
        time.sleep(0.05)
        if busy > 2:
            return Answer(status=503, headers={"retry-after": "0"}, body=b"busy")
        return answer(number, body)

    with ChatServer(crowded) as server:
        assert merge_on(server.url, notes) == 0
        assert server.most_busy <= 4  # never more than at the start
    assert finals(notes) == ALL


SPENT = {
    "of a day": (429, "Rate limit reached on tokens per day (TPD): try again in 5s"),
    "of an account": (429, "You exceeded your current quota, please check your plan and billing"),
    "of credits": (402, "This request requires more credits"),
    "of Google's day": (429, "Quota exceeded: GenerateRequestsPerDayPerProject-FreeTier"),
}


@pytest.mark.parametrize(("status", "message"), SPENT.values(), ids=SPENT)
def test_a_quota_that_is_spent_ends_the_run_at_once_and_the_next_run_goes_on(
    notes: Path, capsys: pytest.CaptureFixture[str], status: int, message: str
) -> None:
    spent = Answer(status=status, body=error(message))
    with ChatServer(lambda number, body: spent if number > 3 else answer(number, body)) as server:
        assert merge_on(server.url, notes, "--concurrency", "1") == 4
        assert len(server.requests) == 4
    line = complaint(capsys.readouterr().err)
    assert message[:20] in line
    assert "start again" in line
    assert report_of(notes)["complete"] is False
    with ChatServer(answer) as server:
        assert merge_on(server.url, notes) == 0
        assert sorted(note_of(body) for body in server.requests) == NAMES[3:]
    assert finals(notes) == ALL


def test_a_quota_of_a_minute_is_waited_for_though_the_sentence_is_that_of_a_day(
    notes: Path,
) -> None:
    told = {
        "code": 429,
        "status": "RESOURCE_EXHAUSTED",
        "message": "You exceeded your current quota, please check your plan and billing details. "
        "For more information on this error, head to the documentation of rate limits." * 3,
        "details": [
            {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"},
            {"retryDelay": "0.2s"},
        ],
    }
    full = Answer(status=429, body=json.dumps([{"error": told}]).encode())
    with ChatServer(lambda number, body: full if number == 2 else answer(number, body)) as server:
        assert merge_on(server.url, notes, "--concurrency", "1") == 0
        assert len(server.requests) == len(NAMES) + 1
    assert finals(notes) == ALL


def test_a_server_that_loads_its_model_at_the_start_is_waited_for(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(answer) as server:
        server.catalogue = [Answer(status=503, body=error("Loading model"))] * 2
        assert merge_on(server.url, notes) == 0
        assert server.probes == 3
    assert "is loading its model" in capsys.readouterr().err
    assert finals(notes) == ALL


def test_server_wait_waits_for_a_server_that_does_not_listen_yet(notes: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    late = []

    def start() -> None:
        time.sleep(1.5)
        late.append(ChatServer(answer, port=port).__enter__())

    thread = threading.Thread(target=start)
    thread.start()
    try:
        assert merge_on(f"http://127.0.0.1:{port}/v1", notes, "--server_wait", "30") == 0
    finally:
        thread.join()
        late[0].stop()
    assert finals(notes) == ALL


def test_an_answer_that_trickles_in_beyond_the_timeout_costs_its_file_alone(notes: Path) -> None:
    slow = Answer("in cutout style, note 03", trickle=0.1)
    with ChatServer(failing_for("03", slow)) as server:
        began = time.monotonic()
        assert merge_on(server.url, notes, "--timeout", "1") == 0
        assert time.monotonic() - began < 15  # its whole would take half a minute
        assert Counter(map(note_of, server.requests))["03"] == 1  # it may still be generating
    (failed,) = report_of(notes)["failed"]
    assert failed["file"] == "03.png"
    assert "--timeout" in failed["reason"]
    assert finals(notes) == {**ALL, "03": "note 03"}


def test_a_file_that_keeps_failing_slowly_is_given_up_at_its_deadline(notes: Path) -> None:
    def broken(number: int, body: dict[str, Any]) -> Answer:
        if note_of(body) != "03":
            return answer(number, body)
        time.sleep(0.8)
        return Answer(status=500, headers={"retry-after": "0"}, body=error("oops"))

    with ChatServer(broken) as server:
        assert merge_on(server.url, notes, "--deadline", "1") == 0
        assert Counter(map(note_of, server.requests))["03"] == 2
    (failed,) = report_of(notes)["failed"]
    assert "--deadline" in failed["reason"]


def refusing(fault: Answer, when: Callable[[dict[str, Any]], bool]) -> ChatServer:
    return ChatServer(lambda n, body: fault if when(body) else answer(n, body))


def test_a_server_that_wants_max_completion_tokens_is_asked_so_from_then_on(notes: Path) -> None:
    message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    fault = Answer(status=400, body=error(message))
    with refusing(fault, lambda body: "max_tokens" in body) as server:
        assert merge_on(server.url, notes, "--concurrency", "1") == 0
        assert ["max_tokens" in body for body in server.requests] == [True] + [False] * 8
        assert all(body.get("max_completion_tokens") == 512 for body in server.requests[1:])
    assert finals(notes) == ALL


@pytest.mark.parametrize(
    "message",
    [
        "System role not supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "Only user and assistant roles are supported!",
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_a_template_without_system_messages_gets_them_in_the_users(
    notes: Path, status: int, message: str
) -> None:
    def system(body: dict[str, Any]) -> bool:
        return any(message["role"] == "system" for message in body["messages"])

    with refusing(Answer(status=status, body=error(message)), system) as server:
        assert merge_on(server.url, notes, "--concurrency", "1") == 0
        assert [system(body) for body in server.requests] == [True] + [False] * 8
        assert "The anchor is" in server.requests[-1]["messages"][0]["content"]
    assert finals(notes) == ALL


def test_a_model_that_takes_no_temperature_is_asked_without(notes: Path) -> None:
    message = "Unsupported value: 'temperature' does not support 0 with this model."
    fault = Answer(status=400, body=error(message))
    with refusing(fault, lambda body: "temperature" in body) as server:
        assert merge_on(server.url, notes, "--concurrency", "1") == 0
        assert len(server.requests) == 9
    assert finals(notes) == ALL


def test_a_model_that_thinks_within_its_limit_gets_four_times_as_much(notes: Path) -> None:
    thinking = Answer("", finish="length", reasoning="First I should look at both texts")
    with refusing(thinking, lambda body: body["max_tokens"] < 2000) as server:
        assert merge_on(server.url, notes, "--concurrency", "1") == 0
        assert [body["max_tokens"] for body in server.requests] == [512] + [2048] * 8
    assert finals(notes) == ALL


def test_a_model_that_always_thinks_too_long_is_asked_to_think_less(notes: Path) -> None:
    thinking = Answer("<think>First I should look", finish="length")
    with refusing(thinking, lambda body: "reasoning_effort" not in body) as server:
        assert merge_on(server.url, notes, "--concurrency", "1") == 0
        efforts = [body.get("reasoning_effort") for body in server.requests]
        assert efforts == [None, None] + ["low"] * 8
    assert finals(notes) == ALL


def test_reasoning_effort_is_sent_as_wished_and_no_more_where_it_is_refused(notes: Path) -> None:
    fault = Answer(status=400, body=error("Unrecognized request argument: reasoning_effort"))
    with refusing(fault, lambda body: "reasoning_effort" in body) as server:
        flags = ["--concurrency", "1", "--reasoning_effort", "none"]
        assert merge_on(server.url, notes, *flags) == 0
        efforts = [body.get("reasoning_effort") for body in server.requests]
        assert efforts == ["none"] + [None] * 8
    assert finals(notes) == ALL


def test_reasoning_is_never_used_as_a_caption(notes: Path) -> None:
    thinking = Answer("", finish="stop", reasoning="annika stands in a wide shot, note 03")
    with ChatServer(failing_for("03", thinking)) as server:
        assert merge_on(server.url, notes) == 0
    (needy,) = report_of(notes)["needs_a_person"]
    assert needy["file"] == "03.png"
    assert finals(notes) == {**ALL, "03": "note 03"}


def test_an_unknown_model_told_with_status_400_ends_the_run_with_those_on_offer(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = Answer(status=400, body=error("The model `missing` does not exist"))
    before = snapshot(notes)
    with ChatServer(lambda *_: fault, models=("tiny", "large")) as server:
        assert merge_on(server.url, notes, "--model", "missing") == 4
        assert len(server.requests) == 1  # before anything is drafted
    line = complaint(capsys.readouterr().err)
    assert "knows no model 'missing'" in line
    assert "it offers: large, tiny" in line
    texts = {name: text for name, text in snapshot(notes).items() if ".enhance" not in name}
    assert texts == before


def test_an_address_that_redirects_is_told_with_where_it_leads(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = Answer(status=301, headers={"location": "https://elsewhere.example/v1"}, body=b"")
    with ChatServer(answer) as server:
        server.catalogue = [moved]
        assert merge_on(server.url, notes) == 4
        assert server.requests == []
    assert "https://elsewhere.example/v1" in complaint(capsys.readouterr().err)


def test_a_wrong_path_is_told_with_the_address(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(answer) as server:
        wrong = server.url.replace("/v1", "/api")
        assert merge_on(wrong, notes, "--model", "tiny") == 4
    line = complaint(capsys.readouterr().err)
    assert wrong in line
    assert "has its chat elsewhere" in line


def test_a_picture_that_the_vendor_moderates_costs_itself_alone(notes: Path) -> None:
    message = "Your chosen model requires moderation and your input was flagged"
    flagged = Answer(status=403, body=error(message))
    with ChatServer(failing_for("03", flagged)) as server:
        assert merge_on(server.url, notes) == 0
    (failed,) = report_of(notes)["failed"]
    assert (failed["file"], "flagged" in failed["reason"]) == ("03.png", True)


def test_a_hosted_server_without_a_key_is_refused_before_anything(
    notes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "  ")
    before = snapshot(notes)
    assert merge_on("https://api.example.com/v1", notes) == 4
    assert "needs a key" in complaint(capsys.readouterr().err)
    assert snapshot(notes) == before


def test_max_cost_stops_before_it_is_passed_and_the_next_run_goes_on(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Each answer has up to 512 tokens at 1 a million thousand: half a coin.
    money = ["--price_out", "1000", "--max_cost", "1.1", "--concurrency", "1"]

    def long(number: int, body: dict[str, Any]) -> Answer:
        data = completion(answer(number, body))
        data["usage"]["completion_tokens"] = 500
        return Answer(body=json.dumps(data).encode())

    with ChatServer(long) as server:
        assert merge_on(server.url, notes, *money) == 4
        assert len(server.requests) == 2
    assert "--max_cost 1.1" in complaint(capsys.readouterr().err)
    report = report_of(notes)
    assert report["complete"] is False
    assert report["stages"]["combined"]["completion_tokens"] == 1000
    with ChatServer(answer) as server:
        assert merge_on(server.url, notes) == 0
        assert sorted(note_of(body) for body in server.requests) == NAMES[2:]
    assert finals(notes) == ALL


def test_max_cost_without_a_price_is_refused(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(answer) as server:
        assert merge_on(server.url, notes, "--max_cost", "1") == 2
        assert server.requests == []
    assert "--price_in" in complaint(capsys.readouterr().err)


def test_more_requests_go_at_once_where_that_brings_more_answers(
    dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "hundred"
    folder.mkdir()
    for number in range(120):
        name = f"{number:03}"
        (folder / f"{name}.png").hardlink_to(dataset / "01.png")
        (folder / f"{name}.txt").write_text(f"note {name}")

    def slow(number: int, body: dict[str, Any]) -> Answer:
        time.sleep(0.1)
        return answer(number, body)

    with ChatServer(slow) as server:
        assert (
            run_here(
                *("--dataset_dir", folder, "--base_url", server.url, "--no_generate"),
                *("--anchor", "cutout style", "--lora_type", "style"),
            )
            == 0
        )
        assert server.most_busy > 8
    assert len(finals(folder)) == 120
