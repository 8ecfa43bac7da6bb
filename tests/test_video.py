"""Videos as they are opened: which frames, when, upright, and what is said of broken ones."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest
from doors import REPOSITORY
from films import colours, film, moving
from PIL import Image
from seeing import colour_at

from stages.reel import Sampling
from stages.sample import Unavailable, Unusable
from stages.video import SIDE, Frame, open_video, read_reel, type_of

FORMATS = [
    ("a.mp4", "libx264"),
    ("a.mp4", "libx265"),
    ("a.mp4", "libsvtav1"),
    ("a.mov", "libx264"),
    ("a.webm", "libvpx"),
    ("a.webm", "libvpx-vp9"),
    ("a.mkv", "libx265"),
    ("a.avi", "mpeg4"),
    ("a.avi", "mjpeg"),
    ("a.AVI", "libx264"),
]


def where(image: Image.Image) -> float:
    """How far to the right the red circle is, from 0 to 1."""
    row = [image.getpixel((x, image.height // 2)) for x in range(image.width)]
    red = [x for x, pixel in enumerate(row) if pixel[0] > 150 and pixel[1] < 120]  # type: ignore[index]
    return sum(red) / len(red) / image.width


def opened(path: Path, least: int = 4, most: int = 8, **wish: float) -> list[Frame]:
    return open_video(path, Sampling(**wish), least, most)  # type: ignore[arg-type]


def reason(path: Path) -> str:
    with pytest.raises(Unusable) as caught:
        opened(path)
    return str(caught.value)


@pytest.mark.parametrize(("name", "codec"), FORMATS, ids=lambda one: str(one))
def test_the_frames_of_every_format_come_in_their_order_with_the_first_and_the_last(
    tmp_path: Path, name: str, codec: str
) -> None:
    frames = opened(film(tmp_path / name, moving(), codec=codec))
    places = [where(frame.image) for frame in frames]
    assert places == sorted(places, reverse=True)
    for frame, place in zip(frames, places, strict=True):
        assert place == pytest.approx(0.85 - 0.7 * frame.seconds / 1.9, abs=0.02)
    assert [frame.seconds for frame in frames][::3] == pytest.approx([0.0, 1.9], abs=0.11)
    assert {frame.image.mode for frame in frames} == {"RGB"}


@pytest.mark.parametrize(
    ("rotation", "corner"),
    [(0, (0.1, 0.1)), (90, (0.1, 0.9)), (180, (0.9, 0.9)), (-90, (0.9, 0.1))],
)
def test_a_video_is_turned_upright_as_players_do(
    tmp_path: Path, rotation: int, corner: tuple[float, float]
) -> None:
    image = Image.new("RGB", (128, 96), "white")
    image.paste((220, 40, 40), (0, 0, 40, 30))
    path = film(tmp_path / "a.mp4", lambda _: image, rotation=rotation)
    upright = opened(path)[0].image
    assert upright.size == ((96, 128) if rotation % 180 else (128, 96))
    assert colour_at(upright, *corner) == "red"
    assert colour_at(upright, 1 - corner[0], 1 - corner[1]) == "white"


def test_frames_are_chosen_by_the_time_at_which_they_are_shown_not_by_their_number(
    tmp_path: Path,
) -> None:
    times = [0.0, 0.1, 0.15, 0.4, 0.41, 0.42, 0.9, 1.5, 1.6, 3.0]
    path = film(tmp_path / "a.mkv", moving(), count=10, times=times)
    frames = opened(path, frames=3)
    assert [frame.seconds for frame in frames] == [0.0, 1.5, 3.0]
    assert where(frames[1].image) == pytest.approx(0.3, abs=0.05)  # the eighth of ten


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mkv", {"live": "1"}), ("a.mp4", {"movflags": "frag_keyframe+empty_moov"})],
)
def test_a_video_of_unknown_length_is_read_to_its_end(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    frames = opened(film(tmp_path / name, moving(), options=options))
    assert [frame.seconds for frame in frames] == [0.0, 0.6, 1.3, 1.9]


def test_frames_without_times_are_told_apart_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_image(moving()(number / 19))
            for packet in stream.encode(frame):
                packet.pts = packet.dts = 0
                container.mux(packet)
    frames = opened(path)
    assert [frame.seconds for frame in frames] == [0.0, 0.6, 1.3, 1.9]
    assert where(frames[0].image) > 0.8
    assert where(frames[-1].image) < 0.2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_video_of_few_frames_shows_all_of_them_once(tmp_path: Path, count: int) -> None:
    frames = opened(film(tmp_path / "a.mp4", moving(), count=count))
    assert len(frames) == count


def test_oblong_pixels_are_made_square(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", moving(), aspect=Fraction(2, 1))
    assert opened(path)[0].image.size == (256, 96)


def test_large_frames_are_made_as_small_as_models_look_at(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", moving(size=(1920, 1080)), count=3)
    assert opened(path)[0].image.size == (SIDE, SIDE * 9 // 16)


@pytest.mark.parametrize("keys", ["10", "600"])
def test_of_a_long_video_the_right_frames_are_found_whatever_its_key_frames(
    tmp_path: Path, keys: str
) -> None:
    path = film(tmp_path / "a.mp4", moving(), count=600, tuning={"g": keys})
    frames = opened(path, frames=5)
    assert [frame.seconds for frame in frames] == [0.0, 15.0, 30.0, 44.9, 59.9]
    for frame, right in zip(frames, (0.85, 0.675, 0.5, 0.325, 0.15), strict=True):
        assert where(frame.image) == pytest.approx(right, abs=0.02)


def copied(source: Path, path: Path, since: float, all_keys: bool = False) -> Path:
    """The packets of a video in another container, their times shifted by so many seconds;
    `all_keys`: each pretends to be a key frame."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            shift = round(since / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = stream
            packet.is_keyframe = packet.is_keyframe or all_keys
            new.mux(packet)
    return path


