"""What becomes of answers: judged by their texts, asked for once more, kept or listed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doors import finals, report_of, run_here
from few import said
from loopback import Answer, ChatServer, Script, texts_of
from merges import error

# Manual caption, draft, and an honest merge of both.
PICTURES = {
    "boat": (
        "annika rows a boat across the lake",
        "A woman sits in a wooden boat. The camera is far away, a wide shot.",
        "a wide shot of annika rowing a boat across the lake",
    ),
    "chess": (
        "annika plays chess with her brother",
        "Two people sit at a table. It is seen from above.",
        "annika playing chess with her brother at a table, seen from above",
    ),
    "flute": (
        "annika practises the flute at night",
        "A close up of a girl who holds an instrument.",
        "a close up of annika practising the flute at night",
    ),
}
Change = Callable[[str], Answer]


@pytest.fixture
def pictures(dataset: Path, tmp_path: Path) -> Path:
    """Three pictures, each with a manual caption and a draft as if edited by hand."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = (dataset / "01.png").read_bytes()
    for name, (manual, draft, _) in PICTURES.items():
        (folder / f"{name}.png").write_bytes(picture)
        (folder / f"{name}.txt").write_text(manual)
        (folder / f"{name}_generated.txt").write_text(draft)
    return folder


def merge_on(server: ChatServer, folder: Path, *more: str) -> int:
    flags = ["--anchor", "annika", "--base_url", server.url]
    return run_here("--dataset_dir", folder, *flags, *more)


def name_of(body: dict[str, Any]) -> str:
    person = texts_of({"messages": body["messages"][:2]})["person"]
    return next(name for name, (manual, _, _) in PICTURES.items() if manual == person)


def honest(name: str) -> str:
    return PICTURES[name][2]


def is_second(body: dict[str, Any]) -> bool:
    """Told what was wrong with a first answer."""
    return (
        len(body["messages"]) == 4 or "A first answer could not" in body["messages"][1]["content"]
    )


def badly(name: str, first: Answer | str, second: Answer | str | None = None) -> Script:
    """Answers honestly, but for one file: at first badly, then `second`, honestly without it."""

    def script(number: int, body: dict[str, Any]) -> Answer:
        asked = name_of(body)
        answer: Answer | str | None = honest(asked)
        if asked == name:
            answer = (second or answer) if is_second(body) else first
        return answer if isinstance(answer, Answer) else Answer(str(answer))

    return script


ALL = {name: honest(name) for name in PICTURES}


def test_honest_merges_are_asked_for_once_and_published(pictures: Path) -> None:
    with ChatServer(badly("", "")) as server:
        assert merge_on(server, pictures) == 0
        assert len(server.requests) == 3
    assert finals(pictures) == ALL
    report = report_of(pictures)
    assert report["notes"] == []
    assert report["ledger"]["recall"] == 1.0
    assert report["ledger"]["invention_rate"] == 0.0


UNUSABLE = {
    "a refusal": Answer("I'm sorry, but I can't help with that."),
    "nothing": Answer(""),
    "only thoughts": Answer("<think>Let me look at both texts</think>"),
    "an error page": Answer("<html><body>502 Bad Gateway</body></html>"),
    "an error object as its text": Answer('{"error": "model overloaded"}'),
    "a question back": Answer("Could you provide the image?"),
    "a filtered answer": Answer("a wide shot", finish="content_filter"),
    "an answer cut off in its first sentence": Answer("a wide shot of annika", finish="length"),
    "another picture's caption": Answer("a dog chases three ducks along a sunny beach"),
    "another picture's caption with the anchor in it": Answer(
        "annika eating noodles at a harbour restaurant next to a blue bicycle"
    ),
    "a loop": Answer("annika " + "rows and rows and " * 60),
}


@pytest.mark.parametrize("first", UNUSABLE.values(), ids=UNUSABLE)
def test_an_answer_that_is_no_caption_is_asked_for_once_more_and_told_why(
    pictures: Path, first: Answer
) -> None:
    with ChatServer(badly("boat", first)) as server:
        assert merge_on(server, pictures) == 0
        asked = [body for body in server.requests if name_of(body) == "boat"]
    assert finals(pictures) == ALL
    assert len(asked) == 2
    again = asked[1]["messages"]
    assert [message["role"] for message in again] == ["system", "user"]
    assert again[0] == asked[0]["messages"][0]  # the prefix that servers cache
    assert again[1]["content"].startswith(asked[0]["messages"][1]["content"])


