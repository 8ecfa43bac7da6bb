"""Batches of pictures: each is sent once, whatever happens, and its answer becomes the draft."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from batches import BatchServer, refusal
from doors import TWO_RANKS, finals, report_of, run, run_here, snapshot, start
from few import write
from films import colours, film
from launches import PATIENCE, kill_all, leftovers, wait_until
from loopback import Answer, ChatServer, merge
from merges import complaint
from PIL import Image
from seeing import (
    bytes_of,
    colour_at,
    describe,
    drafts_of,
    paint,
    picture_of,
    pictures_of,
    seeing,
)

COLOURS = ("red", "green", "blue", "yellow", "orange")
DRAFTS = {colour: f"a {colour} wall in a wide shot" for colour in COLOURS}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five pictures, each of one colour."""
    folder = tmp_path / "pictures"
    for colour in COLOURS:
        paint(folder / f"{colour}.png", colour)
    return folder


@pytest.fixture
def batches() -> Iterator[BatchServer]:
    with BatchServer() as running:
        yield running


def flags(server: BatchServer, folder: Path, *more: object) -> list[object]:
    where = ("--dataset_dir", folder, "--captioner_base_url", server.url)
    return [*where, "--until", "generated", "--batch_api", *more]


@dataclass(frozen=True)
class Done:
    """What a run said."""

    stdout: str
    stderr: str


