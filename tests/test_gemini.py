"""--captioner gemini: what the SDK really sends, and what becomes of the answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from doors import REPOSITORY, finals, report_of, run, run_here, snapshot, start
from few import write
from gemini_server import (
    SEER,
    GeminiServer,
    asks_colour,
    describe,
    error,
    parts_of,
    picture_of,
    quota,
    seeing,
    shown,
    words_of,
)
from launches import PATIENCE, wait_until
from loopback import Answer
from merges import complaint
from PIL import Image
from seeing import colour_at, paint

KEY = "AIza-sesame"
DRAFTS = {
    "a": "a red wall in a wide shot",
    "b": "a blue wall in a wide shot",
    "c": "a green wall in a wide shot",
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures of three formats, each of one colour."""
    folder = tmp_path / "pictures"
    paint(folder / "a.png", "red")
    paint(folder / "b.jpg", "blue")
    paint(folder / "sub" / "c.webp", "green")
    return folder


def flags(server: GeminiServer, folder: Path, *more: object) -> tuple[object, ...]:
    there = ("--captioner", "gemini", "--captioner_base_url", server.url, "--model_id", SEER)
    return ("--dataset_dir", folder, *there, *more)


def draft_on(server: GeminiServer, folder: Path, *more: object, status: int = 0) -> None:
    assert run_here(*flags(server, folder, "--until", "generated", *more)) == status


def drafts(folder: Path) -> dict[str, str]:
    return {
        path.name.removesuffix("_generated.txt"): path.read_text("utf-8")
        for path in sorted(folder.rglob("*_generated.txt"))
    }


def colours(server: GeminiServer) -> list[str]:
    return [colour_at(picture_of(body), 0.5, 0.5) for body in server.drafts]


def failing(colour: str, fault: Answer, times: int = 1000) -> Any:
    """A script that meets pictures of this colour with a fault, so many times."""
    left = [times]

    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        if colour_at(image, 0.5, 0.5) == colour and left[0] > 0:
            left[0] -= 1
            return Answer(**vars(fault))
        return describe(image, body)

    return seeing(look)


def test_every_picture_reaches_the_model_and_its_answer_is_the_draft(pictures: Path) -> None:
    with GeminiServer() as server:
        done = run(*flags(server, pictures, "--until", "generated"))
        assert done.returncode == 0, done.stderr
        assert sorted(colours(server)) == ["blue", "green", "red"]
        for body in server.drafts:
            assert set(body) == {"contents", "generationConfig"}
            picture, words = parts_of(body)
            assert picture["inlineData"]["mimeType"] == "image/jpeg"
            assert "shot size" in words["text"]
            assert body["generationConfig"] == {
                "maxOutputTokens": 512,
                "thinkingConfig": {"thinkingLevel": "MINIMAL"},
            }
        assert {*server.asked} == {f"models/{SEER}"}
        assert {one["x-goog-api-key"] for one in server.headers} == {KEY}
        assert KEY not in " ".join(server.calls)
    assert drafts(pictures) == DRAFTS
    files = b"".join(content for content, _ in snapshot(pictures).values())
    assert KEY not in done.stdout + done.stderr
    assert KEY.encode() not in files


def test_a_picture_is_sent_bounded_and_without_what_its_file_tells(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010E] = "taken by Otto"
    Image.new("RGB", (600, 300), "red").save(folder / "wide.jpg", exif=exif, comment=b"of Otto")
    with GeminiServer() as server:
        draft_on(server, folder, "--max_side", 256)
        (data,) = shown(server.drafts[0])
        assert b"Otto" not in data
        assert picture_of(server.drafts[0]).size == (256, 128)


def test_sampling_and_detail_are_sent_where_they_are_asked_for(pictures: Path) -> None:
    with GeminiServer() as server:
        sampling = ("--temperature", 0.3, "--top_p", 0.8, "--top_k", 20, "--max_new_tokens", 99)
        draft_on(server, pictures, *sampling, "--detail", "low")
        for body in server.drafts:
            asked = body["generationConfig"]
            assert (asked["temperature"], asked["topP"], asked["topK"]) == (0.3, 0.8, 20)
            assert asked["maxOutputTokens"] == 99
            assert asked["mediaResolution"] == "MEDIA_RESOLUTION_LOW"


