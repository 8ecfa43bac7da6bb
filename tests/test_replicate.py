"""Models on Replicate: what is really sent, and that nothing is begun and paid twice."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doors import REPOSITORY, TWO_RANKS, finals, report_of, run_here, snapshot, start
from few import write
from films import colours, film, moving
from launches import PATIENCE, kill_all, wait_until
from merges import complaint
from PIL import Image
from replicate_server import TOKEN, Plan, Replicate
from seeing import colour_at, paint

from stages.answer import Attempt, Message
from stages.asking import Asked
from stages.captioners.replicate import Captioner
from stages.llm import Manner, Options
from stages.picture import Picture

RULES = ("--anchor", "cutout style", "--lora_type", "style")
DRAFTS = {
    "a": "a red wall in a wide shot",
    "b": "a blue wall in a wide shot",
    "c": "a green wall in a wide shot",
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", TOKEN)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures, each of one colour."""
    folder = tmp_path / "pictures"
    paint(folder / "a.png", "red")
    paint(folder / "b.jpg", "blue")
    paint(folder / "sub" / "c.webp", "green")
    return folder


def flags(server: Replicate, folder: Path, model: str = "vendor/flash") -> tuple[object, ...]:
    where = ("--captioner", "replicate", "--captioner_base_url", server.url)
    return ("--dataset_dir", folder, *where, "--model_id", model, "--until", "generated")


def draft(
    server: Replicate, folder: Path, *more: object, model: str = "vendor/flash", status: int = 0
) -> None:
    assert run_here(*flags(server, folder, model), *more) == status
    assert not server.unknown


def drafts(folder: Path) -> dict[str, str]:
    return {
        path.name.removesuffix("_generated.txt"): path.read_text("utf-8")
        for path in sorted(folder.rglob("*_generated.txt"))
    }


def left(folder: Path) -> list[Path]:
    """What is remembered of predictions that nobody saw the end of."""
    return [*(folder / ".enhance").glob("begun*")]


def is_of(colour: str, server: Replicate, given: dict[str, Any]) -> bool:
    return colour_at(server.picture(given), 0.5, 0.5) == colour


# Of each model: the field of its picture, and that of what it is asked.
FIELDS = {
    "vendor/flash": ("images", "prompt"),
    "people/llava": ("image", "text"),
    "people/tagger": ("img", ""),
}


@pytest.mark.parametrize("model", FIELDS)
def test_pictures_and_prompts_go_into_the_fields_that_the_models_own_schema_names(
    pictures: Path, model: str
) -> None:
    shown, asked = FIELDS[model]
    with Replicate() as server:
        draft(server, pictures, model=model)
        assert len(server.inputs) == 3
        for given in server.inputs:
            assert shown in given
            assert isinstance(given[shown], list) == (shown == "images")
            assert ("Describe" in given[asked]) if asked else [*given] == [shown]
    assert drafts(pictures) == DRAFTS
    assert not left(pictures)


def test_a_picture_arrives_as_a_bounded_jpeg_in_the_request_itself(tmp_path: Path) -> None:
    paint(tmp_path / "few" / "a.png", "orange", size=(900, 300))
    with Replicate() as server:
        draft(server, tmp_path / "few", "--max_side", 300)
        (given,) = server.inputs
        assert given["images"][0].startswith("data:image/jpeg;base64,")
        shown = server.picture(given)
    assert (shown.format, shown.size) == ("JPEG", (300, 100))
    assert colour_at(shown, 0.5, 0.5) == "orange"


