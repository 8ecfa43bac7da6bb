"""Three hundred files against a server that fails in every way that it knows."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

from doors import finals, report_of, run_here
from loopback import Answer, ChatServer, texts_of
from merges import error
from test_merging import UNUSABLE

COUNT = 300
SCENES = ("rows a boat", "plays chess", "climbs a ladder", "feeds three ducks", "mends a net")
PLACES = ("at the harbour", "in the kitchen", "under an old bridge", "beside a well")

NOW = {"retry-after": "0"}
PASSING = [
    Answer(status=429, headers=NOW, body=error("slow down")),
    Answer(status=503, headers=NOW, body=b"busy"),
    Answer(status=500, headers=NOW, body=error("oops")),
    Answer(status=502, headers=NOW, body=b"<html>Bad Gateway</html>"),
    Answer(status=500, headers=NOW, body=error("KV cache is full")),
    Answer(status=408, headers=NOW, body=error("request timeout")),
    Answer(drop=True),
    Answer("x" * 400, cut=True),
    Answer(body=b'{"choices": [{"mess'),
    Answer(body=b"<html>please sign in</html>", headers={"content-type": "text/html"}),
    Answer(body=error("upstream failed")),
    Answer(body=b'{"choices": []}'),
    Answer("", finish="length", reasoning="let me think"),
    *UNUSABLE.values(),
]
LASTING = [
    Answer(status=400, body=error("this text is not allowed")),
    Answer(status=403, body=error("flagged by moderation")),
    Answer(status=500, headers=NOW, body=error("assertion failed")),
    Answer(status=400, body=error("maximum context length is 8 tokens")),
    Answer(body=b'{"choices": []}'),
    *UNUSABLE.values(),
]


def manual(number: int) -> str:
    return f"annika {SCENES[number % 5]} {PLACES[number // 5 % 4]}, a medium shot, take {number}"


def test_every_file_is_published_or_listed_with_its_reason_and_a_second_run_is_the_same(
    dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    first = folder / "000.png"
    first.write_bytes((dataset / "01.png").read_bytes())
    for number in range(COUNT):
        if number:
            (folder / f"{number:03}.png").hardlink_to(first)
        (folder / f"{number:03}.txt").write_text(manual(number))
    met = Counter[int]()
    turn = threading.Lock()

    def failing(_: int, body: dict[str, Any]) -> Answer:
        text = texts_of({"messages": body["messages"][:2]})["person"]
        if not text:
            return Answer("yes")  # asked whether the server is there at all
        number = int(text.rpartition(" ")[2])
        with turn:
            met[number] += 1
            times = met[number]
        if number % 10 == 9:  # every tenth never gets an answer that can be used
            return LASTING[number // 10 % len(LASTING)]
        if times == 1 and number % 3:
            return PASSING[number % len(PASSING)]
        return Answer(text)

    with ChatServer(failing) as server:
        flags = ["--base_url", server.url, "--anchor", "annika", "--no_generate"]
        assert run_here("--dataset_dir", folder, *flags) == 0
        published, report = finals(folder), report_of(folder)
        listed = [row["file"] for row in (*report["failed"], *report["needs_a_person"])]
        assert sorted(listed) == [f"{number:03}.png" for number in range(9, COUNT, 10)]
        assert all(row["reason"] for row in (*report["failed"], *report["needs_a_person"]))
        assert published == {f"{number:03}": manual(number) for number in range(COUNT)}
        assert len(list(folder.glob("*_manual.txt"))) == COUNT - len(listed)
        asked = len(server.requests)
        assert run_here("--dataset_dir", folder, *flags) == 0
        again = report_of(folder)
    assert finals(folder) == published
    assert [row["file"] for row in (*again["failed"], *again["needs_a_person"])] == listed
    # What no server can answer is tried again, what a model answered is not.
    assert len(server.requests) - asked <= 6 * len(report["failed"]) + 1
