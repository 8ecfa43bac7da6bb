"""Videos through the whole program: scanned, drafted, merged, cleaned and published like images."""

from __future__ import annotations

import json
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from doors import (
    FLORENCE,
    TWO_RANKS,
    draw_scenes,
    finals,
    run,
    run_here,
    snapshot,
    start,
)
from films import colours, film, pictures
from loopback import Answer, ChatServer, texts_of
from PIL import Image
from scenes import MORE_DETAILED, Scene, caption, draw
from seeing import colour_at, drafts_of, paint, pictures_of, seeing, text_of

LEFT = Scene("red", "circle", "to the left of", "blue", "square")
ABOVE = Scene("red", "circle", "above", "blue", "square")
OTHER = Scene("green", "star", "above", "yellow", "cross")


def clip(path: Path, *scenes: Scene, **how: Any) -> Path:
    """A video of scenes that the tiny captioner knows, each for as long."""
    size = (128, 96)
    images = [draw(scene, random.Random(4), 2) for scene in scenes]
    return film(path, pictures(images, size), **how)


def told(scene: Scene) -> str:
    return caption(scene, MORE_DETAILED)


FRAME = re.compile(r"s: The image shows (.*?)(?: on a grey background)?\.$", re.MULTILINE)


def fuse(_: int, body: dict[str, Any]) -> Answer:
    """What a well-behaved model makes of a draft by frames: what happens, in its order."""
    texts = texts_of(body)
    happens = ", then ".join(FRAME.findall(texts["draft"])) or texts["draft"]
    parts = (f"showing {texts['anchor']}, {happens}", texts["person"])
    return Answer(", ".join(filter(None, parts)))


def flags(folder: Path, server: ChatServer, *more: object) -> list[object]:
    return [
        *("--dataset_dir", folder, "--model_id", FLORENCE, "--base_url", server.url),
        *("--anchor", "zwirbel", "--lora_type", "motion", *more),
    ]


def draft_of(media: Path) -> str:
    return media.with_name(f"{media.stem}_generated.txt").read_text()


@pytest.mark.parametrize("name", ["a.mp4", "b c.webm", "Straße.mov", "d.avi", "日本.mkv"])
def test_the_caption_tells_what_happens_in_the_order_in_which_it_happens(
    tmp_path: Path, name: str
) -> None:
    codec = {".webm": "libvpx-vp9", ".avi": "mjpeg"}.get(Path(name).suffix, "libx264")
    path = clip(tmp_path / name, ABOVE, OTHER, codec=codec)
    with ChatServer(fuse) as server:
        assert run_here(*flags(tmp_path, server)) == 0
        body = server.requests[-1]
    assert draft_of(path) == f"0.0 to 0.6 s: {told(ABOVE)}\n1.3 to 1.9 s: {told(OTHER)}"
    final = finals(tmp_path)[path.stem]
    assert final == (
        "showing zwirbel, a red circle above a blue square, then a green star above a yellow cross"
    )
    asked = body["messages"][1]["content"]
    assert "This is a video." in asked
    assert "in which direction" in asked