def draft(server: BatchServer, folder: Path, *more: object, status: int = 0) -> Done:
    """A run through the program's door."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        ended = run_here(*flags(server, folder, *more))
    assert ended == status, err.getvalue()
    return Done(out.getvalue(), err.getvalue())


def drafts(folder: Path) -> dict[str, str]:
    return {
        path.name.removesuffix("_generated.txt"): path.read_text("utf-8")
        for path in sorted(folder.rglob("*_generated.txt"))
    }


def failed(folder: Path) -> dict[str, str]:
    told = report_of(folder)
    return {row["file"]: row["reason"] for row in (*told["failed"], *told["later"])}


def once(server: BatchServer, count: int = len(COLOURS)) -> bool:
    """True if so many requests ran in batches, and none of them twice, even of those that nobody
    has looked at."""
    server.finish()
    return len(server.asked) == count and set(server.asked.values()) == {1}


def test_what_a_batch_asks_is_what_the_client_would_ask_at_once(
    pictures: Path, tmp_path: Path, batches: BatchServer
) -> None:
    draft(batches, pictures, "--detail", "low", "--temperature", 0.2)
    assert drafts(pictures) == DRAFTS
    assert once(batches)
    other = tmp_path / "other"
    for colour in COLOURS:
        paint(other / f"{colour}.png", colour)
    with ChatServer(seeing()) as server:
        where = ("--dataset_dir", other, "--captioner_base_url", server.url)
        how = ("--until", "generated", "--detail", "low", "--temperature", 0.2)
        assert run_here(*where, *how) == 0
        at_once = sorted(json.dumps(body, sort_keys=True) for body in drafts_of(server))
    assert sorted(json.dumps(body, sort_keys=True) for body in batches.bodies) == at_once


def test_the_bytes_of_each_picture_arrive(tmp_path: Path, batches: BatchServer) -> None:
    folder = tmp_path / "noise"
    folder.mkdir()
    for number in range(3):
        Image.effect_noise((90 + number, 70), 60).save(folder / f"{number}.png")
    draft(batches, folder)
    sizes = set()
    for body in batches.bodies:
        sent = picture_of(body)
        sizes.add(sent.size)
        file = Image.open(folder / f"{sent.width - 90}.png").convert("RGB")
        pairs = zip(sent.tobytes(), file.tobytes(), strict=True)
        assert sum(abs(one - other) for one, other in pairs) / len(file.tobytes()) < 6
    assert sizes == {(90, 70), (91, 70), (92, 70)}


def test_a_second_run_asks_nothing_and_touches_nothing(
    pictures: Path, batches: BatchServer
) -> None:
    draft(batches, pictures)
    before, calls = snapshot(pictures), Counter(batches.calls)
    draft(batches, pictures)
    assert snapshot(pictures) == before
    assert batches.calls == calls


def test_drafts_of_a_batch_are_those_of_a_run_without_batches(
    pictures: Path, batches: BatchServer
) -> None:
    draft(batches, pictures)
    flag = flags(batches, pictures)
    flag.remove("--batch_api")
    assert run(*flag).returncode == 0
    assert not batches.drafts_alone


def test_a_batch_has_as_many_pictures_as_batch_size_says(
    pictures: Path, batches: BatchServer
) -> None:
    draft(batches, pictures, "--batch_size", 2)
    assert sorted(len(one.requests) for one in batches.batches.values()) == [1, 2, 2]
    assert drafts(pictures) == DRAFTS


def test_a_run_that_does_not_wait_sends_all_and_the_same_command_collects_it(
    pictures: Path, batches: BatchServer
) -> None:
    batches.held = True
    for _ in range(2):
        done = draft(batches, pictures, "--batch_size", 2, "--batch_wait", 0)
        assert "3 batches of 5 pictures are under way" in done.stderr
        assert "5 under way" in done.stdout
        assert "failed" not in done.stdout
        assert "the same command collects" in done.stderr
        assert drafts(pictures) == {}
        assert len(failed(pictures)) == 5
        assert all("under way" in reason for reason in failed(pictures).values())
        assert batches.calls["create"] == 3
    draft(batches, pictures, "--batch_size", 2, "--batch_wait", 0, "--strict", status=3)
    batches.held = False
    for _ in range(3):  # a look a run
        draft(batches, pictures, "--batch_size", 2, "--batch_wait", 0)
    assert drafts(pictures) == DRAFTS
    assert failed(pictures) == {}
    assert batches.calls["create"] == 3
    assert once(batches)


def test_a_run_that_has_waited_long_enough_ends_and_keeps_what_was_answered(
    pictures: Path, batches: BatchServer
) -> None:
    def hold_others() -> None:
        batches.held = True

    batches.at["fetch"] = hold_others  # once the first of three has ended
    done = draft(batches, pictures, "--batch_size", 2, "--batch_wait", 2)
    assert "under way" in done.stderr
    kept = drafts(pictures)
    assert 0 < len(kept) < 5
    del batches.at["fetch"]
    batches.held = False
    draft(batches, pictures, "--batch_size", 2)
    assert drafts(pictures) == DRAFTS
    assert once(batches)


@pytest.mark.parametrize("instant", ["upload", "create", "look"])
def test_asked_to_stop_it_ends_at_once_and_the_batches_go_on(
    pictures: Path, batches: BatchServer, instant: str
) -> None:
    batches.held = True
    reached, released = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        released.wait(PATIENCE)

    batches.at[instant] = hold
    process = start(*flags(batches, pictures))
    assert reached.wait(PATIENCE)
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate(timeout=25)
    del batches.at[instant]
    released.set()
    assert process.returncode == 130
    assert ("a batch of 5 pictures is under way" in complained) == (instant == "look")
    assert "Traceback" not in complained
    assert leftovers(pictures) == []
    batches.held = False
    draft(batches, pictures)
    assert drafts(pictures) == DRAFTS
    assert once(batches)


@pytest.mark.parametrize("instant", ["upload", "create", "look", "fetch", "delete"])
def test_killed_when_the_server_has_done_what_was_asked_nothing_is_paid_for_twice(
    pictures: Path, batches: BatchServer, instant: str
) -> None:
    reached, released = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        released.wait(PATIENCE)

    batches.at[instant] = hold
    process = start(*flags(batches, pictures, "--batch_size", 2))
    assert reached.wait(PATIENCE)
    kill_all(process)
    del batches.at[instant]
    released.set()
    draft(batches, pictures, "--batch_size", 2)
    assert drafts(pictures) == DRAFTS
    assert once(batches)
    requests = [file for file in batches.files.values() if file.purpose == "batch"]
    assert requests == []  # no picture stays at the server
    before, calls = snapshot(pictures), Counter(batches.calls)
    draft(batches, pictures, "--batch_size", 2)
    assert (snapshot(pictures), batches.calls) == (before, calls)


def test_killed_again_and_again_it_pays_once(pictures: Path, batches: BatchServer) -> None:
    for calls in (1, 2, 3, 4, 5, 7, 9, 12, 16, 999):
        count = sum(batches.calls.values())
        process = start(*flags(batches, pictures, "--batch_size", 2))
        wait_until(
            lambda p=process, n=count + calls: (  # type: ignore[misc]
                p.poll() is not None or sum(batches.calls.values()) >= n
            )
        )
        process.kill()
        process.communicate()
        if process.returncode == 0:
            break
    assert drafts(pictures) == DRAFTS
    assert once(batches)


LOST = {
    "dropped": Answer(drop=True),
    "a gateway's page": Answer(status=502, body=b"<html>bad gateway</html>"),
    "too many requests": Answer(status=429, body=b"{}", headers={"retry-after": "0.01"}),
}


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
@pytest.mark.parametrize("what", ["upload", "create", "list", "look", "fetch"])
def test_an_answer_of_the_server_that_is_lost_starts_no_batch_again(
    pictures: Path, batches: BatchServer, what: str, answer: Answer
) -> None:
    left = [answer]
    batches.at[what] = lambda: left.pop() if left else None
    draft(batches, pictures)
    assert left == []
    assert drafts(pictures) == DRAFTS
    assert (batches.calls["create"], len(batches.batches)) == (1, 1)


def test_a_batch_of_a_dead_run_is_found_behind_pages_of_others(
    pictures: Path, batches: BatchServer
) -> None:
    reached = threading.Event()

    def hold() -> None:
        reached.set()
        threading.Event().wait(PATIENCE)

    batches.at["create"] = hold
    process = start(*flags(batches, pictures))
    assert reached.wait(PATIENCE)
    kill_all(process)
    del batches.at["create"]
    line = {"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": {"model": 1}}
    file = batches.keep(json.dumps(line).encode(), "theirs.jsonl", "batch")
    for _ in range(250):
        batches.create(
            {
                "input_file_id": file.id,
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
            }
        )
    draft(batches, pictures)
    assert drafts(pictures) == DRAFTS
    assert len(batches.batches) == 251
    assert file.id in batches.files


def test_answers_that_lie_elsewhere_are_fetched_there_without_the_key(
    pictures: Path, batches: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPTIONER_API_KEY", "sk-of-the-captioner")
    with BatchServer() as elsewhere:

        def move() -> Answer:
            (file,) = (one for one in batches.files.values() if one.purpose == "batch_output")
            elsewhere.files[file.id] = file
            where = f"{elsewhere.url}/files/{file.id}/content"
            return Answer(status=302, headers={"location": where})

        batches.at["fetch"] = move
        draft(batches, pictures)
        assert elsewhere.keys == {""}
    assert drafts(pictures) == DRAFTS
    assert batches.keys == {"sk-of-the-captioner"}


def test_answers_that_the_server_has_forgotten_are_told_and_asked_for_by_the_next_run(
    pictures: Path, batches: BatchServer
) -> None:
    batches.held = True
    draft(batches, pictures, "--batch_wait", 0)
    batches.held = False
    (batch,) = batches.batches.values()
    while batch.status != "completed":
        batches.step(batch)
    del batches.files[batch.output or ""]
    done = draft(batches, pictures)
    assert f"the answers of batch {batch.id} are gone" in done.stderr
    assert len(failed(pictures)) == 5
    draft(batches, pictures)
    assert drafts(pictures) == DRAFTS


def test_a_line_that_a_kill_cut_off_does_no_harm(pictures: Path, batches: BatchServer) -> None:
    batches.held = True
    draft(batches, pictures, "--batch_size", 2, "--batch_wait", 0)
    with open(pictures / ".enhance" / "batches.0.jsonl", "ab") as file:
        file.write(b'{"tag":"0123456789","run":"0","addr')
    batches.held = False
    paint(pictures / "grey.png", "grey")
    draft(batches, pictures, "--batch_size", 2)
    draft(batches, pictures, "--batch_size", 2)
    assert drafts(pictures) == {**DRAFTS, "grey": "a grey wall in a wide shot"}
    assert once(batches, 6)


def failing(colour: str, answer: Answer) -> Any:
    """A script that meets the picture of that colour with a fault."""

    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        said = describe(image, body)
        return answer if colour in said.text else said

    return seeing(look)


FAULTS = {
    "an internal error": Answer(status=500, body=b'{"error": {"message": "oops"}}'),
    "a rate limit": Answer(status=429, body=b'{"error": {"message": "slow down"}}'),
    "a moderated picture": Answer(status=400, body=b'{"error": {"message": "not allowed"}}'),
    "nothing that is a completion": Answer(body=b'{"choices": []}'),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_request_that_fails_costs_its_picture_and_is_sent_again_by_the_next_run(
    pictures: Path, batches: BatchServer, fault: Answer
) -> None:
    batches.script = failing("blue", fault)
    draft(batches, pictures)
    assert drafts(pictures).keys() == DRAFTS.keys() - {"blue"}
    assert list(failed(pictures)) == ["blue.png"]
    assert not batches.drafts_alone
    batches.script = seeing()
    draft(batches, pictures)
    assert drafts(pictures) == DRAFTS
    assert sorted(batches.asked.values()) == [1, 1, 1, 1, 2]


def test_a_refusal_is_listed_and_not_asked_for_again(pictures: Path, batches: BatchServer) -> None:
    batches.script = failing("blue", Answer("I'm sorry, but I can't help with that."))
    draft(batches, pictures)
    (row,) = report_of(pictures)["needs_a_person"]
    assert row["file"] == "blue.png"
    draft(batches, pictures)
    assert once(batches)


def test_of_a_batch_whose_day_is_over_the_answers_count_and_the_rest_is_sent_anew(
    pictures: Path, batches: BatchServer
) -> None:
    batches.expires = 3
    draft(batches, pictures)
    assert len(drafts(pictures)) == 3
    assert all("batch_expired" in reason for reason in failed(pictures).values())
    batches.expires = -1
    draft(batches, pictures)
    assert drafts(pictures) == DRAFTS
    assert once(batches)


def test_a_batch_that_somebody_cancelled_is_sent_anew_by_the_next_run(
    pictures: Path, batches: BatchServer
) -> None:
    def cancel() -> None:
        for batch in batches.batches.values():
            batch.status = "cancelled"

    batches.at["create"] = cancel
    draft(batches, pictures)
    assert all("cancelled" in reason for reason in failed(pictures).values())
    del batches.at["create"]
    draft(batches, pictures)
    assert drafts(pictures) == DRAFTS
    assert once(batches)


def test_where_the_queue_is_full_a_batch_waits_until_another_has_ended(
    pictures: Path, batches: BatchServer
) -> None:
    batches.most = 3
    done = draft(batches, pictures, "--batch_size", 2)
    assert "Enqueued token limit reached" in done.stderr
    assert drafts(pictures) == DRAFTS
    assert once(batches)


def test_a_batch_that_is_too_large_for_an_empty_queue_ends_the_run_with_what_to_do(
    pictures: Path, batches: BatchServer
) -> None:
    batches.most = 3
    said = complaint(draft(batches, pictures, status=4).stderr)
    assert "Enqueued token limit reached" in said
    assert "--batch_size" in said
    draft(batches, pictures, "--batch_size", 2)
    assert drafts(pictures) == DRAFTS
    assert once(batches)


def test_a_batch_that_is_refused_ends_the_run_with_one_line_and_the_next_run_tries_again(
    pictures: Path, batches: BatchServer
) -> None:
    batches.wrong = [{"code": "model_not_found", "message": "The model does not do batches."}] * 9
    said = complaint(draft(batches, pictures, status=4).stderr)
    assert "model_not_found: The model does not do batches." in said
    assert said.count("does not do batches") == 1
    draft(batches, pictures)
    assert drafts(pictures) == DRAFTS
    assert once(batches)


def test_a_server_without_batches_ends_the_run_at_once_with_one_line(
    pictures: Path, batches: BatchServer
) -> None:
    batches.has_batches = False
    said = complaint(draft(batches, pictures, status=4).stderr)
    assert "has no Batch API" in said
    assert "leave out --batch_api" in said
    assert batches.alone == []


@pytest.mark.parametrize("captioner", ["florence2", "auto"])
def test_batches_are_for_the_captioner_that_has_them(pictures: Path, captioner: str) -> None:
    done = run("--dataset_dir", pictures, "--captioner", captioner, "--batch_api")
    assert done.returncode == 2
    assert "--batch_api is for --captioner openai" in done.stderr


def test_a_key_that_is_refused_ends_the_run_and_no_key_shows_anywhere(
    pictures: Path, tmp_path: Path, batches: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-nobody-may-see-this"
    batches.key = key
    monkeypatch.setenv("CAPTIONER_API_KEY", f"{key}-wrong")
    log = tmp_path / "log"
    more = ("--log_level", "debug", "--log_file", log)
    refused = draft(batches, pictures, *more, status=4)
    monkeypatch.setenv("CAPTIONER_API_KEY", key)
    batches.wrong = [{"code": "key", "message": f"the key {key} may not"}]
    told = draft(batches, pictures, *more, status=4)
    assert "the key *** may not" in told.stderr
    batches.script = failing("blue", Answer(status=400, body=f'{{"error": "{key}"}}'.encode()))
    done = draft(batches, pictures, *more)
    files = [log, *(path for path in pictures.rglob("*") if path.is_file())]
    said = [one.stdout + one.stderr for one in (refused, told, done)]
    assert key not in "".join([*said, *(path.read_text("latin-1") for path in files)])
    assert batches.keys == {key, f"{key}-wrong"}


def test_a_damaged_picture_costs_itself(pictures: Path, batches: BatchServer) -> None:
    write(pictures / "damaged.png", b"\x89PNG\r\n\x1a\n nothing else")
    draft(batches, pictures)
    assert list(failed(pictures)) == ["damaged.png"]
    assert drafts(pictures) == DRAFTS
    assert (once(batches), batches.calls["create"]) == (True, 1)


def test_a_video_is_sent_as_its_frames_and_a_broken_one_costs_itself(
    pictures: Path, batches: BatchServer
) -> None:
    film(pictures / "turning.mp4", colours("red", "green", "blue"), count=30)
    write(pictures / "broken.mp4", b"no video at all")
    seen = []

    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        shown = pictures_of(body)
        if len(shown) > 1:
            seen.append([colour_at(frame, 0.5, 0.5) for frame in shown])
            return Answer("a wall that turns from red to blue")
        return describe(image, body)

    batches.script = seeing(look)
    draft(batches, pictures)
    (frames,) = seen
    assert frames == sorted(frames, key=["red", "green", "blue"].index)
    assert set(frames) == {"red", "green", "blue"}
    assert drafts(pictures) == {**DRAFTS, "turning": "a wall that turns from red to blue"}
    assert list(failed(pictures)) == ["broken.mp4"]
    assert (once(batches, 6), batches.calls["create"]) == (True, 1)


def test_what_is_too_large_for_one_file_of_requests_goes_in_several(
    tmp_path: Path, batches: BatchServer
) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    noise = Image.effect_noise((1900, 1900), 120).convert("RGB")
    noise.save(folder / "0.png", compress_level=1)
    for number in range(1, 26):  # each is asked something else
        os.link(folder / "0.png", folder / f"{number}.png")
    question = ("--prompt", "What is {{ name }}?", "--jpeg_quality", 100, "--max_side", 1900)
    batches.script = seeing(lambda *_: Answer("a wall of noise"))
    draft(batches, folder, *question)
    assert len(drafts(folder)) == 26
    assert len(batches.batches) == 2
    assert once(batches, 26)


def test_the_same_picture_twice_is_sent_once(pictures: Path, batches: BatchServer) -> None:
    write(pictures / "again.png", (pictures / "red.png").read_bytes())
    draft(batches, pictures)
    assert drafts(pictures) == {**DRAFTS, "again": DRAFTS["red"]}
    assert once(batches)


def test_a_draft_that_is_cut_off_is_asked_for_again_alone_with_twice_the_room(
    pictures: Path, batches: BatchServer
) -> None:
    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        said = describe(image, body)
        if "blue" in said.text and body["max_tokens"] < 200:
            return Answer("a blue wall in a", finish="length")
        return said

    batches.script = seeing(look)
    draft(batches, pictures, "--max_new_tokens", 100)
    assert drafts(pictures) == DRAFTS
    (body,) = batches.drafts_alone
    assert body["max_tokens"] == 200
    assert bytes_of(body)


def test_killed_amid_what_is_asked_alone_that_is_not_paid_for_twice_either(
    pictures: Path, batches: BatchServer
) -> None:
    reached = threading.Event()
    seen: Counter[bytes] = Counter()

    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        if body["max_tokens"] < 200:
            return Answer("a wall in a", finish="length")
        seen[bytes_of(body) or b""] += 1
        if len(seen) == len(COLOURS) and not reached.is_set():
            reached.set()
            threading.Event().wait(PATIENCE)
        return describe(image, body)

    batches.script = seeing(look)
    process = start(*flags(batches, pictures, "--max_new_tokens", 100))
    assert reached.wait(PATIENCE)
    wait_until(lambda: state(pictures).count('"answer"') == 4)
    kill_all(process)
    draft(batches, pictures, "--max_new_tokens", 100)
    assert drafts(pictures) == DRAFTS
    assert once(batches)
    assert sorted(seen.values()) == [1, 1, 1, 1, 2]  # the one that was under way


def state(folder: Path) -> str:
    return "".join(path.read_text() for path in (folder / ".enhance").glob("batches.*.jsonl"))


def test_drafts_made_anew_are_asked_for_anew_and_only_once(
    pictures: Path, batches: BatchServer
) -> None:
    draft(batches, pictures)
    batches.script = seeing(lambda *_: Answer("another wall in a wide shot"))
    batches.held = True
    anew = ("--overwrite", "generated", "--batch_wait", 0)
    draft(batches, pictures, *anew)
    draft(batches, pictures, *anew)
    assert batches.calls["create"] == 2
    batches.held = False
    draft(batches, pictures, "--overwrite", "generated")
    assert set(drafts(pictures).values()) == {"another wall in a wide shot"}
    assert sorted(batches.asked.values()) == [2] * 5


def test_what_the_server_wants_otherwise_is_known_before_the_first_batch(
    pictures: Path, batches: BatchServer
) -> None:
    good = seeing()

    def script(number: int, body: dict[str, Any]) -> Answer:
        if "max_tokens" in body:
            return refusal(400, "Unsupported parameter: use 'max_completion_tokens' instead.")
        return good(number, body)

    batches.script = script
    batches.held = True
    draft(batches, pictures, "--batch_wait", 0)
    batches.held = False
    # The next run knows them by what they ask, however that had to be put.
    draft(batches, pictures)
    assert drafts(pictures) == DRAFTS
    assert once(batches)
    assert all("max_completion_tokens" in body for body in batches.bodies)


def test_answers_that_are_all_thoughts_end_the_run_before_each_is_asked_for_again(
    tmp_path: Path, batches: BatchServer
) -> None:
    folder = tmp_path / "many"
    for number in range(12):
        paint(folder / f"{number}.png", "red", (64, 48 + number))
    batches.script = seeing(lambda *_: Answer("", finish="length", reasoning="hm"))
    said = complaint(draft(batches, folder, status=4).stderr)
    assert "12 of 12 answers" in said
    assert "--max_new_tokens" in said
    assert not batches.drafts_alone


def test_a_batch_costs_half_and_the_plan_says_so(pictures: Path, batches: BatchServer) -> None:
    prices = ("--captioner_price_in", 10, "--captioner_price_out", 20)
    plan = draft(batches, pictures, *prices, "--dry_run")
    assert "by half of the prices given" in plan.stdout
    assert not batches.calls
    draft(batches, pictures, *prices)
    stage = report_of(pictures)["stages"]["generated"]
    batch = (10 * 0.5, 20 * 0.5)
    asked = sum(len(json.dumps(body)) // 4 for body in batches.bodies)
    said = sum(len(text) // 4 + 1 for text in DRAFTS.values())
    (probe,) = batches.alone
    tried = stage["cost"] - (batch[0] * asked + batch[1] * said) / 1e6
    # What the server is tried with goes alone, at the full price.
    assert 0 < tried * 1e6 / 10 < 2 * len(json.dumps(probe)) / 4
    assert stage["requests"] == 6


def test_no_batch_is_sent_that_could_cost_more_than_may_be_spent(
    pictures: Path, batches: BatchServer
) -> None:
    prices = ("--captioner_price_in", 10, "--batch_size", 2)
    done = draft(batches, pictures, *prices, "--max_cost", 0.02, status=4)
    assert "--max_cost" in complaint(done.stderr)
    assert batches.calls["create"] == 0
    # Enough for one batch at a time: 2 pictures of at most 2,500 tokens and half as many again.
    draft(batches, pictures, *prices, "--max_cost", 0.06, "--batch_wait", 0)
    assert batches.calls["create"] == 1
    assert sum("not sent yet" in reason for reason in failed(pictures).values()) == 3
    draft(batches, pictures, *prices, "--max_cost", 0.06)
    assert drafts(pictures) == DRAFTS
    assert once(batches)


def test_the_caption_in_one_step_is_mended_alone(pictures: Path, batches: BatchServer) -> None:
    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        wall = describe(image, body).text
        mended = len(body["messages"]) > 2
        return Answer(f"{wall} in cutout style" if mended or "blue" not in wall else wall)

    batches.script = seeing(look)
    where = ("--dataset_dir", pictures, "--captioner_base_url", batches.url, "--batch_api")
    rules = ("--anchor", "cutout style", "--lora_type", "style", "--no_merge")
    done = run(*where, *rules)
    assert done.returncode == 0, done.stderr
    assert finals(pictures)["red"] == "a red wall in a wide shot in cutout style"
    assert len(finals(pictures)) == len(COLOURS)
    assert once(batches)
    assert len(batches.drafts_alone) <= 1


def test_drafts_of_batches_are_merged_as_they_come(pictures: Path, batches: BatchServer) -> None:
    batches.script = seeing(then=merge)
    where = ("--dataset_dir", pictures, "--base_url", batches.url, "--captioner", "openai")
    rules = ("--anchor", "cutout style", "--lora_type", "style", "--batch_api", "--batch_size", 2)
    write(pictures / "red.txt", "made for Otto")
    assert run_here(*where, *rules) == 0
    assert len(finals(pictures)) == len(COLOURS)
    assert finals(pictures)["red"] == "a red wall in a wide shot in cutout style, made for Otto"
    assert once(batches)
    assert len(batches.drafts_alone) == len(COLOURS)  # the merges
    calls = Counter(batches.calls)
    assert run_here(*where, *rules) == 0
    assert batches.calls == calls


def test_two_processes_send_each_picture_once(pictures: Path, batches: BatchServer) -> None:
    batches.held = True
    process = start(*flags(batches, pictures, "--batch_size", 1), launcher=TWO_RANKS)
    wait_until(lambda: len(batches.batches) == len(COLOURS))
    kill_all(process)
    batches.held = False
    done = run(*flags(batches, pictures, "--batch_size", 1))
    assert done.returncode == 0, done.stderr
    assert drafts(pictures) == DRAFTS
    assert once(batches)
    assert batches.calls["create"] == len(COLOURS)


def test_a_batch_that_the_server_does_not_know_is_not_paid_for_again_unasked(
    pictures: Path, batches: BatchServer
) -> None:
    batches.held = True
    draft(batches, pictures, "--batch_wait", 0)
    hidden, batches.batches = batches.batches, {}
    said = complaint(draft(batches, pictures, status=4).stderr)
    assert "does not know the batch" in said
    assert "another project" in said
    batches.batches, batches.held = hidden, False
    draft(batches, pictures)
    assert drafts(pictures) == DRAFTS
    assert batches.calls["create"] == 1


def test_the_server_of_these_tests_speaks_as_the_vendors_own_client_expects(
    pictures: Path, batches: BatchServer
) -> None:
    openai = pytest.importorskip("openai")
    draft(batches, pictures)
    client = openai.OpenAI(base_url=batches.url, api_key="none", max_retries=0)
    (batch,) = client.batches.list()
    assert (batch.status, batch.request_counts.completed) == ("completed", 5)
    assert len(client.files.content(batch.output_file_id).text.splitlines()) == 5
    line = batches.batches[batch.id].requests[0]
    data = json.dumps(line).encode()
    file = client.files.create(file=("theirs.jsonl", data), purpose="batch")
    made = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert client.batches.retrieve(made.id).status == "in_progress"
    assert client.files.delete(file.id).deleted
