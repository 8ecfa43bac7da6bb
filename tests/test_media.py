"""Opening images: upright, RGB, flattened, no larger than needed, or a reason why not."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from odd_bytes import png_of
from pictures import SCENE, picture, turned
from PIL import Image, ImageChops, ImageCms, ImageStat
from scenes import COLOURS

from stages.media import open_image
from stages.sample import Unavailable, Unusable

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
LONG = 64


def halves(size: tuple[int, int] = (LONG, LONG)) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def close(pixel: object, colour: tuple[int, int, int], by: int = 12) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(a - b) <= by for a, b in zip(pixel, colour, strict=True))


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def same(image: Image.Image, other: Image.Image, by: float = 6) -> bool:
    """True if the pixels differ by no more than that on average."""
    assert (image.mode, image.size) == (other.mode, other.size)
    return max(ImageStat.Stat(ImageChops.difference(image, other)).mean) <= by


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_taken_in_any_position_is_turned_upright(
    tmp_path: Path, orientation: int, kind: str
) -> None:
    image, exif = turned(orientation)
    path = saved(tmp_path / f"phone.{kind}", image, exif=exif, quality=95)
    assert same(open_image(path), picture())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_phones_heic_is_turned_once(tmp_path: Path, orientation: int) -> None:
    pytest.importorskip("pillow_heif")
    image, exif = turned(orientation)
    path = saved(tmp_path / "phone.heic", image, exif=exif.tobytes())
    assert same(open_image(path), picture())


@pytest.mark.parametrize("colour", [WHITE, (128, 128, 128), (0, 0, 0), (18, 52, 86)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_flattened_on_the_background(
    tmp_path: Path, mode: str, colour: tuple[int, int, int]
) -> None:
    path = saved(tmp_path / "clear.png", Image.new("RGBA", (8, 8), (9, 9, 9, 0)).convert(mode))
    image = open_image(path, background="#{:02x}{:02x}{:02x}".format(*colour))
    assert image.mode == "RGB"
    assert image.getpixel((4, 4)) == colour


def test_what_is_half_transparent_is_half_background(tmp_path: Path) -> None:
    path = saved(tmp_path / "glass.png", Image.new("RGBA", (LONG, LONG), (*RED, 128)))
    assert close(open_image(path).getpixel((4, 4)), (255, 127, 127), by=1)
    assert close(open_image(path, background="black").getpixel((4, 4)), (128, 0, 0), by=1)


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_a_transparent_palette_colour_is_flattened_on_white(tmp_path: Path, kind: str) -> None:
    picture = halves().convert("P", palette=Image.Palette.ADAPTIVE)
    path = saved(tmp_path / f"sticker.{kind}", picture, transparency=picture.getpixel((0, 0)))
    image = open_image(path)
    assert image.getpixel((4, 4)) == WHITE
    assert close(image.getpixel((LONG - 4, 4)), BLUE)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_sixteen_bit_greys_keep_their_shades(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path / f"scan.{kind}", Image.new("I;16", (4, 4), 32768))
    assert close(open_image(path).getpixel((1, 1)), (128, 128, 128), by=1)


def test_sixteen_bit_colours_keep_their_shades(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    pixel = b"\xff\xff\x80\x00\x00\x00"
    path.write_bytes(png_of((4, 4), (b"\x00" + pixel * 4) * 4, depth=16))
    assert close(open_image(path).getpixel((1, 1)), (255, 128, 0), by=1)


@pytest.mark.parametrize(
    ("mode", "value", "grey"),
    [("I", 32768, 128), ("I", 100, 100), ("F", 0.5, 128), ("F", 100.0, 100), ("F", 1e6, 255)],
)
def test_greys_of_32_bits_keep_their_shades(
    tmp_path: Path, mode: str, value: float, grey: int
) -> None:
    path = saved(tmp_path / "scan.tif", Image.new(mode, (LONG, LONG), value))
    assert close(open_image(path).getpixel((1, 1)), (grey, grey, grey), by=1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.jpg" if mode in ("CMYK", "YCbCr") else "picture.png")
    image = open_image(saved(path, Image.new("RGB", (8, 8), WHITE).convert(mode)))
    assert image.mode == "RGB"
    assert close(image.getpixel((4, 4)), WHITE)


@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_ink_colours_without_a_profile_look_like_their_picture(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path / f"print.{kind}", halves().convert("CMYK"), quality=95)
    assert same(open_image(path), halves())


def test_lab_colours_look_like_their_picture(tmp_path: Path) -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(halves(), srgb, lab, outputMode="LAB")
    assert image is not None
    assert same(open_image(saved(tmp_path / "scan.tif", image)), halves(), by=15)


def swapped() -> bytes:
    """A profile whose red is sRGB's blue: what is stored as red is to be seen as blue."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return srgb.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("kind", ["png", "webp", "tif"])
def test_an_embedded_profile_is_applied(tmp_path: Path, mode: str, kind: str) -> None:
    image = Image.new("RGB", (LONG, LONG), RED).convert(mode)
    options = {"lossless": True} if kind == "webp" else {}
    path = saved(tmp_path / f"swapped.{kind}", image, icc_profile=swapped(), **options)
    assert close(open_image(path).getpixel((4, 4)), BLUE)