def test_the_other_way_round_it_is_told_the_other_way_round(tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4", OTHER, ABOVE)
    with ChatServer(fuse) as server:
        assert run_here(*flags(tmp_path, server)) == 0
    assert finals(tmp_path)["a"].index("green star") < finals(tmp_path)["a"].index("red circle")


def test_what_moves_between_the_frames_is_not_called_invented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(tmp_path / "a.mp4", LEFT, ABOVE)
    said = "showing zwirbel, the red circle slowly moves upward until it is above the blue square"
    with ChatServer(lambda *_: Answer(said)) as server:
        assert run_here(*flags(tmp_path, server)) == 0
        assert len([body for body in server.requests if texts_of(body)["draft"]]) == 1
    assert finals(tmp_path) == {"a": said}
    assert "0.0% of the words are in neither source" in capsys.readouterr().out


def test_frames_that_come_back_one_by_one_are_asked_for_once_more_and_never_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(tmp_path / "a.mp4", ABOVE, OTHER)

    def lazy(_: int, body: dict[str, Any]) -> Answer:
        return Answer(f"{texts_of(body)['draft']} zwirbel")

    with ChatServer(lazy) as server:
        assert run_here(*flags(tmp_path, server)) == 0
        assert "came back one by one" in server.requests[-1]["messages"][-1]["content"]
    assert not finals(tmp_path)
    assert "a.mp4: the frames of the video came back one by one" in capsys.readouterr().out


def test_a_mixed_folder_goes_through_in_one_run_and_a_second_run_changes_nothing(
    tmp_path: Path,
) -> None:
    right = draw_scenes(tmp_path, ["a.png", "sub/b é.jpg"])
    clip(tmp_path / "sub" / "c.mp4", ABOVE, OTHER)
    clip(tmp_path / "d.webm", OTHER, codec="libvpx")
    (tmp_path / "d.txt").write_text("a dance by night")
    (tmp_path / "broken.mkv").write_bytes(b"\x1a\x45\xdf\xa3" + b"junk" * 100)
    with ChatServer(fuse) as server:
        done = run(*flags(tmp_path, server))
        assert done.returncode == 0, done.stderr
        assert "broken.mkv: the video is damaged or cut off" in done.stdout
        assert sorted(finals(tmp_path)) == ["a", "d", "sub/b é", "sub/c"]
        assert (tmp_path / "d_manual.txt").read_text() == "a dance by night"
        assert "a dance by night" in finals(tmp_path)["d"]
        assert draft_of(tmp_path / "a.png") == right["a.png"]
        before, asked = snapshot(tmp_path), len(server.requests)
        again = run(*flags(tmp_path, server))
        assert again.returncode == 0
        assert len(server.requests) == asked
    after = snapshot(tmp_path)
    unlike = {name for name in before if before[name] != after.get(name)}
    assert unlike <= {".enhance/report.json"}


def test_only_says_which_files_are_captioned(tmp_path: Path) -> None:
    draw_scenes(tmp_path, ["a.png"])
    clip(tmp_path / "b.mp4", ABOVE)
    with ChatServer(fuse) as server:
        assert run_here(*flags(tmp_path, server, "--only", "videos")) == 0
        assert sorted(finals(tmp_path)) == ["b"]
        assert run_here(*flags(tmp_path, server, "--only", "images")) == 0
        assert sorted(finals(tmp_path)) == ["a", "b"]


def test_an_image_and_a_video_of_one_name_are_refused_unless_one_kind_is_wished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path, ["a.png"])
    clip(tmp_path / "a.mp4", ABOVE)
    with ChatServer(fuse) as server:
        assert run_here(*flags(tmp_path, server)) == 2
        said = capsys.readouterr().err
        assert "a.mp4 and a.png would share one caption file" in said
        assert "--only images" in said
        assert run_here(*flags(tmp_path, server, "--only", "images")) == 0
    assert sorted(finals(tmp_path)) == ["a"]


def test_other_frames_draft_the_videos_anew_and_no_image(tmp_path: Path) -> None:
    draw_scenes(tmp_path, ["a.png"])
    clip(tmp_path / "b.mp4", ABOVE, OTHER)
    with ChatServer(fuse) as server:
        assert run_here(*flags(tmp_path, server)) == 0
        before = snapshot(tmp_path)
        assert run_here(*flags(tmp_path, server, "--frames", "2")) == 0
    after = snapshot(tmp_path)
    assert before["a_generated.txt"] == after["a_generated.txt"]
    assert draft_of(tmp_path / "b.mp4") == f"0.0 s: {told(ABOVE)}\n1.9 s: {told(OTHER)}"