@pytest.mark.parametrize("bad", UNUSABLE.values(), ids=UNUSABLE)
def test_an_answer_that_stays_no_caption_is_listed_and_what_a_person_wrote_stays(
    pictures: Path, bad: Answer
) -> None:
    with ChatServer(badly("boat", bad, bad)) as server:
        assert merge_on(server, pictures) == 0
        assert len(server.requests) == 4
        (needy,) = report_of(pictures)["needs_a_person"]
        assert needy["file"] == "boat.png"
        assert finals(pictures) == {**ALL, "boat": PICTURES["boat"][0]}
        assert (pictures / "boat_generated.txt").read_text() == PICTURES["boat"][1]
        assert not (pictures / "boat_combined.txt").exists()
        assert merge_on(server, pictures) == 0
        assert len(server.requests) == 4  # a second run asks nothing


BROKEN = {
    "an invention": (
        "a wide shot of annika rowing a boat across the lake past two swans",
        "stands in neither text; leave it out: past, two, swans",
    ),
    "a lost fact": (
        "a wide shot of annika in a boat",
        "it is missing:",
    ),
    "looks that are to be left out": (
        "a wide shot of annika with long red hair rowing a boat across the lake",
        "leave this out: long red hair",
    ),
    "no anchor": (
        "a wide shot of two friends who row a boat across the lake",
        '"annika" must stand in it once',
    ),
}


@pytest.mark.parametrize(("first", "told"), BROKEN.values(), ids=BROKEN)
def test_an_answer_that_breaks_a_rule_is_mended_in_one_turn_on_the_same_prefix(
    pictures: Path, first: str, told: str
) -> None:
    with ChatServer(badly("boat", first)) as server:
        assert merge_on(server, pictures) == 0
        asked = [body for body in server.requests if name_of(body) == "boat"]
    assert finals(pictures) == ALL
    assert len(asked) == 2
    once, again = (body["messages"] for body in asked)
    assert again[:2] == once
    assert again[2] == {"role": "assistant", "content": first}
    assert told in again[3]["content"]
    assert report_of(pictures)["stages"]["combined"]["repaired"] == 1


def test_a_second_answer_is_taken_only_if_it_is_better(pictures: Path) -> None:
    first = "a wide shot of annika rowing a boat across the lake past swans"
    worse = "a wide shot of annika past swans, herons and a steamer"
    with ChatServer(badly("boat", first, worse)) as server:
        assert merge_on(server, pictures) == 0
    assert finals(pictures)["boat"] == first
    report = report_of(pictures)
    assert report["stages"]["combined"]["repairs"] == 1
    assert report["stages"]["combined"]["repaired"] == 0
    (note,) = report["notes"]
    assert (note["file"], note["problem"]) == ("boat.png", "invented")
    assert "swans" in note["message"]


def test_a_second_answer_with_new_words_of_its_own_is_not_taken(pictures: Path) -> None:
    first = "a wide shot of annika in a boat"  # two facts lost
    second = "a wide shot of annika rowing a boat across the lake at dawn"
    with ChatServer(badly("boat", first, second)) as server:
        assert merge_on(server, pictures) == 0
    assert finals(pictures)["boat"] == first


def test_a_caption_whose_anchor_cannot_be_had_is_listed(pictures: Path) -> None:
    without = "a wide shot of two friends who row a boat across the lake"
    with ChatServer(badly("boat", without, without)) as server:
        assert merge_on(server, pictures) == 0
    (needy,) = report_of(pictures)["needs_a_person"]
    assert (needy["file"], needy["problems"]) == ("boat.png", ["missing_anchor"])
    assert finals(pictures)["boat"] == PICTURES["boat"][0]


def test_no_repair_asks_each_file_once(pictures: Path) -> None:
    with ChatServer(badly("boat", BROKEN["an invention"][0])) as server:
        assert merge_on(server, pictures, "--no_repair") == 0
        assert len(server.requests) == 3
    assert finals(pictures)["boat"] == BROKEN["an invention"][0]


