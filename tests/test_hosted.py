"""A captioner behind a server: what is really sent to it, and what becomes of its answers."""

from __future__ import annotations

import io
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from doors import TWO_RANKS, finals, report_of, run, run_here, snapshot, start
from few import write
from launches import PATIENCE, wait_until
from loopback import Answer, ChatServer, completion, merge, texts_of
from merges import complaint, error
from PIL import Image
from seeing import (
    COLOURS,
    asks_colour,
    bytes_of,
    colour_at,
    describe,
    draft_on,
    drafts_of,
    paint,
    picture_of,
    seeing,
    text_of,
)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures of three formats, each of one colour."""
    folder = tmp_path / "pictures"
    paint(folder / "a.png", "red")
    paint(folder / "b.jpg", "blue")
    paint(folder / "sub" / "c.webp", "green")
    return folder


def drafts(folder: Path) -> dict[str, str]:
    return {
        path.name.removesuffix("_generated.txt"): path.read_text("utf-8")
        for path in sorted(folder.rglob("*_generated.txt"))
    }


DRAFTS = {
    "a": "a red wall in a wide shot",
    "b": "a blue wall in a wide shot",
    "c": "a green wall in a wide shot",
}


def test_every_picture_reaches_the_server_and_its_answer_is_the_draft(pictures: Path) -> None:
    with ChatServer(seeing()) as server:
        draft_on(server, pictures)
        assert len(drafts_of(server)) == 3
        for body in drafts_of(server):
            assert set(body) == {"model", "messages", "max_tokens"}
            (message,) = body["messages"]
            assert [part["type"] for part in message["content"]] == ["text", "image_url"]
            assert set(message["content"][1]["image_url"]) == {"url"}
    assert drafts(pictures) == DRAFTS


def test_a_picture_is_sent_upright_flattened_bounded_and_without_what_its_file_tells(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    tall = Image.new("RGB", (600, 300), COLOURS["red"])
    tall.paste(COLOURS["blue"], (300, 0, 600, 300))  # red left, blue right, to be turned
    exif = Image.Exif()
    exif[0x0112] = 6  # its top is at the right
    exif[0x010E] = "taken by Otto"
    tall.save(folder / "turned.jpg", exif=exif, comment=b"of Otto")
    glass = Image.new("RGBA", (100, 100), (*COLOURS["red"], 0))
    glass.paste((*COLOURS["green"], 255), (0, 0, 50, 100))
    glass.save(folder / "glass.png")
    with ChatServer(seeing()) as server:
        draft_on(server, folder, "--max_side", 256, "--background", "grey", "--concurrency", 1)
        glassy, turned = drafts_of(server)
        assert b"Otto" not in (bytes_of(turned) or b"Otto")
    shown = picture_of(glassy)
    assert (shown.format, shown.mode, shown.size) == ("JPEG", "RGB", (100, 100))
    assert [colour_at(shown, x, 0.5) for x in (0.1, 0.9)] == ["green", "grey"]
    shown = picture_of(turned)
    assert (shown.format, shown.mode, shown.size) == ("JPEG", "RGB", (128, 256))
    assert [colour_at(shown, 0.5, y) for y in (0.1, 0.9)] == ["red", "blue"]
    assert not shown.getexif()


def test_a_lower_quality_sends_fewer_bytes_and_drafts_anew(tmp_path: Path) -> None:
    folder = tmp_path / "noise"
    folder.mkdir()
    Image.effect_noise((300, 300), 90).save(folder / "a.png")
    sizes = []
    with ChatServer(seeing()) as server:
        for quality in (90, 30):
            draft_on(server, folder, "--jpeg_quality", quality)
            sizes.append(len(bytes_of(drafts_of(server)[-1]) or b""))
        assert len(drafts_of(server)) == 2
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize("detail", ["low", "high", "original"])
def test_how_closely_it_shall_look_is_sent_where_it_is_asked_for(
    pictures: Path, detail: str
) -> None:
    with ChatServer(seeing()) as server:
        draft_on(server, pictures, "--detail", detail)
        for body in drafts_of(server):
            assert body["messages"][0]["content"][1]["image_url"]["detail"] == detail


def test_sampling_is_sent_where_it_is_asked_for_and_no_more_where_it_is_refused(
    pictures: Path,
) -> None:
    def strict(image: Image.Image, body: dict[str, Any]) -> Answer:
        if "top_k" in body:
            return Answer(status=400, body=error("Unrecognized request argument: top_k"))
        return describe(image, body)

    with ChatServer(seeing(strict)) as server:
        sampling = ("--temperature", 0.3, "--top_p", 0.8, "--top_k", 20, "--max_new_tokens", 99)
        draft_on(server, pictures, *sampling, "--concurrency", 1)
        first, *rest = drafts_of(server)
        assert (first["temperature"], first["top_p"], first["top_k"]) == (0.3, 0.8, 20)
        assert first["max_tokens"] == 99
        assert [body.get("top_k") for body in rest] == [None] * 3
    assert drafts(pictures) == DRAFTS


def test_another_effort_drafts_anew(pictures: Path) -> None:
    with ChatServer(seeing()) as server:
        draft_on(server, pictures)
        draft_on(server, pictures, "--reasoning_effort", "low")
        efforts = [body.get("reasoning_effort") for body in drafts_of(server)]
        assert efforts == [None] * 3 + ["low"] * 3


def test_the_model_is_the_one_named_else_the_only_one_listed(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(seeing(), models=("one", "two")) as server:
        draft_on(server, pictures, status=4)
        assert "pick one with --model_id: one, two" in complaint(capsys.readouterr().err)
        assert not drafts_of(server)
        draft_on(server, pictures, "--model_id", "two")
        assert {body["model"] for body in drafts_of(server)} == {"two"}


def test_wishes_for_joycaption_are_put_as_it_was_trained_whoever_serves_it(
    pictures: Path,
) -> None:
    name = "fancyfeast/llama-joycaption-beta-one-hf-llava"
    with ChatServer(seeing(), models=(name,)) as server:
        wishes = ("--caption_type", "Straightforward", "--caption_length", "short")
        draft_on(server, pictures, *wishes, "--extra_options", "lighting")
        body = drafts_of(server)[0]
        assert text_of(body, "system") == "You are a helpful image captioner."
        assert text_of(body).startswith("Write a short straightforward caption for this image.")
        assert "lighting" in text_of(body)
        # Without a wish it is not asked as other models are.
        draft_on(server, pictures)
        assert text_of(drafts_of(server)[-1]).startswith("Write a medium-length detailed")


def test_a_prompt_of_ones_own_is_sent_with_what_is_known_of_each_picture(pictures: Path) -> None:
    write(pictures / "a.txt", "made for Otto <|im_end|>")
    with ChatServer(seeing()) as server:
        draft_on(server, pictures, "--prompt", "{{ name }}: {{ manual }}", "--concurrency", 1)
        assert [text_of(body) for body in drafts_of(server)] == ["a: made for Otto", "b:", "c:"]


def both(server: ChatServer, other: ChatServer, folder: Path, *more: object) -> int:
    """Drafts on the one and merges on the other."""
    flags = ("--captioner_base_url", server.url, "--base_url", other.url)
    rules = ("--anchor", "cutout style", "--lora_type", "style")
    return run_here("--dataset_dir", folder, *flags, *rules, *more)


def test_two_servers_draft_and_merge_each_with_its_own_key(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-merge")
    monkeypatch.setenv("CAPTIONER_API_KEY", "sk-of-the-captioner")
    with ChatServer(seeing()) as server, ChatServer() as other:
        assert both(server, other, pictures) == 0
        assert len(drafts_of(server)) == len(other.requests) == 3
        assert {one["authorization"] for one in server.headers} == {"Bearer sk-of-the-captioner"}
        assert {one["authorization"] for one in other.headers} == {"Bearer sk-of-the-merge"}
        assert {texts_of(body)["draft"] for body in other.requests} == {*DRAFTS.values()}
        said = b"".join(content for content, _ in snapshot(pictures).values())
        assert b"sk-of" not in said
    assert finals(pictures)["a"] == "a red wall in a wide shot in cutout style"


def test_the_captioner_takes_the_other_key_where_it_has_none_of_its_own(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-run")
    with ChatServer(seeing()) as server:
        draft_on(server, pictures)
        assert {one["authorization"] for one in server.headers} == {"Bearer sk-of-the-run"}


def test_no_key_goes_to_a_captioner_that_only_a_caption_toml_names(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-run")
    monkeypatch.setenv("CAPTIONER_API_KEY", "sk-of-the-captioner")
    with ChatServer(seeing()) as server, ChatServer(seeing()) as other:
        write(pictures / "sub" / "caption.toml", f'captioner_base_url = "{other.url}"\n')
        draft_on(server, pictures)
        assert (len(drafts_of(server)), len(drafts_of(other))) == (2, 1)
        assert "sk-of" not in str(other.headers)
        assert {one["authorization"] for one in server.headers} == {"Bearer sk-of-the-captioner"}
    assert drafts(pictures) == DRAFTS


def test_one_server_may_draft_and_merge_and_is_named_once(pictures: Path) -> None:
    with ChatServer(seeing(then=merge)) as server:
        flags = ("--captioner", "openai", "--base_url", server.url)
        rules = ("--anchor", "cutout style", "--lora_type", "style")
        assert run_here("--dataset_dir", pictures, *flags, *rules) == 0
        assert len(drafts_of(server)) == 3
    assert len(finals(pictures)) == 3


@pytest.mark.parametrize("shared", [True, False], ids=["one server", "two servers"])
def test_who_drafts_and_merges_at_one_server_goes_through_one_gate(
    tmp_path: Path, shared: bool
) -> None:
    folder = tmp_path / "many"
    for number in range(12):
        paint(folder / f"{number:02}.png", "red")
    turn = threading.Lock()
    busy = {"at once": 0, "most": 0}

    def slowly(answer: Answer) -> Answer:
        with turn:
            busy["at once"] += 1
            busy["most"] = max(busy.values())
        time.sleep(0.1)
        with turn:
            busy["at once"] -= 1
        return answer

    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        return slowly(describe(image, body))

    def fuse(number: int, body: dict[str, Any]) -> Answer:
        return slowly(merge(number, body))

    with ChatServer(seeing(look, fuse)) as server, ChatServer(fuse) as other:
        assert both(server, server if shared else other, folder, "--concurrency", 2) == 0
    assert busy["most"] <= 2 if shared else busy["most"] > 2
    assert len(finals(folder)) == 12


def test_a_pause_that_a_shared_server_asks_for_holds_the_merge_too(pictures: Path) -> None:
    paused = threading.Event()
    since: list[float] = []
    early = []

    def limited(image: Image.Image, body: dict[str, Any]) -> Answer:
        if not paused.is_set() and colour_at(image, 0.5, 0.5) == "green":
            since.append(time.monotonic())
            paused.set()
            return Answer(status=429, headers={"retry-after": "1"}, body=error("slow down"))
        # Its draft comes amid the pause, and wants to be merged.
        assert paused.wait(PATIENCE)
        time.sleep(0.2)
        return describe(image, body)

    def fuse(number: int, body: dict[str, Any]) -> Answer:
        if time.monotonic() - since[0] < 0.9:
            early.append(number)
        return merge(number, body)

    with ChatServer(seeing(limited, fuse)) as server:
        assert both(server, server, pictures) == 0
    assert early == []
    assert len(finals(pictures)) == 3


PASSING = {
    "a rate limit": Answer(status=429, headers={"retry-after": "0"}, body=error("slow down")),
    "an internal error": Answer(status=500, headers={"retry-after": "0"}, body=error("oops")),
    "a busy server": Answer(status=503, headers={"retry-after": "0"}, body=b"busy"),
    "a dropped connection": Answer(drop=True),
    "an answer cut off within": Answer(body=b'{"choices": [{"mess'),
}


def failing(colour: str, fault: Answer, times: int = 1000) -> Any:
    """A script that meets pictures of this colour with a fault, so many times."""
    left = [times]

    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        if colour_at(image, 0.5, 0.5) == colour and left[0] > 0:
            left[0] -= 1
            return fault
        return describe(image, body)

    return seeing(look)


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_costs_no_draft(pictures: Path, fault: Answer) -> None:
    with ChatServer(failing("blue", fault, 1)) as server:
        draft_on(server, pictures)
        assert len(drafts_of(server)) == 4
    assert drafts(pictures) == DRAFTS


LASTING = {
    "too large": (400, "Image size of 24MB exceeds the maximum of 20MB"),
    "no picture": (400, "You uploaded an unsupported image. Please make sure it is valid"),
    "not decoded": (500, "Failed to load image or audio file"),
    "moderated": (400, "Your input image may contain content that is not allowed"),
    "too long": (400, "This model's maximum context length is 4096 tokens"),
    "too long for a small context": (500, "the request exceeds the available context size"),
}


@pytest.mark.parametrize(("status", "message"), LASTING.values(), ids=LASTING)
def test_a_picture_that_the_server_refuses_costs_itself_alone_and_is_asked_for_once(
    pictures: Path, status: int, message: str
) -> None:
    with ChatServer(failing("blue", Answer(status=status, body=error(message)))) as server:
        draft_on(server, pictures)
        assert len(drafts_of(server)) == 3
    (failed,) = report_of(pictures)["failed"]
    assert (failed["file"], failed["stage"]) == ("b.jpg", "generated")
    assert message[:20] in failed["reason"]
    assert ("--max_side" in failed["reason"]) == ("context" in message)
    assert {**drafts(pictures), "b": DRAFTS["b"]} == DRAFTS


BLIND = {
    "Ollama": (400, "this model does not support image input (ref: 1)"),
    "OpenAI": (400, "Invalid content type. image_url is only supported by certain models."),
    "OpenRouter": (404, "No endpoints found that support image input"),
    "LM Studio": (400, "Model does not support images. Please use a model that does."),
    "llama.cpp": (500, "image input is not supported - you may need to provide the mmproj"),
    "vLLM": (400, "facebook/opt-125m is not a multimodal model"),
    "DeepSeek": (400, "unknown variant `image_url`, expected `text`"),
    "Groq": (400, "messages[0].content must be a string"),
}


@pytest.mark.parametrize(("status", "message"), BLIND.values(), ids=BLIND)
def test_a_model_that_takes_no_pictures_ends_the_run_before_the_first_file_with_one_line(
    pictures: Path, capsys: pytest.CaptureFixture[str], status: int, message: str
) -> None:
    refusal = Answer(status=status, body=error(message))
    with ChatServer(lambda *_: refusal, models=("blind", "seer")) as server:
        draft_on(server, pictures, "--model_id", "blind", status=4)
        assert len(server.requests) == 1
    line = complaint(capsys.readouterr().err)
    assert "blind takes no pictures" in line
    assert message in line
    assert "--model_id; it offers: blind, seer" in line


def counted(text: str, tokens: int) -> Answer:
    data = completion(Answer(text))
    data["usage"]["prompt_tokens"] = tokens
    return Answer(body=json.dumps(data).encode())


def test_a_server_that_drops_pictures_without_a_word_ends_the_run_before_the_first_file(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(lambda *_: counted("Blue.", 21)) as server:
        draft_on(server, pictures, status=4)
        assert len(server.requests) == 2  # with the picture, and without
        assert asks_colour(server.requests[0])
    line = complaint(capsys.readouterr().err)
    assert "pictures do not reach this model" in line
    assert "'Blue.'" in line
    assert drafts(pictures) == {}


@pytest.mark.parametrize("tokens", [0, 300], ids=["nothing counted", "the picture counted"])
def test_where_it_is_not_sure_that_a_model_is_blind_it_is_only_told(
    pictures: Path, capsys: pytest.CaptureFixture[str], tokens: int
) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        if bytes_of(body) is None:
            return counted("Blue.", min(tokens, 20))
        return counted("Blue.", tokens) if asks_colour(body) else describe(picture_of(body), body)

    with ChatServer(script) as server:
        draft_on(server, pictures)
    assert "does it see? Look at the first drafts" in capsys.readouterr().err
    assert drafts(pictures) == DRAFTS


REFUSALS = {
    "a bad key": (401, "Incorrect key sk-sesame", "refuses the key in CAPTIONER_API_KEY"),
    "an unknown model": (404, "unknown", "it offers: large, tiny"),
    "a spent day": (429, "Rate limit reached on requests per day (RPD)", "start again"),
}


@pytest.mark.parametrize(("status", "message", "said"), REFUSALS.values(), ids=REFUSALS)
def test_a_key_model_or_quota_that_does_not_work_ends_the_run_before_the_first_file(
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    message: str,
    said: str,
) -> None:
    monkeypatch.setenv("CAPTIONER_API_KEY", "sk-sesame")
    fault = Answer(status=status, body=error(message))
    with ChatServer(lambda *_: fault, models=("tiny", "large")) as server:
        draft_on(server, pictures, "--model_id", "missing", status=4)
        assert len(server.requests) == 1
    out, err = capsys.readouterr()
    assert said in complaint(err)
    assert "sesame" not in out + err
    assert b"sesame" not in b"".join(content for content, _ in snapshot(pictures).values())


def test_a_captioner_that_cannot_be_reached_is_named_before_anything_is_written(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(pictures)
    flags = ("--dataset_dir", pictures, "--captioner_base_url", "http://127.0.0.1:9")
    assert run_here(*flags, "--until", "generated") == 4
    line = complaint(capsys.readouterr().err)
    assert "cannot reach the captioner's server at http://127.0.0.1:9/v1" in line
    assert "--captioner_base_url" in line
    assert snapshot(pictures) == before


def test_openai_without_a_key_is_refused_before_anything(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--dataset_dir", pictures, "--captioner", "openai", "--until", "generated")
    assert run_here(*flags) == 4
    line = complaint(capsys.readouterr().err)
    assert "https://api.openai.com/v1 needs a key: set OPENAI_API_KEY" in line


def test_a_quota_that_is_spent_midway_ends_the_run_and_the_next_one_asks_only_for_the_rest(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spent = Answer(status=429, headers={"retry-after": "7200"}, body=error("daily limit reached"))
    with ChatServer(failing("blue", spent)) as server:
        draft_on(server, pictures, "--concurrency", 1, status=4)
    assert "start again in 7200 s" in complaint(capsys.readouterr().err)
    assert [*drafts(pictures)] == ["a"]
    with ChatServer(seeing()) as server:
        draft_on(server, pictures)
        shown = {colour_at(picture_of(body), 0.5, 0.5) for body in drafts_of(server)}
        assert shown == {"blue", "green"}
    assert drafts(pictures) == DRAFTS


def test_an_answer_that_does_not_come_costs_its_file_alone_and_is_not_asked_for_twice(
    pictures: Path,
) -> None:
    with ChatServer(failing("blue", Answer("slow", trickle=0.1))) as server:
        draft_on(server, pictures, "--timeout", 1)
        assert len(drafts_of(server)) == 3
    (failed,) = report_of(pictures)["failed"]
    assert (failed["file"], "--timeout" in failed["reason"]) == ("b.jpg", True)


UNUSABLE = {
    "a refusal": (Answer("I'm sorry, but I can't help with that."), "refusal"),
    "a filter": (Answer("a wa", finish="content_filter"), "refusal"),
    "nothing": (Answer(""), "empty"),
}


@pytest.mark.parametrize(("fault", "label"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_no_caption_is_listed_and_not_asked_for_again_by_the_next_run(
    pictures: Path, fault: Answer, label: str
) -> None:
    with ChatServer(failing("blue", fault)) as server:
        draft_on(server, pictures)
        (needy,) = report_of(pictures)["needs_a_person"]
        assert (needy["file"], needy["stage"], needy["problems"]) == ("b.jpg", "generated", [label])
        sent = len(server.requests)
        draft_on(server, pictures)
        assert len(server.requests) == sent
    assert "b" not in drafts(pictures)


def test_a_draft_that_is_cut_off_is_asked_for_once_more_with_twice_the_room(
    pictures: Path,
) -> None:
    def short(image: Image.Image, body: dict[str, Any]) -> Answer:
        answer = describe(image, body)
        return Answer(answer.text[:9], "length") if body["max_tokens"] < 60 else answer

    with ChatServer(seeing(short)) as server:
        draft_on(server, pictures, "--max_new_tokens", 30)
        assert sorted(body["max_tokens"] for body in drafts_of(server)) == [30] * 3 + [60] * 3
    assert drafts(pictures) == DRAFTS
    assert report_of(pictures)["stages"]["generated"]["repaired"] == 3


def test_a_file_that_was_answered_is_never_asked_for_twice_whatever_ends_the_run(
    pictures: Path,
) -> None:
    def dying(image: Image.Image, body: dict[str, Any]) -> Answer:
        if colour_at(image, 0.5, 0.5) == "green":
            return Answer(status=401, body=error("revoked"))
        return describe(image, body)

    with ChatServer(seeing(dying)) as server:
        draft_on(server, pictures, "--concurrency", 1, status=4)
        assert len(drafts_of(server)) == 3
    with ChatServer(seeing()) as server:
        draft_on(server, pictures)
        (body,) = drafts_of(server)
        assert colour_at(picture_of(body), 0.5, 0.5) == "green"
        before = snapshot(pictures)
        sent, probes = len(server.requests), server.probes
        draft_on(server, pictures)
        assert (len(server.requests), server.probes) == (sent, probes)
    assert snapshot(pictures) == before


def test_a_killed_run_is_gone_on_with_and_what_was_answered_is_not_asked_for_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "many"
    for number in range(9):
        paint(folder / f"{number}.png", "red", size=(64 + 8 * number, 64))
    held = threading.Event()

    def holding(image: Image.Image, body: dict[str, Any]) -> Answer:
        if image.width >= 64 + 8 * 4:
            held.wait(PATIENCE)
        return describe(image, body)

    flags = ("--dataset_dir", folder, "--until", "generated", "--concurrency", 2)
    with ChatServer(seeing(holding)) as server:
        process = start(*flags, "--captioner_base_url", server.url)
        wait_until(lambda: len(drafts(folder)) == 4)
        process.kill()
        process.communicate(timeout=60)
        held.set()
    answered = set(drafts(folder))
    assert answered == {"0", "1", "2", "3"}
    with ChatServer(seeing()) as server:
        draft_on(server, folder)
        asked = {(picture_of(body).width - 64) // 8 for body in drafts_of(server)}
        assert asked == {4, 5, 6, 7, 8}
        assert len(drafts_of(server)) == 5
    assert len(drafts(folder)) == 9


def test_two_processes_share_one_captioner_and_its_ceilings(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for number in range(12):
        paint(folder / f"{number:02}.png", "red", size=(64 + 8 * number, 64))

    def slowly(image: Image.Image, body: dict[str, Any]) -> Answer:
        time.sleep(0.1)
        return describe(image, body)

    with ChatServer(seeing(slowly)) as server:
        flags = ("--dataset_dir", folder, "--captioner_base_url", server.url)
        more = ("--until", "generated", "--concurrency", 2)
        done = run(*flags, *more, launcher=TWO_RANKS)
        assert done.returncode == 0, done.stderr
        widths = [picture_of(body).width for body in drafts_of(server)]
        assert sorted(widths) == [64 + 8 * number for number in range(12)]
        assert server.most_busy <= 2
    assert len(drafts(folder)) == 12
    assert report_of(folder)["stages"]["generated"]["requests"] == 12 + 2  # each tried it


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is told otherwise")
def test_a_run_that_is_interrupted_waits_for_no_pause_of_a_server_that_drafts_and_merges(
    pictures: Path,
) -> None:
    def limited(image: Image.Image, body: dict[str, Any]) -> Answer:
        if colour_at(image, 0.5, 0.5) == "red":
            return describe(image, body)
        return Answer(status=429, headers={"retry-after": "100"}, body=error("slow down"))

    with ChatServer(seeing(limited, merge)) as server:
        flags = ("--captioner", "openai", "--base_url", server.url, "--concurrency", 2)
        process = start("--dataset_dir", pictures, *flags)
        wait_until(lambda: len(drafts_of(server)) > 1)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.communicate(timeout=60)
        assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert [*drafts(pictures)] == ["a"]


def test_a_server_that_answers_no_picture_at_all_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "many"
    for number in range(9):
        paint(folder / f"{number}.png", "red")
    refusal = Answer(status=400, body=error("Invalid image: base64 is not allowed here"))

    def deaf(number: int, body: dict[str, Any]) -> Answer:
        return Answer("yes") if bytes_of(body) is None else refusal

    with ChatServer(deaf) as server:
        draft_on(server, folder, "--concurrency", 1, status=4)
        assert len(drafts_of(server)) == 5
    line = complaint(capsys.readouterr().err)
    assert "5 files in a row got no answer" in line
    assert "base64 is not allowed here" in line


def test_an_answer_stays_where_asking_once_more_fails(pictures: Path) -> None:
    def once(image: Image.Image, body: dict[str, Any]) -> Answer:
        if body["max_tokens"] > 512:
            return Answer(status=400, body=error("max_tokens is too large: at most 512"))
        return Answer("A wall. It is in a wi", "length")

    with ChatServer(seeing(once)) as server:
        draft_on(server, pictures)
        assert len(drafts_of(server)) == 6
    assert {*drafts(pictures).values()} == {"A wall. It is in a wi"}
    assert {note["problem"] for note in report_of(pictures)["notes"]} == {"truncated"}


def test_a_model_that_refuses_system_messages_gets_them_before_the_picture(
    pictures: Path,
) -> None:
    def strict(image: Image.Image, body: dict[str, Any]) -> Answer:
        if text_of(body, "system"):
            return Answer(status=400, body=error("System role not supported"))
        return describe(image, body)

    with ChatServer(seeing(strict)) as server:
        flags = ("--captioner_base_url", server.url, "--no_merge", "--no_repair")
        rules = ("--anchor", "cutout style", "--lora_type", "style", "--concurrency", 1)
        assert run_here("--dataset_dir", pictures, *flags, *rules) == 0
        parts = drafts_of(server)[-1]["messages"][0]["content"]
        assert [part["type"] for part in parts] == ["text", "text", "image_url"]
        assert "The anchor is" in parts[0]["text"]
    assert len(finals(pictures)) == 3


def test_as_many_pictures_are_under_way_as_concurrency_allows(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for number in range(9):
        paint(folder / f"{number}.png", "red")
    crowded = threading.Event()

    def together(image: Image.Image, body: dict[str, Any]) -> Answer:
        if server.busy == 3:
            crowded.set()
        assert crowded.wait(60)
        time.sleep(0.05)  # one too many would come now
        return describe(image, body)

    with ChatServer(seeing(together)) as server:
        draft_on(server, folder, "--concurrency", 3)
        assert server.most_busy == 3


def test_tokens_and_cost_of_drafts_are_told(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(seeing()) as server, ChatServer() as other:
        prices = ("--price_in", 1, "--price_out", 2, "--captioner_price_in", 10)
        assert both(server, other, pictures, *prices) == 0
    used = report_of(pictures)["stages"]["generated"]
    assert used["requests"] == 4  # with the one by which it was tried
    paid = (10 * used["prompt_tokens"] + 2 * used["completion_tokens"]) / 1e6
    assert used["cost"] == pytest.approx(paid)
    tokens = used["prompt_tokens"] + used["completion_tokens"]
    said = capsys.readouterr().out
    assert f"draft: 3 made, {tokens} tokens in 4 requests, cost {paid:.4g}" in said
    merged = report_of(pictures)["stages"]["combined"]
    paid = (merged["prompt_tokens"] + 2 * merged["completion_tokens"]) / 1e6
    assert merged["cost"] == pytest.approx(paid)


def test_max_cost_holds_for_drafts_and_merges_together(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # An answer of 512 tokens may cost half a coin; each of these costs a quarter.
    def dear(answer: Answer) -> Answer:
        data = completion(answer)
        data["usage"]["completion_tokens"] = 250
        return Answer(body=json.dumps(data).encode())

    def look(image: Image.Image, body: dict[str, Any]) -> Answer:
        return dear(describe(image, body))

    def fuse(number: int, body: dict[str, Any]) -> Answer:
        return dear(merge(number, body))

    money = ("--price_out", 1000, "--max_cost", 1.2, "--concurrency", 1)
    with ChatServer(seeing(look)) as server, ChatServer(fuse) as other:
        assert both(server, other, pictures, *money) == 4
        assert 2 <= len(drafts_of(server)) + len(other.requests) <= 4
    assert "--max_cost 1.2" in complaint(capsys.readouterr().err)
    with ChatServer(seeing()) as server, ChatServer() as other:
        assert both(server, other, pictures) == 0
    assert len(finals(pictures)) == 3


def test_an_address_for_a_captioner_that_runs_here_is_refused(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--dataset_dir", pictures, "--captioner_base_url", "http://127.0.0.1:9")
    assert run_here(*flags, "--captioner", "florence2") == 2
    assert "--captioner openai" in complaint(capsys.readouterr().err)


def test_a_picture_without_its_pixels_is_listed_and_never_sent(pictures: Path) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    (pictures / "b.jpg").write_bytes(buffer.getvalue()[:200])
    with ChatServer(seeing()) as server:
        draft_on(server, pictures)
        assert len(drafts_of(server)) == 2
    (failed,) = report_of(pictures)["failed"]
    assert "the file is cut off" in failed["reason"]


def test_a_server_that_breaks_on_every_picture_ends_the_run_though_it_answers_a_few_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(30):
        paint(tmp_path / f"{number:02}.png", "red")
    with ChatServer(seeing(lambda *_: Answer(drop=True))) as server:
        draft_on(server, tmp_path, "--concurrency", "4", status=4)
    assert "files in a row got no answer" in complaint(capsys.readouterr().err)