def test_what_a_trainer_does_not_take_is_not_captioned(tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4", ABOVE, OTHER, count=40)
    with ChatServer(fuse) as server:
        assert run_here(*flags(tmp_path, server, "--target_frames", "17")) == 0
        assert draft_of(tmp_path / "a.mp4") == f"0.0 to 1.6 s: {told(ABOVE)}"
        more = ("--target_frames", "17", "--target_fps", "5")
        assert run_here(*flags(tmp_path, server, *more)) == 0
    assert told(OTHER) in draft_of(tmp_path / "a.mp4")


def test_a_video_of_one_frame_is_drafted_as_the_picture_that_it_is(tmp_path: Path) -> None:
    clip(tmp_path / "a.mp4", ABOVE, count=1)
    with ChatServer(fuse) as server:
        assert run_here(*flags(tmp_path, server)) == 0
    assert draft_of(tmp_path / "a.mp4") == told(ABOVE)


def test_single_frames_make_no_caption_without_a_merge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_scenes(tmp_path, ["b.png"])
    clip(tmp_path / "a.mp4", ABOVE, OTHER)
    task = ("--no_merge", "--prompt", "<MORE_DETAILED_CAPTION>", "--lora_type", "style")
    assert run_here("--dataset_dir", tmp_path, "--model_id", FLORENCE, *task) == 0
    assert "looks at single frames of a video" in capsys.readouterr().out
    assert sorted(finals(tmp_path)) == ["b"]


def seen_colours(body: dict[str, Any]) -> list[str]:
    return [colour_at(image, 0.5, 0.5) for image in pictures_of(body)]


def tell_colours(_: Image.Image, body: dict[str, Any]) -> Answer:
    return Answer(f"a wall in a wide shot turns {' then '.join(dict.fromkeys(seen_colours(body)))}")


def on_server(folder: Path, server: ChatServer, *more: object) -> list[object]:
    return ["--dataset_dir", folder, "--captioner_base_url", server.url, *more]


def test_a_server_is_shown_all_frames_in_one_request_in_their_order_with_their_times(
    tmp_path: Path,
) -> None:
    film(tmp_path / "a.mp4", colours("red", "green", "blue", "yellow"), count=40)
    with ChatServer(seeing(tell_colours)) as server:
        assert run_here(*on_server(tmp_path, server, "--until", "generated")) == 0
        (body,) = drafts_of(server)
    assert list(dict.fromkeys(seen_colours(body))) == ["red", "green", "blue", "yellow"]
    assert len(seen_colours(body)) == 8
    assert "frames of one video, in this order: at 0.0, 0.6, 1.1," in text_of(body)
    assert text_of(body).startswith("Describe this video")
    right = "a wall in a wide shot turns red then green then blue then yellow"
    assert draft_of(tmp_path / "a.mp4") == right


def test_a_server_may_write_the_caption_of_a_video_in_one_step(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", colours("red", "green"))
    paint(tmp_path / "b.png", "blue")

    def look(_: Image.Image, body: dict[str, Any]) -> Answer:
        shown = " then ".join(dict.fromkeys(seen_colours(body)))
        return Answer(f"a figure in zwirbel before a {shown} wall")

    with ChatServer(seeing(look)) as server:
        more = ("--no_merge", "--anchor", "zwirbel", "--lora_type", "motion")
        assert run_here(*on_server(tmp_path, server, *more)) == 0
        shown = {len(pictures_of(body)): text_of(body) for body in drafts_of(server)}
    assert finals(tmp_path)["a"] == "a figure in zwirbel before a red then green wall"
    assert "Write one caption of the whole video" in shown[8]
    assert "Write the caption of this picture." in shown[1]


@pytest.mark.parametrize("most", [1, 3])
def test_a_server_that_takes_fewer_pictures_is_shown_fewer(tmp_path: Path, most: int) -> None:
    for name in ("a.mp4", "b.mp4"):
        film(tmp_path / name, colours("red", "green"))

    def few(_: Image.Image, body: dict[str, Any]) -> Answer:
        if len(pictures_of(body)) > most:
            said = f"At most {most} image(s) may be provided in one prompt."
            return Answer(status=400, body=json.dumps({"error": {"message": said}}).encode())
        return tell_colours(_, body)

    with ChatServer(seeing(few)) as server:
        arguments = on_server(tmp_path, server, "--until", "generated", "--concurrency", "1")
        assert run_here(*arguments) == 0
        shown = [len(pictures_of(body)) for body in drafts_of(server)]
    told = draft_of(tmp_path / "b.mp4")
    if most == 1:
        assert shown == [8, *[1] * 8]
        assert told.splitlines()[0].startswith("0.0 to 0.6 s: a wall in a wide shot turns red")
    else:
        assert shown == [8, 3, 3]
        assert told == "a wall in a wide shot turns red then green"


def test_joycaption_on_a_server_sees_one_frame_at_a_time(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", colours("red", "green"))
    with ChatServer(seeing(tell_colours), models=("llama-joycaption-beta",)) as server:
        assert run_here(*on_server(tmp_path, server, "--until", "generated")) == 0
        assert {len(pictures_of(body)) for body in drafts_of(server)} == {1}
    assert draft_of(tmp_path / "a.mp4").startswith("0.0 to 0.6 s: ")


def test_a_video_that_was_paid_for_is_not_asked_about_again_after_a_kill(tmp_path: Path) -> None:
    for number in range(6):
        film(tmp_path / f"{number}.mp4", colours("red", "green"))

    def slowly(_: Image.Image, body: dict[str, Any]) -> Answer:
        time.sleep(0.3)
        return tell_colours(_, body)

    with ChatServer(seeing(slowly)) as server:
        arguments = on_server(tmp_path, server, "--until", "generated", "--concurrency", "1")
        process = start(*arguments)
        while len(list(tmp_path.glob("*_generated.txt"))) < 2:
            time.sleep(0.02)
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        saved = len(list(tmp_path.glob("*_generated.txt")))
        asked = len(drafts_of(server))
        assert run(*arguments).returncode == 0
        assert len(drafts_of(server)) == asked + 6 - saved
    assert len(list(tmp_path.glob("*_generated.txt"))) == 6


def test_two_processes_do_each_video_once(tmp_path: Path) -> None:
    draw_scenes(tmp_path, [f"{number:02}.png" for number in range(12)])
    for number in range(4):
        clip(tmp_path / f"z{number}.mp4", ABOVE, OTHER, count=4)
    with ChatServer(fuse) as server:
        done = run(*flags(tmp_path, server, "--batch_size", "2"), launcher=TWO_RANKS)
        assert done.returncode == 0, done.stderr
        kinds = ["s: " in texts_of(body)["draft"] for body in server.requests]
    assert kinds.count(True) == 4
    assert len(finals(tmp_path)) == 16