def test_what_the_first_answer_holds_is_kept_where_the_second_fails(pictures: Path) -> None:
    first = BROKEN["an invention"][0]
    refused = Answer(status=400, body=error("no"))
    with ChatServer(badly("boat", first, refused)) as server:
        assert merge_on(server, pictures) == 0
    assert finals(pictures)["boat"] == first
    assert report_of(pictures)["failed"] == []


def test_of_several_candidates_the_one_most_faithful_to_its_texts_is_kept(pictures: Path) -> None:
    told = Counter[str]()
    turn = threading.Lock()
    versions = (
        "a wide shot of annika rowing past swans and herons",
        "a wide shot of annika rowing a boat past swans",
        "a wide shot of annika rowing a boat across the lake",
        "annika and a steamer",
    )

    def script(number: int, body: dict[str, Any]) -> Answer:
        name = name_of(body)
        with turn:
            told[name] += 1
            return Answer(versions[told[name] - 1] if name == "boat" else honest(name))

    with ChatServer(script) as server:
        assert merge_on(server, pictures, "--candidates", "4", "--no_repair") == 0
        warmths = [body["temperature"] for body in server.requests if name_of(body) == "boat"]
    assert finals(pictures) == ALL
    assert warmths == [0.0, 0.7, 0.7]  # alike at 0; and none beyond a faultless one
    assert told == {"boat": 3, "chess": 1, "flute": 1}


def test_a_draft_too_long_for_the_context_is_shortened_and_the_rules_are_not(
    pictures: Path,
) -> None:
    draft = "The camera is far away, a wide shot. " + "A gull flies over the water. " * 200
    (pictures / "boat_generated.txt").write_text(draft)
    full = Answer(status=400, body=error("the request exceeds the available context size"))

    def script(number: int, body: dict[str, Any]) -> Answer:
        long = len(body["messages"][1]["content"]) > 1000
        return full if long else Answer(honest(name_of(body)))

    with ChatServer(script) as server:
        assert merge_on(server, pictures) == 0
        asked = [body["messages"] for body in server.requests if name_of(body) == "boat"]
    assert finals(pictures) == ALL
    assert len({messages[0]["content"] for messages in asked}) == 1
    assert all(PICTURES["boat"][0] in messages[1]["content"] for messages in asked)
    shown = texts_of({"messages": asked[-1]})["draft"]
    assert draft.startswith(shown)
    assert shown.startswith("The camera is far away, a wide shot.")


def test_a_context_too_small_even_without_the_draft_costs_its_file(pictures: Path) -> None:
    full = Answer(status=400, body=error("maximum context length is 512 tokens"))
    with ChatServer(badly("boat", full, full)) as server:
        assert merge_on(server, pictures) == 0
    (failed,) = report_of(pictures)["failed"]
    assert failed["file"] == "boat.png"
    assert "context" in failed["reason"]
    assert finals(pictures)["boat"] == PICTURES["boat"][0]


def test_show_tells_where_each_word_came_from_and_what_was_invented_and_lost(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(badly("boat", "a wide shot of annika in a boat past swans")) as server:
        assert merge_on(server, pictures, "--no_repair") == 0
    told = said(capsys, 0, "show", pictures / "boat.png")
    (sources,) = [line.strip() for line in told if line.strip().startswith("sources: ")]
    assert "wide shot (draft)" in sources
    assert "annika (anchor)" in sources
    assert "boat (both)" in sources
    assert "swans (neither)" in sources
    assert any("invented, in neither source: past, swans" in line for line in told)
    # The lake is a place: for a character it may go.
    assert any(line.strip() == "lost of the manual caption: rows" for line in told)


def test_the_report_and_the_summary_tell_how_much_came_through(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ChatServer(badly("boat", "a wide shot of annika in a boat past swans")) as server:
        flags = ("--dataset_dir", pictures, "--anchor", "annika", "--base_url", server.url)
        told = said(capsys, 0, *flags, "--no_repair")
    ledger = report_of(pictures)["ledger"]
    (row,) = ledger["files"]
    assert row["file"] == "boat.png"
    assert row["invented"] == ["past", "swans"]
    assert ["annika", "anchor"] in row["claims"]
    assert 0 < ledger["recall"] == round(1 - ledger["lost"] / ledger["facts"], 4) < 1
    assert ledger["invention_rate"] == round(ledger["invented"] / ledger["words"], 4) > 0
    share = f"{ledger['recall']:.1%} of what people wrote is kept or rightly left out"
    assert any(share in line for line in told)