def test_a_picture_too_large_for_the_request_is_uploaded_and_deleted_afterwards(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    size = (1000, 1000)
    Image.frombytes("RGB", size, random.Random(5).randbytes(3_000_000)).save(folder / "Otto.png")
    with Replicate(lambda *_: Plan("noise")) as server:
        draft(server, folder, "--jpeg_quality", 95)
        (given,) = server.inputs
        (name,) = server.files
        assert given["images"] == [f"{server.url}/v1/files/{name}"]
        assert Image.open(io.BytesIO(server.files[name])).size == size
        assert server.deleted == [name]
    assert drafts(folder) == {"Otto": "noise"}


def test_a_model_of_the_vendors_is_run_by_its_name_and_others_by_their_latest_version(
    pictures: Path,
) -> None:
    with Replicate() as server:
        draft(server, pictures)
        assert {path for path, _ in server.creations} == {"/v1/models/vendor/flash/predictions"}
        draft(server, pictures, "--concurrency", 1, model="people/llava")
        path, body = server.creations[-1]
        assert (path, body["version"]) == ("/v1/predictions", server.latest["people/llava"])
        # It is asked by its name once, which is refused and costs nothing.
        assert len(server.creations) == 3 + 1 + 3


def test_a_version_that_is_named_is_run(pictures: Path) -> None:
    with Replicate() as server:
        version = server.latest["people/llava"]
        draft(server, pictures, model=f"people/llava:{version}")
        assert [path for path, _ in server.creations] == ["/v1/predictions"] * 3


def test_sampling_is_sent_where_it_is_asked_for_and_within_what_the_model_takes(
    pictures: Path,
) -> None:
    with Replicate() as server:
        draft(server, pictures)
        assert [*server.inputs[0]] == ["images", "prompt", "max_output_tokens"]
        more = ("--temperature", 0.3, "--top_p", 0.8, "--top_k", 20, "--max_new_tokens", 900)
        draft(server, pictures, *more)
        given = server.inputs[-1]
        assert (given["temperature"], given["top_p"]) == (0.3, 0.8)
        assert given["max_output_tokens"] == 700
        assert "top_k" not in given


OUTPUTS = {
    "pieces": (["a red", " wall"], "a red wall"),
    "an object": ({"img": None, "text": "a red wall"}, "a red wall"),
    "objects in a list": ([{"caption": "a red wall"}], "a red wall"),
}


@pytest.mark.parametrize(("output", "text"), OUTPUTS.values(), ids=OUTPUTS)
def test_an_output_of_another_shape_is_read_too(tmp_path: Path, output: Any, text: str) -> None:
    paint(tmp_path / "few" / "a.png", "red")
    with Replicate(lambda *_: Plan(output)) as server:
        draft(server, tmp_path / "few")
    assert drafts(tmp_path / "few") == {"a": text}


@pytest.mark.parametrize("output", [{"score": 0.5}, "https://files.example/out.png", [3, 4]])
def test_an_output_without_a_text_costs_its_file_which_is_told_what_came(
    tmp_path: Path, output: Any
) -> None:
    paint(tmp_path / "few" / "a.png", "red")
    with Replicate(lambda *_: Plan(output)) as server:
        draft(server, tmp_path / "few")
        assert len(server.inputs) == 1
    (failed,) = report_of(tmp_path / "few")["failed"]
    assert "its output is no text: " + str(output).replace("'", '"')[:20] in failed["reason"]


def test_a_prediction_that_takes_long_is_looked_at_until_it_ends_and_created_once(
    pictures: Path,
) -> None:
    with Replicate(lambda *_: Plan(starting=3, working=3)) as server:
        draft(server, pictures)
        assert len(server.creations) == 3
        assert server.looked() == 3 * 7
    assert drafts(pictures) == DRAFTS


def test_looks_that_fail_are_repeated_and_nothing_is_created_anew(pictures: Path) -> None:
    with Replicate() as server:
        server.faults += [500, 502, 500]
        draft(server, pictures)
        assert len(server.creations) == 3
        assert not server.faults
    assert drafts(pictures) == DRAFTS


def test_one_that_works_past_the_timeout_is_canceled_and_costs_its_file_once(
    pictures: Path,
) -> None:
    def script(_: int, given: dict[str, Any]) -> Plan:
        return Plan(working=-1 if is_of("blue", server, given) else 1)

    with Replicate(script) as server:
        draft(server, pictures, "--timeout", 1)
        assert (len(server.creations), server.canceled()) == (3, 1)
        # At 0, 0.3, 0.8 and 1.4 seconds, or fewer on a slow machine.
        assert max(one.looks for one in server.predictions.values()) <= 4
    (failed,) = report_of(pictures)["failed"]
    assert failed["file"] == "b.jpg"
    assert "still at work after 1 s (--timeout)" in failed["reason"]


def test_a_model_that_starts_slowly_is_told_and_runs_not_into_the_timeout_but_the_deadline(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def script(_: int, given: dict[str, Any]) -> Plan:
        return Plan(starting=10_000 if is_of("blue", server, given) else 3)

    with Replicate(script) as server:
        draft(server, pictures, "--timeout", 1, "--deadline", 6)
        assert (len(server.creations), server.canceled()) == (3, 1)
    (failed,) = report_of(pictures)["failed"]
    assert "--deadline 6 s" in failed["reason"]
    assert capsys.readouterr().err.count("vendor/flash is starting") == 1
    assert {**drafts(pictures), "b": DRAFTS["b"]} == DRAFTS


def test_a_rate_limit_is_waited_for_as_its_text_says_and_the_request_made_again(
    pictures: Path,
) -> None:
    # It names the page for payments, as the vendor's text for small accounts does.
    text = "Request was throttled. See replicate.com/account/billing. Your limit resets in ~2s."

    def script(number: int, _: dict[str, Any]) -> Plan:
        return Plan(answer=(429, {"detail": text, "status": 429}) if number == 1 else None)

    with Replicate(script) as server:
        draft(server, pictures)
        assert (len(server.creations), len(server.inputs)) == (4, 3)
    assert drafts(pictures) == DRAFTS


LOST = {"no word": 0, "a gateway's error": 502}


@pytest.mark.parametrize("listing", ["whole", "short", "not"])
@pytest.mark.parametrize("status", LOST.values(), ids=LOST)
def test_a_prediction_whose_creation_got_no_answer_is_found_and_not_created_again(
    pictures: Path, status: int, listing: str
) -> None:
    def script(number: int, _: dict[str, Any]) -> Plan:
        return Plan(lost=status if number == 2 else None)

    with Replicate(script, listing) as server:
        draft(server, pictures)
        assert len(server.creations) == 3
    assert drafts(pictures) == DRAFTS
    assert not left(pictures)


def test_one_that_cannot_be_found_is_created_once_more_and_then_given_up(pictures: Path) -> None:
    def script(_: int, given: dict[str, Any]) -> Plan:
        return Plan(answer=(502, {"detail": "oops"}) if is_of("blue", server, given) else None)

    with Replicate(script) as server:
        draft(server, pictures)
        asked = [is_of("blue", server, body["input"]) for _, body in server.creations]
        assert sum(asked) == 2
    (failed,) = report_of(pictures)["failed"]
    assert "lost twice" in failed["reason"]


def test_a_prediction_that_failed_costs_its_file_which_is_told_why(pictures: Path) -> None:
    def script(_: int, given: dict[str, Any]) -> Plan:
        if is_of("blue", server, given):
            return Plan(status="failed", error="CUDA error: device-side assert")
        return Plan()

    with Replicate(script) as server:
        draft(server, pictures)
        assert len(server.creations) == 3
    (failed,) = report_of(pictures)["failed"]
    assert "vendor/flash: the prediction failed: CUDA error" in failed["reason"]
    assert not left(pictures)


def test_one_that_the_service_itself_broke_off_is_created_once_more(pictures: Path) -> None:
    error = "Prediction interrupted; please retry (code: PA)"

    def script(number: int, _: dict[str, Any]) -> Plan:
        return Plan(status="failed", error=error) if number == 1 else Plan()

    with Replicate(script) as server:
        draft(server, pictures)
        assert len(server.creations) == 4
    assert drafts(pictures) == DRAFTS


def test_what_a_filter_refused_is_listed_as_that_and_not_asked_for_again(pictures: Path) -> None:
    def script(_: int, given: dict[str, Any]) -> Plan:
        if is_of("blue", server, given):
            return Plan(status="failed", error="NSFW content detected. Try another image.")
        return Plan()

    with Replicate(script) as server:
        draft(server, pictures)
        draft(server, pictures)
        assert len(server.creations) == 3
    (needy,) = report_of(pictures)["needs_a_person"]
    assert needy["file"] == "b.jpg"
    assert "NSFW content detected" in json.dumps(report_of(pictures))


def test_spent_credit_ends_the_run_with_what_the_vendor_says(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = (402, {"title": "Insufficient credit", "detail": "You have insufficient credit."})

    def script(number: int, _: dict[str, Any]) -> Plan:
        return Plan(answer=refusal if number > 1 else None)

    with Replicate(script) as server:
        draft(server, pictures, "--concurrency", 1, status=4)
        assert len(server.creations) == 2
    line = complaint(capsys.readouterr().err)
    assert "You have insufficient credit." in line
    assert "what is done is kept" in line
    assert drafts(pictures) == {"a": DRAFTS["a"]}


BEFORE_THE_FIRST_FILE = {
    "no model": ("", 2, "--model_id: owner/name or owner/name:version"),
    "no name of a model": ("gpt-5", 2, "--model_id gpt-5 is none"),
    "unknown": ("people/nobody", 4, "knows no model people/nobody"),
    "unknown version": ("people/llava:abc", 4, "knows no model people/llava:abc"),
    "blind": ("people/writer", 4, "takes no picture, only prompt, max_tokens"),
    "needs more": ("people/editor", 4, "needs mask, mode, which nothing here fills"),
}


@pytest.mark.parametrize(
    ("model", "status", "said"), BEFORE_THE_FIRST_FILE.values(), ids=BEFORE_THE_FIRST_FILE
)
def test_a_model_that_will_not_do_ends_the_run_before_the_first_file_with_one_line(
    pictures: Path, capsys: pytest.CaptureFixture[str], model: str, status: int, said: str
) -> None:
    with Replicate() as server:
        draft(server, pictures, model=model, status=status)
        assert not server.creations
    assert said in complaint(capsys.readouterr().err)


def test_a_token_that_is_refused_or_missing_ends_the_run_with_one_line_that_does_not_show_it(
    pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Replicate() as server:
        monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_wrong_one")
        draft(server, pictures, status=4)
        line = complaint(capsys.readouterr().err)
        assert "refuses the key in REPLICATE_API_TOKEN" in line
        assert "No such token" in line
        assert "r8_wrong" not in line
        monkeypatch.delenv("REPLICATE_API_TOKEN")
        draft(server, pictures, status=4)
        assert "set REPLICATE_API_TOKEN" in complaint(capsys.readouterr().err)
        assert not server.creations


def test_the_token_is_sent_to_the_service_alone_and_stands_in_no_file_and_no_line(
    pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    error = f"the token {TOKEN} is bad luck"

    def script(number: int, _: dict[str, Any]) -> Plan:
        return Plan(status="failed", error=error) if number == 1 else Plan()

    with Replicate(script) as server:
        draft(server, pictures, "--log_level", "debug", "--log_file", tmp_path / "log")
        assert {one["authorization"] for one in server.headers} == {f"Bearer {TOKEN}"}
    said = b"".join(content for content, _ in snapshot(tmp_path).values())
    assert b"is bad luck" in said
    assert TOKEN.encode() not in said
    assert TOKEN not in "".join(capsys.readouterr())


def without_sdk(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that cannot import it."""
    folder = tmp_path / "without"
    folder.mkdir()
    write(folder / "replicate.py", "raise ImportError('no such package')")
    return {"PYTHONPATH": os.pathsep.join(map(str, (folder, REPOSITORY)))}


def test_without_its_package_one_line_says_how_to_get_it(pictures: Path, tmp_path: Path) -> None:
    with Replicate() as server:
        process = start(*flags(server, pictures), env=without_sdk(tmp_path))
        _, err = process.communicate(timeout=120)
        assert process.returncode == 4
        assert not server.asked
    assert 'pip install "enhance-captions[replicate]"' in complaint(err)


def test_a_second_run_asks_nothing_touches_nothing_and_imports_no_sdk(
    pictures: Path, tmp_path: Path
) -> None:
    with Replicate() as server:
        draft(server, pictures)
        before, asked = snapshot(pictures), len(server.asked)
        process = start(*flags(server, pictures), env=without_sdk(tmp_path))
        process.communicate(timeout=120)
        assert process.returncode == 0
        assert len(server.asked) == asked
    assert snapshot(pictures) == before


def test_a_dry_run_asks_nothing(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Replicate() as server:
        draft(server, pictures, "--dry_run")
        assert not server.asked
    assert "draft: 3 of 3 files would run" in capsys.readouterr().out


def test_tokens_and_seconds_are_counted_where_the_model_tells_them(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Replicate(lambda *_: Plan(tokens=(1000, 20))) as server:
        draft(server, pictures, "--captioner_price_in", 10)
    used = report_of(pictures)["stages"]["generated"]
    assert (used["prompt_tokens"], used["completion_tokens"]) == (3000, 60)
    assert (used["requests"], used["predict_seconds"]) == (3, 1.5)
    assert used["cost"] == pytest.approx(0.03)
    assert "3 made, 3060 tokens in 3 requests" in capsys.readouterr().out


def test_of_a_model_that_counts_no_tokens_it_is_told_that_max_cost_cannot_hold(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Replicate() as server:
        draft(server, pictures, "--captioner_price_out", 1, "--max_cost", 1)
    assert capsys.readouterr().err.count("--max_cost cannot hold") == 1
    assert drafts(pictures) == DRAFTS


def test_a_server_that_goes_away_ends_the_run_and_what_it_began_is_collected_later(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def script(number: int, _: dict[str, Any]) -> Plan:
        if number == 3:
            threading.Thread(target=server.hide).start()
        return Plan(working=-1)

    with Replicate(script) as server:
        draft(server, pictures, status=4)
        assert "cannot reach Replicate" in complaint(capsys.readouterr().err)
        server.show()
        server.finish()
        draft(server, pictures)
        assert len(server.creations) == 3
    assert drafts(pictures) == DRAFTS


def test_a_draft_that_used_all_its_tokens_is_asked_for_once_more_with_twice_as_many(
    tmp_path: Path,
) -> None:
    paint(tmp_path / "few" / "a.png", "red")

    def script(_: int, given: dict[str, Any]) -> Plan:
        room = given["max_output_tokens"]
        return Plan("A wall. And a" if room == 9 else "A wall, whole.", tokens=(99, 9))

    with Replicate(script) as server:
        draft(server, tmp_path / "few", "--max_new_tokens", 9)
        assert [given["max_output_tokens"] for given in server.inputs] == [9, 18]
    assert drafts(tmp_path / "few") == {"a": "A wall, whole."}


def test_as_many_predictions_are_under_way_as_concurrency_allows(tmp_path: Path) -> None:
    for number in range(6):
        paint(tmp_path / "many" / f"{number}.png", "red", size=(64 + number, 48))
    busy = []

    def script(*_: object) -> Plan:
        plans = [one.looks for one in server.predictions.values()]
        busy.append(sum(looks < 4 for looks in plans) + 1)
        return Plan(working=3)

    with Replicate(script) as server:
        draft(server, tmp_path / "many", "--concurrency", 2)
    assert (len(busy), max(busy)) == (6, 2)


def caption(server: Replicate, folder: Path, *more: object, model: str, status: int = 0) -> None:
    """Captions the folder in one step."""
    where = ("--captioner", "replicate", "--captioner_base_url", server.url, "--model_id", model)
    assert run_here("--dataset_dir", folder, *where, "--no_merge", *RULES, *more) == status
    assert not server.unknown


@pytest.mark.parametrize("model", ["vendor/flash", "people/llava"])
def test_a_caption_in_one_step_is_asked_for_by_the_rules_before_the_prompt_or_beside_it(
    pictures: Path, model: str
) -> None:
    def script(_: int, given: dict[str, Any]) -> Plan:
        colour = colour_at(server.picture(given), 0.5, 0.5)
        asked = str(given.get("prompt") or given.get("text"))
        mended = "You wrote: a wall in a drawn style" in asked
        return Plan(f"a {colour} wall in cutout style" if mended else "a wall in a drawn style")

    with Replicate(script) as server:
        caption(server, pictures, model=model)
        assert len(server.inputs) == 6
        for given in server.inputs:
            rules = given.get("system_instruction") or given["text"]
            assert 'The anchor is "cutout style"' in rules
            assert "Leave out" in rules
    assert finals(pictures)["a"] == "a red wall in cutout style"


def test_a_video_that_is_asked_about_twice_is_uploaded_once(tmp_path: Path) -> None:
    film(tmp_path / "few" / "a.mp4", moving("red"))

    def script(number: int, _: dict[str, Any]) -> Plan:
        return Plan(f"a red circle in {'cutout' if number > 1 else 'a drawn'} style")

    with Replicate(script) as server:
        caption(server, tmp_path / "few", model="vendor/flash")
        assert len(server.inputs) == 2
        assert len(server.files) == 1
        assert server.deleted == [*server.files]
    assert finals(tmp_path / "few") == {"a": "a red circle in cutout style"}


def test_a_service_on_which_every_prediction_fails_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(9):
        paint(tmp_path / "many" / f"{number}.png", "red", size=(64 + number, 48))
    with Replicate(lambda *_: Plan(status="failed", error="no GPU")) as server:
        draft(server, tmp_path / "many", "--concurrency", 1, status=4)
        assert len(server.creations) == 5 + 1  # the last with a picture of our own
    line = complaint(capsys.readouterr().err)
    assert "5 files in a row got no answer" in line
    assert "no GPU" in line


def test_a_model_that_takes_no_prompt_writes_no_caption_in_one_step(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Replicate() as server:
        caption(server, pictures, model="people/tagger", status=2)
        assert not server.creations
    assert "no instructions" in complaint(capsys.readouterr().err)


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is told otherwise")
def test_a_run_that_is_interrupted_cancels_what_it_began(pictures: Path) -> None:
    with Replicate(lambda *_: Plan(working=-1)) as server:
        process = start(*flags(server, pictures))
        wait_until(lambda: server.looked() > 3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=25)
        assert process.returncode == 130, err
        assert server.canceled() == len(server.creations) == 3
        server.script = lambda *_: Plan()
        draft(server, pictures)
        assert len(server.creations) == 6
    assert drafts(pictures) == DRAFTS
    assert not left(pictures)


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is told otherwise")
def test_a_service_that_does_not_answer_holds_no_interrupted_run_and_is_asked_by_the_next(
    pictures: Path,
) -> None:
    with Replicate(lambda *_: Plan(working=-1)) as server:
        server.stuck = threading.Event()
        process = start(*flags(server, pictures))
        wait_until(lambda: server.looked() > 3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=25)
        assert process.returncode == 130, err
        server.stuck.set()
        server.finish()
        draft(server, pictures)
        assert len(server.creations) == 3
    assert drafts(pictures) == DRAFTS


def killed_while(server: Replicate, folder: Path, what: Callable[[], bool]) -> None:
    process = start(*flags(server, folder))
    wait_until(what)
    kill_all(process)


def test_what_a_killed_run_began_is_collected_by_the_next_one_and_not_paid_again(
    pictures: Path,
) -> None:
    with Replicate(lambda *_: Plan(working=-1)) as server:
        killed_while(server, pictures, lambda: server.looked() > 3)
        assert not drafts(pictures)
        server.finish()
        draft(server, pictures)
        assert len(server.creations) == 3
        before = snapshot(pictures)
        draft(server, pictures)
    assert snapshot(pictures) == before
    assert drafts(pictures) == DRAFTS
    assert not left(pictures)


def test_what_several_processes_began_is_collected_by_one(pictures: Path) -> None:
    with Replicate(lambda *_: Plan(working=-1)) as server:
        launch = start(*flags(server, pictures), "--concurrency", 4, launcher=TWO_RANKS)
        wait_until(lambda: len(server.creations) == 3 and server.looked() > 3)
        kill_all(launch)
        server.finish()
        draft(server, pictures)
        assert len(server.creations) == 3
    assert drafts(pictures) == DRAFTS
    assert not left(pictures)


def test_what_it_was_just_beginning_is_looked_for_in_the_list(tmp_path: Path) -> None:
    paint(tmp_path / "few" / "a.png", "red")
    folder = tmp_path / "few"
    killed = threading.Event()

    def script(*_: object) -> Plan:
        assert killed.wait(PATIENCE)  # the request has come, its answer has not
        return Plan()

    with Replicate(script) as server:
        killed_while(server, folder, lambda: bool(server.creations))
        killed.set()
        draft(server, folder)
        assert len(server.creations) == 1
    assert drafts(folder) == {"a": DRAFTS["a"]}


def test_an_output_that_the_service_keeps_no_longer_is_made_anew(pictures: Path) -> None:
    with Replicate(lambda *_: Plan(working=-1)) as server:
        killed_while(server, pictures, lambda: server.looked() > 3)
        server.finish()
        server.forgotten |= server.predictions.keys()
        draft(server, pictures)
        assert len(server.creations) == 6
    assert drafts(pictures) == DRAFTS


def test_what_is_to_be_made_anew_is_not_collected(pictures: Path) -> None:
    with Replicate(lambda *_: Plan("an old answer", working=-1)) as server:
        killed_while(server, pictures, lambda: server.looked() > 3)
        server.finish()
        draft(server, pictures, "--overwrite", "generated")
        assert len(server.creations) == 6
    assert drafts(pictures) == DRAFTS


def test_a_video_goes_whole_to_the_field_for_videos_and_is_deleted_there_afterwards(
    tmp_path: Path,
) -> None:
    path = film(tmp_path / "few" / "Otto waves.mp4", moving("red"))
    with Replicate(lambda *_: Plan("a red circle moves to the left")) as server:
        draft(server, tmp_path / "few")
        (given,) = server.inputs
        (name,) = server.files
        assert given["videos"] == [f"{server.url}/v1/files/{name}"]
        assert "images" not in given
        assert server.files[name] == path.read_bytes()
        assert server.names == ["media.mp4"]
        assert server.deleted == [name]
    assert drafts(tmp_path / "few") == {"Otto waves": "a red circle moves to the left"}


def test_of_a_model_without_a_field_for_videos_frames_are_asked_as_many_as_it_takes(
    tmp_path: Path,
) -> None:
    film(tmp_path / "few" / "a.mp4", colours("red", "green", "blue"), count=30)
    with Replicate(lambda *_: Plan("it turns from red to blue")) as server:
        draft(server, tmp_path / "few", model="people/album")
        (given,) = server.inputs
        assert not server.files
        shown = [colour_at(server.picture({"": [one]}), 0.5, 0.5) for one in given["input_images"]]
    assert len(shown) == 5
    assert (shown[0], shown[2], shown[-1]) == ("red", "green", "blue")


def test_of_a_video_that_is_taken_in_part_no_more_is_shown(tmp_path: Path) -> None:
    film(tmp_path / "few" / "a.mp4", colours("red", "green"), count=40)
    with Replicate(lambda *_: Plan("it stays red")) as server:
        draft(server, tmp_path / "few", "--target_frames", 20)
        (given,) = server.inputs
        assert "videos" not in given
        shown = [colour_at(server.picture({"": [one]}), 0.5, 0.5) for one in given["images"]]
    assert shown == ["red"] * 3


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is told otherwise")
def test_an_interrupted_run_deletes_the_video_that_it_uploaded(tmp_path: Path) -> None:
    film(tmp_path / "few" / "a.mp4", moving("red"))
    with Replicate(lambda *_: Plan(working=-1)) as server:
        process = start(*flags(server, tmp_path / "few"))
        wait_until(lambda: server.looked() > 1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=25)
        assert server.deleted == [*server.files]
        assert server.canceled() == 1


def test_a_video_is_not_given_to_a_model_beyond_what_may_be_uploaded() -> None:
    with Replicate() as server:
        made = captioner(server, "vendor/flash")
        made.prepare()
        made.close()
    assert made.takes("video/mp4", 100_000_000)
    assert not made.takes("video/mp4", 100_000_001)


def test_so_many_pictures_are_shown_at_once_as_the_field_for_them_takes(tmp_path: Path) -> None:
    shown = Picture(paint(tmp_path / "a.jpg", "red").read_bytes())
    with Replicate() as server:
        for model, most in (("vendor/flash", 3), ("people/llava", 1)):
            made = captioner(server, model)
            made.prepare()
            assert (made.most_pictures, made.takes("video/mp4", 6)) == (most, most > 1)
            made(Message(Asked("What is it?"), (shown,) * most), Attempt())
            made.close()
        assert len(server.inputs[0]["images"]) == 3
        assert server.inputs[1]["image"] == shown.uri


def captioner(server: Replicate, model: str) -> Captioner:
    return Captioner(Options(base_url=server.url, model=model), TOKEN, manner=Manner(64))