@pytest.mark.parametrize("name", ["piece.mkv", "piece.mp4"])
def test_a_piece_of_a_longer_recording_is_whole(tmp_path: Path, name: str) -> None:
    path = copied(film(tmp_path / "a.mp4", moving()), tmp_path / name, 33.3)
    frames = opened(path)
    assert [frame.seconds for frame in frames] == pytest.approx([0.0, 0.6, 1.3, 1.9], abs=0.01)
    assert where(frames[0].image) > 0.8
    assert where(frames[-1].image) < 0.2


def test_what_an_edit_list_cuts_away_is_neither_shown_nor_counted(tmp_path: Path) -> None:
    path = copied(film(tmp_path / "a.mp4", moving(), count=40), tmp_path / "cut.mp4", -2.0)
    assert len(read_reel(path, Sampling()).times) == 20
    frames = opened(path, frames=3)
    assert [frame.seconds for frame in frames] == pytest.approx([0.0, 1.0, 1.9], abs=0.11)
    assert where(frames[0].image) == pytest.approx(0.49, abs=0.03)
    assert where(frames[-1].image) < 0.2


@pytest.mark.parametrize("kind", ["mpegts", "mpeg", "flv"])
def test_other_containers_with_a_videos_name_show_the_right_frames(
    tmp_path: Path, kind: str
) -> None:
    codec = {"mpeg": "mpeg2video"}.get(kind, "libx264")
    path = film(tmp_path / "a.mp4", moving(), count=100, rate=25, codec=codec, kind=kind)
    frames = opened(path, frames=5)
    assert [frame.seconds for frame in frames] == pytest.approx([0, 1, 2, 3, 3.96], abs=0.05)
    for frame, right in zip(frames, (0.85, 0.673, 0.495, 0.32, 0.15), strict=True):
        assert where(frame.image) == pytest.approx(right, abs=0.03)


def test_frames_that_were_dropped_while_an_avi_was_recorded_are_no_cut(tmp_path: Path) -> None:
    times = [number / 10 for number in range(100) if number % 10 not in (4, 5, 6)]
    path = film(
        tmp_path / "a.avi", moving(), count=len(times), times=times, codec="mpeg4", steps=10
    )
    frames = opened(path, frames=2)
    assert [frame.seconds for frame in frames] == [0.0, 9.9]


def test_key_frames_that_are_none_lead_to_no_wrong_frame(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", moving(), count=100, tuning={"g": "60", "bf": "0"})
    path = copied(source, tmp_path / "b.mkv", 0.0, all_keys=True)
    frames = opened(path, frames=4)
    for frame, right in zip(frames, (0.85, 0.617, 0.384, 0.15), strict=True):
        assert where(frame.image) == pytest.approx(right, abs=0.01)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells its memory on Linux")
def test_frames_are_held_not_films(tmp_path: Path) -> None:
    path = film(
        tmp_path / "a.mp4", moving(size=(1920, 1080)), count=240, tuning={"preset": "ultrafast"}
    )
    script = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "import av\n"
        "from stages.reel import Sampling\n"
        "from stages.video import open_video\n"
        "def peak():\n"
        "    status = Path('/proc/self/status').read_text()\n"
        "    return int(re.search(r'VmHWM:\\s+(\\d+)', status)[1])\n"
        "before = peak()\n"
        "open_video(Path(sys.argv[1]), Sampling(), 4, 8)\n"
        "print(peak() - before)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(told.stdout) < 250_000  # kB, of 1.5 GB that the film has


@pytest.mark.parametrize(
    ("wish", "seconds", "least", "most", "count"),
    [
        ({}, 2.0, 4, 8, 4),
        ({}, 1.0, 4, 8, 4),
        ({}, 3.2, 4, 8, 7),
        ({}, 60.0, 4, 8, 8),
        ({}, 2.0, 8, 32, 8),
        ({}, 9.9, 8, 32, 20),
        ({"fps": 1.0}, 60.0, 4, 8, 60),
        ({"frames": 3}, 60.0, 4, 8, 3),
        ({"frames": 3, "fps": 5.0}, 60.0, 4, 8, 3),
    ],
)
def test_two_frames_a_second_within_bounds_unless_others_are_wished(
    wish: dict[str, float], seconds: float, least: int, most: int, count: int
) -> None:
    assert Sampling(**wish).count(seconds, least, most) == count  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wish", "seconds", "rate"),
    [
        ({}, 3.0, 4.0),  # more of short clips, where a movement lasts half a second
        ({}, 0.5, 16.0),
        ({}, 0.01, 24.0),
        ({}, 8.0, 4.0),
        ({}, 16.0, 2.0),
        ({}, 320.0, 0.1),
        ({"fps": 1.0}, 3.0, 1.0),
        ({"frames": 6}, 3.0, 2.0),
    ],
)
def test_of_a_video_that_is_given_whole_so_many_frames_a_second_are_asked_for(
    wish: dict[str, float], seconds: float, rate: float
) -> None:
    found = Sampling(**wish).rate(seconds, 8, 32)  # type: ignore[arg-type]
    assert found == pytest.approx(rate)