@pytest.mark.parametrize(
    ("effort", "thinking"),
    [
        ("none", {"thinkingBudget": 0}),
        ("low", {"thinkingLevel": "LOW"}),
        ("high", {"thinkingLevel": "HIGH"}),
    ],
)
def test_the_reasoning_effort_is_a_level_of_thinking(
    pictures: Path, effort: str, thinking: dict[str, Any]
) -> None:
    with GeminiServer() as server:
        draft_on(server, pictures, "--reasoning_effort", effort)
        for body in server.drafts:
            assert body["generationConfig"]["thinkingConfig"] == thinking


def test_an_effort_that_gemini_has_not_is_refused(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with GeminiServer() as server:
        draft_on(server, pictures, "--reasoning_effort", "tiny", status=2)
        assert not server.calls
    assert "Gemini takes none, minimal, low" in complaint(capsys.readouterr().err)


THINKING = {
    "no minimal": (("MINIMAL",), {"thinkingLevel": "LOW"}),
    "a budget": (("MINIMAL", "LOW"), {"thinkingBudget": 0}),
    "nothing": (("MINIMAL", "LOW", 0), None),
}


@pytest.mark.parametrize(("refused", "taken"), THINKING.values(), ids=THINKING)
def test_a_way_of_not_thinking_that_a_model_refuses_is_learned_before_the_first_file(
    pictures: Path, refused: tuple[object, ...], taken: dict[str, Any] | None
) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        sent = body["generationConfig"].get("thinkingConfig") or {}
        if next(iter(sent.values()), None) in refused:
            said = "Thinking level is not supported for this model."
            return error(400, "INVALID_ARGUMENT", said)
        return seeing()(number, body)

    with GeminiServer(script) as server:
        draft_on(server, pictures)
        assert len(server.requests) == len(refused) + 1 + 3
        for body in server.drafts:
            assert body["generationConfig"].get("thinkingConfig") == taken
    assert drafts(pictures) == DRAFTS


def test_a_model_that_does_not_think_is_told_nothing_of_it(pictures: Path) -> None:
    with GeminiServer() as server:
        server.models[0]["thinking"] = False
        draft_on(server, pictures)
        assert all("thinkingConfig" not in body["generationConfig"] for body in server.requests)


def test_a_setting_that_a_model_refuses_is_asked_without(pictures: Path) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        if "topK" in body["generationConfig"]:
            return error(400, "INVALID_ARGUMENT", "top_k is not supported by this model")
        if "systemInstruction" in body:
            said = f"Developer instruction is not enabled for models/{SEER}"
            return error(400, "INVALID_ARGUMENT", said)
        return seeing()(number, body)

    with GeminiServer(script) as server:
        rules = ("--anchor", "cutout style", "--lora_type", "style", "--no_repair")
        assert run_here(*flags(server, pictures, "--no_merge", "--top_k", 5, *rules)) in (0, 3)
        body = server.drafts[-1]
        assert [set(part) for part in parts_of(body)] == [{"inlineData"}, {"text"}, {"text"}]
        assert "The anchor is" in parts_of(body)[1]["text"]


@pytest.mark.parametrize(
    "names", [("GEMINI_API_KEY",), ("GOOGLE_API_KEY",), ("CAPTIONER_API_KEY",)]
)
def test_the_key_is_the_one_that_the_program_chose_whatever_the_sdk_would_read(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    monkeypatch.delenv("GEMINI_API_KEY")
    (name,) = names
    Path(".env").write_text(f"{name}={KEY}-of-env\n")
    for elsewhere in ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"):
        monkeypatch.setenv(elsewhere, "true")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
    with GeminiServer() as server:
        draft_on(server, pictures)
        assert {one["x-goog-api-key"] for one in server.headers} == {f"{KEY}-of-env"}
    assert drafts(pictures) == DRAFTS


def test_gemini_wins_over_googles_name_for_the_key(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "another")
    with GeminiServer() as server:
        done = run(*flags(server, pictures, "--until", "generated"))
        assert (done.returncode, done.stderr) == (0, "")
        assert {one["x-goog-api-key"] for one in server.headers} == {KEY}


def test_without_a_key_it_is_refused_before_anything(
    pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GEMINI_API_KEY")
    there = ("--captioner", "gemini", "--model_id", SEER)
    assert run_here("--dataset_dir", pictures, *there, "--until", "generated") == 4
    line = complaint(capsys.readouterr().err)
    assert "https://generativelanguage.googleapis.com needs a key: set GEMINI_API_KEY" in line


def test_without_the_sdk_one_line_says_how_to_install_it(pictures: Path, tmp_path: Path) -> None:
    block = tmp_path / "without"
    write_module(block, "raise ImportError('No module named google.genai')")
    with GeminiServer() as server:
        told = flags(server, pictures, "--until", "generated")
        code = f"import sys; sys.path.insert(0, {str(block)!r}); from enhance.cli import main"
        done = run_code(code, told)
        assert done.returncode == 4
        assert 'pip install -U "enhance-captions[gemini]"' in complaint(done.stderr)
        assert not server.calls
    assert drafts(pictures) == {}
    assert not (pictures / "a_generated.txt").exists()


def write_module(folder: Path, text: str) -> None:
    (folder / "google" / "genai").mkdir(parents=True)
    write(folder / "google" / "__init__.py", "")
    write(folder / "google" / "genai" / "__init__.py", text)


def run_code(code: str, arguments: tuple[object, ...]) -> Any:
    command = [sys.executable, "-c", f"{code}; sys.exit(main(sys.argv[1:]))"]
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=REPOSITORY,
    )


def test_a_model_must_be_named_where_several_are_on_offer(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with GeminiServer() as server:
        told = ("--captioner", "gemini", "--captioner_base_url", server.url)
        status = run_here("--dataset_dir", pictures, *told, "--until", "generated")
        assert (status, server.requests) == (4, [])
        assert len([one for one in server.calls if "/models" in one]) == 3  # all pages
    line = complaint(capsys.readouterr().err)
    assert "--model_id: gemini-9.5-flash, gemini-9-pro, gemini-8.1-flash-lite" in line
    assert "veo" not in line
    assert "embedding" not in line


def test_a_retired_model_ends_the_run_with_those_on_offer_the_newest_first(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = tuple(f"gemini-{number}-flash" for number in range(1, 30))
    with GeminiServer(models=(*many, "gemini-flash-latest", "gemma-7-it")) as server:
        draft_on(server, pictures, "--model_id", "models/gemini-0.9-pro", status=4)
        assert not server.requests
    line = complaint(capsys.readouterr().err)
    assert "knows no model 'gemini-0.9-pro'" in line
    assert "it offers: gemini-flash-latest, gemini-29-flash, gemini-28-flash" in line
    assert "and 19 more" in line


def test_a_model_that_answers_no_questions_is_refused_before_the_first_file(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with GeminiServer() as server:
        draft_on(server, pictures, "--model_id", "veo-4", status=4)
        assert not server.requests
    assert "veo-4 answers no questions; it offers: gemini-9.5" in complaint(capsys.readouterr().err)


def test_a_model_that_is_not_listed_may_be_there_all_the_same(pictures: Path) -> None:
    with GeminiServer() as server:
        server.unlisted = [{**server.models[0], "name": "models/gemini-10-preview"}]
        draft_on(server, pictures, "--model_id", "gemini-10-preview")
        assert {*server.asked} == {"models/gemini-10-preview"}
    assert drafts(pictures) == DRAFTS


def test_where_models_are_not_listed_the_named_one_is_asked(pictures: Path) -> None:
    with GeminiServer() as server:
        server.catalogue = [error(404, "NOT_FOUND", "no such path")]
        draft_on(server, pictures)
    assert drafts(pictures) == DRAFTS


def test_a_model_that_is_retired_amid_the_run_ends_it_and_what_is_done_is_kept(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = error(404, "NOT_FOUND", f"models/{SEER} is not found for API version v1beta")
    with GeminiServer(failing("blue", gone)) as server:
        draft_on(server, pictures, "--concurrency", 1, status=4)
    line = complaint(capsys.readouterr().err)
    assert "it offers: gemini-9.5-flash" in line
    assert [*drafts(pictures)] == ["a"]


def test_another_model_that_answers_is_told(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with GeminiServer() as server:
        server.version = "gemini-10-flash"
        draft_on(server, pictures)
    assert f"gemini-10-flash answers, asked for {SEER}" in capsys.readouterr().err


BAD_KEYS = {
    "not valid": error(
        400, "INVALID_ARGUMENT", f"API key not valid: {KEY}. Please pass a valid one"
    ),
    "by its reason": error(
        400, "INVALID_ARGUMENT", "Bad request", {"reason": "API_KEY_INVALID", "domain": "x"}
    ),
    "unauthorized": error(401, "UNAUTHENTICATED", "Request had invalid credentials"),
    "forbidden": error(403, "PERMISSION_DENIED", "Generative Language API has not been used"),
}


@pytest.mark.parametrize("where", ["the list", "the first question"])
@pytest.mark.parametrize("fault", BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_bad_key_ends_the_run_before_the_first_file_with_one_line(
    pictures: Path, capsys: pytest.CaptureFixture[str], fault: Answer, where: str
) -> None:
    fault = Answer(**vars(fault))
    with GeminiServer(lambda *_: fault) as server:
        if where == "the list":
            server.catalogue = [fault]
        draft_on(server, pictures, status=4)
        assert len(server.requests) == (where != "the list")
    out, err = capsys.readouterr()
    assert "refuses the key in GEMINI_API_KEY" in complaint(err)
    assert "sesame" not in out + err
    assert b"sesame" not in b"".join(content for content, _ in snapshot(pictures).values())


PASSING = {
    "a minute's quota": quota("GenerateRequestsPerMinutePerProjectPerModel", "0.2s"),
    "an internal error": error(500, "INTERNAL", "An internal error has occurred."),
    "an overloaded model": error(503, "UNAVAILABLE", "The model is overloaded."),
    "a dropped connection": Answer(drop=True),
    "an answer cut off within": Answer(body=b'{"candidates": [{"cont'),
    "no candidate": Answer(body=b"{}"),
    "a gateway's page": Answer(status=502, body=b"<html>Bad gateway</html>"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_costs_no_draft(pictures: Path, fault: Answer) -> None:
    with GeminiServer(failing("blue", fault, 1)) as server:
        draft_on(server, pictures)
        assert len(server.drafts) == 4
    assert drafts(pictures) == DRAFTS


def test_a_connection_that_breaks_again_and_again_is_asked_on_by_our_rules_not_the_sdks(
    pictures: Path,
) -> None:
    with GeminiServer(failing("blue", Answer(drop=True), 3)) as server:
        draft_on(server, pictures)
        assert len(server.drafts) == 6
    assert drafts(pictures) == DRAFTS


def test_a_minute_is_waited_for_as_long_as_the_server_says(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = quota("GenerateRequestsPerMinutePerProjectPerModel", "1.3s")
    with GeminiServer(failing("blue", slow, 1)) as server:
        draft_on(server, pictures)
    assert "all pause for 1.3 s" in capsys.readouterr().err
    assert drafts(pictures) == DRAFTS


SPENT = {
    "a day": quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "34s"),
    "none at all": quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "34s", "0"),
    "an hour": quota("GenerateRequestsPerSomething", "3600s"),
}


@pytest.mark.parametrize("fault", SPENT.values(), ids=SPENT)
def test_a_spent_quota_ends_the_run_and_the_next_one_asks_only_for_the_rest(
    pictures: Path, capsys: pytest.CaptureFixture[str], fault: Answer
) -> None:
    with GeminiServer(failing("blue", fault)) as server:
        draft_on(server, pictures, "--concurrency", 1, status=4)
    assert "start again when it is renewed, what is done is kept" in complaint(
        capsys.readouterr().err
    )
    assert [*drafts(pictures)] == ["a"]
    with GeminiServer() as server:
        draft_on(server, pictures)
        assert sorted(colours(server)) == ["blue", "green"]
    assert drafts(pictures) == DRAFTS


FILTERS = ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "SPII", "IMAGE_SAFETY")


@pytest.mark.parametrize("reason", FILTERS)
def test_an_answer_that_is_filtered_is_listed_with_the_reason_and_never_asked_for_again(
    pictures: Path, reason: str
) -> None:
    with GeminiServer(failing("blue", Answer("a wa" * (reason == "SPII"), reason))) as server:
        draft_on(server, pictures)
        assert len(server.drafts) == 3
        (needy,) = report_of(pictures)["needs_a_person"]
        assert (needy["file"], needy["problems"]) == ("b.jpg", ["refusal"])
        assert reason.lower() in json.dumps(needy)
        sent = len(server.calls)
        draft_on(server, pictures)
        assert len(server.calls) == sent
    assert [*drafts(pictures)] == ["a", "c"]


@pytest.mark.parametrize("reason", ["SAFETY", "OTHER", "PROHIBITED_CONTENT"])
def test_a_prompt_that_is_blocked_costs_its_file_alone(pictures: Path, reason: str) -> None:
    told = {"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 9}}
    with GeminiServer(failing("blue", Answer(body=json.dumps(told).encode()))) as server:
        draft_on(server, pictures)
        assert len(server.drafts) == 3
        (needy,) = report_of(pictures)["needs_a_person"]
        assert (needy["file"], needy["problems"]) == ("b.jpg", ["refusal"])
        assert f"prompt_{reason.lower()}" in json.dumps(needy)
        sent = len(server.calls)
        draft_on(server, pictures)
        assert len(server.calls) == sent


def test_an_answer_that_thoughts_left_no_room_for_is_asked_for_with_more(pictures: Path) -> None:
    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        if body["generationConfig"]["maxOutputTokens"] < 2000:
            return Answer("", "MAX_TOKENS", reasoning="x" * 512)
        return describe(image, body)

    with GeminiServer(seeing(look)) as server:
        draft_on(server, pictures, "--concurrency", 1)
        limits = [body["generationConfig"]["maxOutputTokens"] for body in server.drafts]
        assert limits == [512, 2048, 2048, 2048]
    assert drafts(pictures) == DRAFTS
    counts = report_of(pictures)["stages"]["generated"]
    assert counts["completion_tokens"] >= 512  # thoughts are paid for


def test_an_answer_that_is_cut_off_is_asked_for_once_more_with_twice_the_room(
    pictures: Path,
) -> None:
    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        whole = describe(image, body)
        return (
            Answer(whole.text[:9], "MAX_TOKENS")
            if body["generationConfig"]["maxOutputTokens"] < 60
            else whole
        )

    with GeminiServer(seeing(look)) as server:
        draft_on(server, pictures, "--max_new_tokens", 30)
        limits = [body["generationConfig"]["maxOutputTokens"] for body in server.drafts]
        assert sorted(limits) == [30] * 3 + [60] * 3
    assert drafts(pictures) == DRAFTS


def test_an_answer_that_runs_in_circles_is_asked_for_anew_with_warmth(pictures: Path) -> None:
    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        warm = "temperature" in body["generationConfig"]
        return describe(image, body) if warm else Answer("a wall " * 60, "MAX_TOKENS")

    with GeminiServer(seeing(look)) as server:
        draft_on(server, pictures)
        warmth = [body["generationConfig"].get("temperature") for body in server.drafts]
        assert sorted(warmth, key=str) == [0.7] * 3 + [None] * 3
    assert drafts(pictures) == DRAFTS


def test_a_broken_answer_is_asked_for_again(pictures: Path) -> None:
    with GeminiServer(failing("blue", Answer("", "MALFORMED_RESPONSE"), 1)) as server:
        draft_on(server, pictures)
        assert len(server.drafts) == 4
    assert drafts(pictures) == DRAFTS


def test_an_account_that_google_disabled_ends_the_run_and_no_picture_is_held_for_refused(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with GeminiServer(failing("blue", Answer("", "PUP_LIMITED_DISABLED"))) as server:
        draft_on(server, pictures, "--concurrency", 1, status=4)
    assert "limited or disabled" in complaint(capsys.readouterr().err)
    with GeminiServer() as server:
        draft_on(server, pictures)
    assert drafts(pictures) == DRAFTS


def test_a_server_that_starts_late_is_waited_for(pictures: Path) -> None:
    with GeminiServer() as gone:
        port = int(gone.url.rpartition(":")[2])
    told = flags(gone, pictures, "--until", "generated", "--server_wait", PATIENCE)
    process = start(*told)
    assert "waiting for it" in process.stderr.readline()
    with GeminiServer(port=port) as server:
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert len(server.drafts) == 3
    assert drafts(pictures) == DRAFTS


def test_thoughts_that_are_told_are_no_part_of_the_draft(pictures: Path) -> None:
    parts = [{"text": "I look at it.", "thought": True}, {"text": "a wall in a wide shot"}]
    told = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
    with GeminiServer(failing("blue", Answer(body=json.dumps(told).encode()))) as server:
        draft_on(server, pictures)
    assert drafts(pictures)["b"] == "a wall in a wide shot"


def test_a_picture_that_is_refused_costs_itself_alone(pictures: Path) -> None:
    fault = error(400, "INVALID_ARGUMENT", "Unable to process input image. Please retry or report")
    with GeminiServer(failing("blue", fault)) as server:
        draft_on(server, pictures)
        assert len(server.drafts) == 3
    (failed,) = report_of(pictures)["failed"]
    assert (failed["file"], "Unable to process" in failed["reason"]) == ("b.jpg", True)


def test_a_model_that_takes_no_pictures_ends_the_run_before_the_first_file(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"Image input modality is not enabled for models/{SEER}"
    with GeminiServer(lambda *_: error(400, "INVALID_ARGUMENT", said)) as server:
        draft_on(server, pictures, status=4)
        assert len(server.requests) == 1
    assert f"{SEER} takes no pictures" in complaint(capsys.readouterr().err)


def test_a_service_that_drops_pictures_ends_the_run_before_the_first_file(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [{"content": {"parts": [{"text": "Blue."}]}, "finishReason": "STOP"}]
    told = {"candidates": said, "usageMetadata": {"promptTokenCount": 21}}
    with GeminiServer(lambda *_: Answer(body=json.dumps(told).encode())) as server:
        draft_on(server, pictures, status=4)
        assert len(server.requests) == 2  # with the picture, and without
    assert "pictures do not reach this model" in complaint(capsys.readouterr().err)


def test_a_server_that_is_not_there_is_named_before_anything_is_written(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(pictures)
    there = ("--captioner", "gemini", "--captioner_base_url", "http://127.0.0.1:9")
    assert run_here("--dataset_dir", pictures, *there, "--until", "generated") == 4
    line = complaint(capsys.readouterr().err)
    assert "cannot reach Gemini at http://127.0.0.1:9" in line
    assert "--captioner_base_url" in line
    assert snapshot(pictures) == before


def test_a_second_run_asks_nothing_touches_nothing_and_imports_no_sdk(pictures: Path) -> None:
    with GeminiServer() as server:
        draft_on(server, pictures)
        before, calls = snapshot(pictures), len(server.calls)
        assert b"google" not in imports(*flags(server, pictures, "--until", "generated"))
        assert b"google" not in imports(*flags(server, pictures, "--dry_run"))
        assert len(server.calls) == calls
    assert snapshot(pictures) == before


def imports(*arguments: object) -> bytes:
    """What a run imports, each on a line."""
    command = [sys.executable, "-X", "importtime", "-m", "enhance", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-2000:]
    return b"\n".join(line for line in done.stderr.splitlines() if b"google" in line)


def test_a_dry_run_asks_nothing(pictures: Path) -> None:
    with GeminiServer() as server:
        assert run_here(*flags(server, pictures, "--dry_run")) == 0
        assert not server.calls


def test_a_caption_in_one_step_is_repaired_in_a_conversation(pictures: Path) -> None:
    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        colour = colour_at(image, 0.5, 0.5)
        if len(body["contents"]) == 1:
            return Answer(f"a {colour} wall in a drawn style", "STOP")
        return Answer(f"a {colour} wall in cutout style", "STOP")

    with GeminiServer(seeing(look)) as server:
        rules = ("--anchor", "cutout style", "--lora_type", "style")
        assert run_here(*flags(server, pictures, "--no_merge", *rules)) == 0
        first = next(body for body in server.drafts if len(body["contents"]) == 1)
        assert 'The anchor is "cutout style"' in json.dumps(
            first["systemInstruction"], ensure_ascii=False
        ).replace('\\"', '"')
        turns = [body for body in server.drafts if len(body["contents"]) == 3]
        assert len(turns) == 3
        for body in turns:
            assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"]
            assert shown(body)
            assert "in a drawn style" in body["contents"][1]["parts"][0]["text"]
            assert "must stand in it once" in body["contents"][2]["parts"][0]["text"]
    assert {*finals(pictures).values()} == {
        f"a {colour} wall in cutout style" for colour in ("red", "blue", "green")
    }


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is told otherwise")
def test_a_run_that_is_interrupted_ends_its_requests_at_once(pictures: Path) -> None:
    held = threading.Event()

    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        if colour_at(image, 0.5, 0.5) != "red":
            held.wait(PATIENCE)
        return describe(image, body)

    with GeminiServer(seeing(look)) as server:
        process = start(*flags(server, pictures, "--until", "generated", "--concurrency", 2))
        wait_until(lambda: len(server.drafts) > 2)
        wait_until(lambda: "a" in drafts(pictures))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        held.set()
    assert process.returncode == 130, err
    assert [*drafts(pictures)] == ["a"]
    assert "Traceback" not in err


def test_a_killed_run_is_gone_on_with_and_what_was_answered_is_not_asked_for_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "many"
    for number in range(8):
        paint(folder / f"{number}.png", "red", size=(64 + 8 * number, 64))
    held = threading.Event()

    def holding(image: Image.Image, body: dict[str, Any]) -> Answer:
        if image.width >= 64 + 8 * 4:
            held.wait(PATIENCE)
        return describe(image, body)

    with GeminiServer(seeing(holding)) as server:
        process = start(*flags(server, folder, "--until", "generated", "--concurrency", 2))
        wait_until(lambda: len(drafts(folder)) == 4)
        process.kill()
        process.communicate(timeout=60)
        held.set()
    with GeminiServer() as server:
        draft_on(server, folder)
        asked = {(picture_of(body).width - 64) // 8 for body in server.drafts}
        assert (asked, len(server.drafts)) == ({4, 5, 6, 7}, 4)
    assert len(drafts(folder)) == 8


def test_an_answer_that_does_not_come_costs_its_file_alone(pictures: Path) -> None:
    with GeminiServer(failing("blue", Answer("slow", "STOP", trickle=0.1))) as server:
        draft_on(server, pictures, "--timeout", 1)
        assert len(server.drafts) == 3
    (failed,) = report_of(pictures)["failed"]
    assert (failed["file"], "--timeout" in failed["reason"]) == ("b.jpg", True)


def test_tokens_of_thoughts_are_counted_and_priced(pictures: Path) -> None:
    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        return Answer(describe(image, body).text, "STOP", reasoning="x" * 100)

    with GeminiServer(seeing(look)) as server:
        draft_on(server, pictures, "--captioner_price_in", 1, "--captioner_price_out", 2)
        assert any(asks_colour(body) for body in server.requests)
    used = report_of(pictures)["stages"]["generated"]
    assert used["requests"] == 4
    assert used["completion_tokens"] >= 300
    paid = (used["prompt_tokens"] + 2 * used["completion_tokens"]) / 1e6
    assert used["cost"] == pytest.approx(paid)
    assert "shot" in words_of(server.drafts[0])
