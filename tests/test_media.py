"""Opening images: upright, RGB, flattened, no larger than needed, or a reason why not."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from stages.media import open_image
from stages.sample import Unusable

RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def close(pixel: object, colour: tuple[int, int, int], by: int = 12) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(a - b) <= by for a, b in zip(pixel, colour, strict=True))


def test_a_photo_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise
    path = tmp_path / "phone.jpg"
    halves().save(path, exif=exif, quality=95, subsampling=0)
    image = open_image(path)
    assert image.size == (20, 40)
    assert close(image.getpixel((10, 5)), RED)
    assert close(image.getpixel((10, 35)), BLUE)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_flattened_on_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    path = tmp_path / "clear.png"
    picture.convert(mode).save(path)
    image = open_image(path)
    assert image.mode == "RGB"
    assert image.getpixel((4, 4)) == (255, 255, 255)


def test_a_transparent_palette_colour_is_flattened_on_white(tmp_path: Path) -> None:
    picture = halves((8, 8)).convert("P", palette=Image.Palette.ADAPTIVE)
    path = tmp_path / "sticker.gif"
    picture.save(path, transparency=picture.getpixel((0, 0)))
    image = open_image(path)
    assert image.getpixel((1, 4)) == (255, 255, 255)
    assert close(image.getpixel((6, 4)), BLUE)


def test_sixteen_bit_greys_keep_their_shades(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    picture = Image.new("I;16", (4, 4), 32768)
    picture.save(path)
    assert close(open_image(path).getpixel((1, 1)), (128, 128, 128), by=1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.jpg" if mode in ("CMYK", "YCbCr") else "picture.png")
    Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode).save(path)
    image = open_image(path)
    assert image.mode == "RGB"
    assert close(image.getpixel((4, 4)), (255, 255, 255))


def test_an_embedded_profile_is_applied(tmp_path: Path) -> None:
    # A profile whose red is sRGB's blue: what is stored as red is to be seen as blue.
    srgb = ImageCms.createProfile("sRGB")
    swapped = ImageCms.ImageCmsProfile(srgb).tobytes().replace(b"rXYZ", b"tXYZ")
    swapped = swapped.replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
    path = tmp_path / "swapped.png"
    Image.new("RGB", (8, 8), RED).save(path, icc_profile=swapped)
    assert close(open_image(path).getpixel((4, 4)), BLUE)


def test_a_broken_profile_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    Image.new("RGB", (8, 8), RED).save(path, icc_profile=b"no profile")
    assert open_image(path).getpixel((4, 4)) == RED


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert close(open_image(path).getpixel((4, 4)), RED)


def test_a_big_jpeg_is_decoded_small_but_never_smaller_than_asked(tmp_path: Path) -> None:
    path = tmp_path / "big.jpg"
    halves((1600, 1200)).save(path)
    image = open_image(path, (384, 384))
    assert 384 <= min(image.size) < 1200
    assert image.width * 3 == image.height * 4


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def jpeg() -> bytes:
    buffer = io.BytesIO()
    halves((400, 300)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("cut.jpg", cut(jpeg()), "damaged"),
        ("empty.png", b"", "empty"),
        ("text.png", b"this is no picture", "not an image"),
        ("page.webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "damaged"),
    ],
)
def test_what_is_no_picture_is_told_as_such(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(Unusable, match=reason):
        open_image(path)


def test_a_folder_and_a_dangling_link_are_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(Unusable, match="folder"):
        open_image(tmp_path / "folder.png")
    with pytest.raises(Unusable, match="gone"):
        open_image(tmp_path / "link.png")


def test_a_decompression_bomb_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(path)
    with pytest.raises(Unusable, match="too large"):
        open_image(path)