@pytest.mark.parametrize(
    ("wish", "end"),
    [
        ({}, 300),
        ({"target_frames": 81}, 81),  # as they are
        ({"target_frames": 81, "source_fps": 30.0}, 81),
        ({"target_frames": 81, "target_fps": 16.0}, 152),  # 5.06 s by the clock
        ({"target_frames": 81, "target_fps": 16.0, "source_fps": 30.0}, 152),
        ({"target_frames": 81, "target_fps": 16.0, "source_fps": 24.0}, 122),  # musubi counts
        ({"target_frames": 500}, 300),
    ],
)
def test_the_part_of_a_video_is_that_which_the_trainer_takes(
    wish: dict[str, float], end: int
) -> None:
    times = [number / 30 for number in range(300)]
    assert Sampling(**wish).end(times) == end  # type: ignore[arg-type]


def test_what_the_trainer_does_not_take_is_not_looked_at(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", colours("red", "blue"), count=40)
    assert not read_reel(path, Sampling(target_frames=17)).whole
    frames = opened(path, target_frames=17)
    assert {colour_at(frame.image, 0.5, 0.5) for frame in frames} == {"red"}
    assert frames[-1].seconds == 1.6


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("name", ["a.mp4", "fast.mp4", "a.webm", "a.mkv", "a.avi"])
def test_a_video_that_was_cut_off_is_not_taken_for_a_whole_one(
    tmp_path: Path, name: str, share: float
) -> None:
    options = {"movflags": "faststart"} if name == "fast.mp4" else {}
    codec = {"a.webm": "libvpx", "a.avi": "mpeg4"}.get(name, "libx264")
    path = film(tmp_path / name, moving(size=(320, 240)), count=80, codec=codec, options=options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    told = reason(path)
    assert any(word in told for word in ("cut off", "one frame", "damaged")), told
    assert "copy or download it again" in told


def test_noise_amid_a_video_is_told(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", moving(size=(640, 480)), count=100)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = b"\xab" * 400
    path.write_bytes(data)
    assert "damaged" in reason(path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"hello", "it holds text, not a video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG image, not a video: rename it"),
        (b"<!doctype html><p>no", "a web page, not a video: download the video itself"),
        (bytes(5000), "nothing but zeros"),
        (b"\x1a\x45\xdf\xa3" + b"junk" * 100, "damaged or cut off"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"\xff\xfb\x01\x02" * 9, "not a video, or of a kind that is not read"),
    ],
)
def test_what_is_no_video_is_told(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "a.mp4").write_bytes(data)
    assert said in reason(tmp_path / "a.mp4")


def test_a_song_has_no_frames_and_its_cover_is_none(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", moving(), sound=True)
    assert opened(path)
    song = tmp_path / "song.mp4"
    with av.open(str(path)) as source, av.open(str(song), "w") as container:
        stream = container.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    assert "sound only" in reason(song)


def test_a_playlist_with_a_videos_name_opens_no_other_file(tmp_path: Path) -> None:
    film(tmp_path / "real.ts.mp4", moving())
    playlist = f"#EXTM3U\n#EXTINF:2,\n{tmp_path / 'real.ts.mp4'}\n#EXT-X-ENDLIST\n"
    (tmp_path / "a.mp4").write_text(playlist)
    assert "text, not a video" in reason(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'real.ts.mp4'}'\n")
    assert "text, not a video" in reason(tmp_path / "b.mp4")


def test_a_video_that_is_gone_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="the video file is gone"):
        opened(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").mkdir()
    with pytest.raises(Unavailable, match="a folder with a video's name"):
        opened(tmp_path / "b.mp4")


@pytest.mark.parametrize(
    ("kind", "codec", "told"),
    [
        ("mp4", "libx264", "video/mp4"),
        ("mov", "libx264", "video/quicktime"),
        ("matroska", "libx264", "video/x-matroska"),
        ("webm", "libvpx", "video/webm"),
        ("avi", "mjpeg", "video/x-msvideo"),
        ("mpegts", "libx264", "video/mp2t"),
        ("flv", "libx264", "video/x-flv"),
    ],
)
def test_a_service_is_told_what_the_file_holds_not_what_its_name_says(
    tmp_path: Path, kind: str, codec: str, told: str
) -> None:
    assert type_of(film(tmp_path / "a.mp4", moving(), codec=codec, kind=kind)) == told