def test_a_profile_leaves_transparency_as_it_is(tmp_path: Path) -> None:
    image = Image.new("RGBA", (LONG, LONG), (*RED, 128))
    path = saved(tmp_path / "glass.png", image, icc_profile=swapped())
    assert close(open_image(path).getpixel((4, 4)), (127, 127, 255))


def test_a_profile_of_greys_is_applied(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "scan.png", Image.new("L", (LONG, LONG), 128), icc_profile=linear_grey()
    )
    assert close(open_image(path).getpixel((4, 4)), (188, 188, 188), by=2)


def linear_grey() -> bytes:
    """A profile by hand, of greys as a sensor counts light: the half of white looks lighter."""
    curve = b"curv" + bytes(8)  # no entries: linear
    white = b"XYZ " + bytes(4) + bytes.fromhex("0000f6d6 00010000 0000d32d")
    text = b"desc" + bytes(4) + (2).to_bytes(4) + b"g\x00" + bytes(78)
    tags, data = b"", b""
    for name, value in ((b"kTRC", curve), (b"wtpt", white), (b"desc", text)):
        place = 128 + 4 + 3 * 12 + len(data)
        tags += name + place.to_bytes(4) + len(value).to_bytes(4)
        data += value + bytes(-len(value) % 4)
    body = (3).to_bytes(4) + tags + data
    head = (128 + len(body)).to_bytes(4) + b"none" + bytes.fromhex("02100000") + b"mntrGRAYXYZ "
    head += bytes(12) + b"acsp" + bytes(28) + bytes.fromhex("0000f6d6 00010000 0000d32d")
    return head + bytes(128 - len(head)) + body


@pytest.mark.parametrize("profile", [b"no profile", b"", swapped()[:150]])
def test_a_broken_profile_is_ignored(tmp_path: Path, profile: bytes) -> None:
    path = saved(tmp_path / "broken.png", Image.new("RGB", (8, 8), RED), icc_profile=profile)
    assert open_image(path).getpixel((4, 4)) == RED


def test_a_profile_for_other_colours_is_ignored(tmp_path: Path) -> None:
    image = Image.new("L", (8, 8), 100)
    path = saved(tmp_path / "foreign.png", image, icc_profile=swapped())
    assert open_image(path).getpixel((4, 4)) == (100, 100, 100)


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, kind: str) -> None:
    first, *others = [Image.new("RGB", (LONG, LONG), colour) for colour in (RED, BLUE, GREEN)]
    path = saved(tmp_path / f"moving.{kind}", first, save_all=True, append_images=others)
    assert close(open_image(path).getpixel((4, 4)), RED)


def test_a_big_jpeg_is_decoded_small_but_never_smaller_than_asked(tmp_path: Path) -> None:
    image = open_image(saved(tmp_path / "big.jpg", halves((1600, 1200))), (384, 384))
    assert 384 <= min(image.size) < 1200
    assert image.width * 3 == image.height * 4


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1"])
def test_a_very_large_image_is_made_small_but_never_smaller_than_asked(
    tmp_path: Path, mode: str
) -> None:
    large = halves((6000, 4000)).convert(mode)
    image = open_image(saved(tmp_path / "large.png", large, compress_level=1), (768, 768))
    assert 768 <= min(image.size) < 4000
    assert image.width * 2 == image.height * 3


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 1), (3, 9)])
def test_a_tiny_image_is_enlarged_for_models_that_look_at_patches(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    image = open_image(saved(tmp_path / "dot.png", Image.new("RGB", size, RED)))
    assert min(image.size) == 32
    assert image.getpixel((16, 16)) == RED


def jpeg(size: tuple[int, int] = (400, 300)) -> bytes:
    buffer = io.BytesIO()
    halves(size).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("cut.jpg", jpeg()[:3000], "cut off"),
        ("empty.png", b"", "empty"),
        ("text.png", b"this is no picture", "it holds text, not an image"),
        ("page.jpg", b"<html><body>403", "it holds a web page, not an image"),
    ],
)
def test_what_is_no_picture_is_told_as_such(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(Unusable, match=reason):
        open_image(path)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_download_whose_rest_is_zeros_is_no_picture(
    tmp_path: Path, kind: str, kept: float
) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((300, 300), 90).save(buffer, kind)
    data = buffer.getvalue()
    length = int(len(data) * kept)
    (tmp_path / "half.png").write_bytes(data[:length] + bytes(len(data) - length))
    with pytest.raises(Unusable, match="download it again"):
        open_image(tmp_path / "half.png")


def test_what_cannot_be_reached_may_be_reached_later(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in (("folder", "folder"), ("link", "nothing is there"), ("pipe", "pipe")):
        with pytest.raises(Unavailable, match=reason):
            open_image(tmp_path / f"{name}.png")


def test_a_decompression_bomb_is_not_opened(tmp_path: Path) -> None:
    path = saved(tmp_path / "bomb.png", Image.new("1", (20_000, 20_000)))
    with pytest.raises(Unusable, match="too many"):
        open_image(path)


def test_a_panorama_is_opened_small(tmp_path: Path) -> None:
    panorama = Image.new("RGB", (15_000, 7_000), COLOURS[SCENE.first_colour])
    path = saved(tmp_path / "panorama.jpg", panorama, quality=30)
    assert open_image(path, (768, 768)).size == (1875, 875)
