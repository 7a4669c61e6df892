"""Images that the API does not take as they are: scaled, converted, turned; or skipped with the reason."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pillow_heif
import pytest
from openclip_lambda.errors import InputError
from openclip_lambda.images import MAX_BYTES, MAX_PIXELS, SIDE, Scaling, of_pillow, prepared
from PIL import Image, ImageOps

from handler.imaging import decode
from tests.unit.fake_bundle import encoded

PHOTO = Image.merge("RGB", [Image.linear_gradient("L").resize((320, 240)).rotate(turn) for turn in (0, 90, 180)])
AS_IT_IS = Scaling()


def opened(data: bytes) -> Image.Image:
    """Decode what is sent, which the API has to take."""
    image = Image.open(io.BytesIO(data))
    image.load()
    decode.read_header(data, MAX_PIXELS)
    return image


def heic(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=90, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_what_the_api_takes_is_sent_as_it_is(kind: str) -> None:
    data = encoded(PHOTO, kind)
    assert prepared(data, f"a.{kind}", AS_IT_IS) == data


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.heic", heic(PHOTO)),
        ("a.avif", encoded(PHOTO, "AVIF", quality=95)),
        ("a.tif", encoded(PHOTO, "TIFF")),
        ("a.jpg", encoded(PHOTO, "TIFF", compression="tiff_lzw")),  # what it is counts, not its name
        ("a.tiff", encoded(PHOTO.convert("CMYK"), "TIFF")),
        ("a.tiff", encoded(PHOTO.convert("RGBA"), "TIFF")),
    ],
)
def test_other_formats_are_converted_to_the_same_picture(name: str, data: bytes) -> None:
    sent = opened(prepared(data, name, AS_IT_IS))
    assert sent.format == "PNG"
    apart = np.asarray(sent.convert("RGB"), np.int16) - np.asarray(PHOTO, np.int16)
    assert abs(apart).mean() < 3


def test_grey_of_16_bits_keeps_its_high_byte() -> None:
    grey = (np.arange(64 * 64, dtype=np.uint16) * 16).reshape(64, 64)
    sent = opened(prepared(encoded(Image.fromarray(grey), "TIFF"), "a.tif", AS_IT_IS))
    assert np.array_equal(np.asarray(sent), grey >> 8)


def test_a_photo_of_48_megapixels_is_scaled() -> None:
    tile = Image.effect_noise((1008, 756), 60).convert("RGB")
    data = encoded(tile.resize((8064, 6048)), "JPEG", quality=90)
    assert len(data) > MAX_BYTES
    sent = opened(prepared(data, "a.jpg", AS_IT_IS))
    assert (sent.format, sent.size) == ("JPEG", (SIDE, SIDE * 3 // 4))
    expected = np.asarray(tile.resize((64, 48), Image.Resampling.BOX), np.int16)
    apart = np.asarray(sent.resize((64, 48), Image.Resampling.BOX), np.int16) - expected
    assert abs(apart).mean() < 3


def test_few_bytes_of_many_pixels_are_scaled_too() -> None:
    data = encoded(Image.new("L", (8000, 6000), 200), "PNG")
    assert len(data) < 100_000
    assert opened(prepared(data, "a.png", AS_IT_IS)).size == (SIDE, SIDE * 3 // 4)


def test_alpha_stays() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 4), np.uint8)
    sent = opened(prepared(encoded(Image.fromarray(noise), "PNG"), "a.png", AS_IT_IS))
    assert sent.mode == "RGBA"
    assert max(sent.size) < 1000  # until it fits


@pytest.mark.parametrize("side", [64, 200])
def test_the_longer_side_can_be_set(side: int) -> None:
    for kind in ("JPEG", "PNG", "AVIF"):
        assert opened(prepared(encoded(PHOTO, kind), "a", Scaling(side))).size == (side, side * 3 // 4)
    small = encoded(PHOTO.resize((40, 30)), "JPEG")
    assert prepared(small, "a", Scaling(side)) == small


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_scaled_image_is_turned_upright_only_when_asked(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(PHOTO, "JPEG", exif=exif.tobytes(), quality=95)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).resize((16, 16), Image.Resampling.BOX), np.int16)
    turned = opened(prepared(data, "a.jpg", Scaling(160, upright=True)))
    assert turned.getexif().get(0x0112, 1) == 1
    apart = np.asarray(turned.resize((16, 16), Image.Resampling.BOX), np.int16) - expected
    assert abs(apart).mean() < 3

    kept = opened(prepared(data, "a.jpg", Scaling(160)))
    assert kept.size == (160, 120)
    assert kept.getexif().get(0x0112, 1) == orientation  # for an API that is set to turn images


def test_an_image_that_is_not_decoded_yet_may_be_sent_many_times_at_once() -> None:
    """As who measures an API sends it: one image in a list, taken by several threads."""
    given = Image.open(io.BytesIO(encoded(Image.effect_noise((2000, 2000), 50).convert("RGB"), "JPEG")))
    together = Barrier(8)

    def send(_: int) -> bytes:
        together.wait()
        return of_pillow(given, Scaling(100))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(send, range(8)))) == 1


@pytest.mark.parametrize("upright", [False, True])
def test_an_image_of_the_library_s_caller_stays_as_it_was(upright: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(PHOTO.resize((1600, 1200)), "JPEG", exif=exif.tobytes())
    given = Image.open(io.BytesIO(data))
    sent = opened(of_pillow(given, Scaling(160, upright)))
    assert sent.size == ((120, 160) if upright else (160, 120))
    assert (given.size, given.mode, given.getexif()[0x0112]) == ((1600, 1200), "RGB", 6)
    assert np.array_equal(np.asarray(given), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once_as_pillow_does_it_for_open_clip(orientation: int, upright: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(PHOTO, "TIFF", exif=exif)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((16, 16), Image.Resampling.BOX), np.int16)
    sent = opened(prepared(data, "a.tif", Scaling(160, upright)))
    assert sent.getexif().get(0x0112, 1) == 1  # nor does an API that is set to turn images
    apart = np.asarray(sent.resize((16, 16), Image.Resampling.BOX), np.int16) - expected
    assert abs(apart).mean() < 3


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.heic", heic(PHOTO)[:300], "it is damaged"),
        ("a.avif", encoded(PHOTO, "AVIF")[:300], "it is damaged"),
        ("a.tif", encoded(PHOTO, "TIFF")[:1000], "it is damaged"),
        ("a.jpg", encoded(Image.effect_noise((3000, 3000), 90), "JPEG", quality=95)[:-100_000], "it is damaged"),
        ("a.tif", encoded(Image.new("F", (9, 9)), "TIFF"), "mode F: save it as RGB of 8 bits"),
    ],
)
def test_what_cannot_be_decoded_is_told(name: str, data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        prepared(data, name, AS_IT_IS)


def test_a_damaged_file_that_could_be_sent_is_left_to_the_api() -> None:
    data = encoded(PHOTO, "JPEG")[:500]
    assert prepared(data, "a.jpg", AS_IT_IS) == data


def test_what_is_missing_for_heic_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = heic(PHOTO)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"HEIC needs pillow-heif: pip install pillow-heif"):
        prepared(data, "a.heic", AS_IT_IS)
    (tmp_path / "pipx_metadata.json").write_text("{}")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(InputError, match="pipx inject openclip-lambda pillow-heif"):
        prepared(data, "a.heic", AS_IT_IS)


def test_an_image_of_hues_is_scaled_as_colors() -> None:
    """Red is the first hue and, nearly, the last: the mean of both numbers is cyan."""
    hues = np.indices((400, 400)).sum(0).astype(np.uint8) % 2 * 255
    image = Image.merge("HSV", [Image.fromarray(hues), *[Image.new("L", (400, 400), 255)] * 2])
    red, green, blue = np.asarray(opened(of_pillow(image, Scaling(50))), np.float32).mean((0, 1))
    assert red > 240
    assert max(green, blue) < 15
