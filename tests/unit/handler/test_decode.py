"""Decoding bytes from strangers: what Pillow gives, or an ImageError, and never more memory or time than allowed."""

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handler.errors import ImageError
from handler.imaging.decode import decode
from handler.imaging.jpeg import MAX_SCANS
from tests.unit.fake_bundle import encoded

LIMIT = 1_000_000
NOISE = Image.effect_noise((23, 17), 60)
RGB = Image.merge("RGB", [NOISE, NOISE.rotate(30), NOISE.rotate(70)])
OTHER_FRAME = [RGB.rotate(90)]

FILES = {
    "png": encoded(RGB, "PNG"),
    "png 1": encoded(NOISE.convert("1"), "PNG"),
    "png 16 bit": encoded(Image.frombytes("I;16", (11, 17), NOISE.tobytes()[: 2 * 11 * 17]), "PNG"),
    "png palette": encoded(RGB.convert("P"), "PNG", transparency=3),
    "png rgba": encoded(RGB.convert("RGBA"), "PNG"),
    "png animated": encoded(RGB, "PNG", save_all=True, append_images=OTHER_FRAME),
    "jpeg": encoded(RGB, "JPEG"),
    "jpeg progressive": encoded(RGB, "JPEG", progressive=True),
    "jpeg cmyk": encoded(RGB.convert("CMYK"), "JPEG"),
    "jpeg of several": encoded(RGB, "MPO", save_all=True, append_images=OTHER_FRAME),
    "webp": encoded(RGB, "WEBP"),
    "webp lossless": encoded(RGB.convert("RGBA"), "WEBP", lossless=True),
    "webp animated": encoded(RGB, "WEBP", save_all=True, append_images=OTHER_FRAME),
    "gif": encoded(RGB, "GIF"),
    "gif animated": encoded(RGB, "GIF", save_all=True, append_images=OTHER_FRAME),
    "bmp": encoded(RGB, "BMP"),
    "bmp palette": encoded(RGB.convert("P"), "BMP"),
}


def code_of(data: bytes, limit: int = LIMIT) -> str | None:
    try:
        decode(data, limit)
    except ImageError as error:
        return error.code
    return None


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_an_image_is_what_pillow_opens(data: bytes) -> None:
    reference: Image.Image = Image.open(io.BytesIO(data))
    if reference.mode == "RGBA":  # opaque: resized, its colors are those without the alpha channel
        reference = reference.convert("RGB")
    if reference.mode == "I;16":  # what Pillow makes of colors of 16 bits, it does not make of gray
        reference = Image.frombytes("L", reference.size, reference.tobytes()[1::2])
    found = decode(data, LIMIT)
    assert (found.mode, found.size) == (reference.mode, reference.size)
    assert found.tobytes() == reference.tobytes()


def test_exif_rotation_is_left_as_it_is() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(RGB, "JPEG", exif=exif), LIMIT).size == RGB.size


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_a_file_cut_in_its_header_is_truncated(data: bytes) -> None:
    assert code_of(data[:30]) == "truncated_image"


@pytest.mark.parametrize("name", [name for name in FILES if "animated" not in name and "several" not in name])
def test_a_file_cut_in_its_pixels_is_truncated(name: str) -> None:
    assert code_of(FILES[name][: len(FILES[name]) * 3 // 4]) == "truncated_image"


@pytest.mark.parametrize(
    "kind", ["TIFF", "ICO", "PPM", "JPEG2000", "AVIF", "PDF", "EPS", "DDS", "SGI", "PCX", "TGA", "ICNS"]
)
def test_what_pillow_could_open_but_is_not_allowed_is_refused(kind: str) -> None:
    code = code_of(encoded(RGB.resize((64, 64)), kind))
    assert code in ("unsupported_image_format", "not_an_image")


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM", "JPEG2000", "AVIF", "PDF", "EPS"])
def test_a_known_format_that_is_not_allowed_is_named(kind: str) -> None:
    with pytest.raises(ImageError, match="is not supported: convert it to one of PNG, JPEG, WEBP, GIF, BMP"):
        decode(encoded(RGB.resize((64, 64)), kind), LIMIT)


def png_of(width: int, height: int) -> bytes:
    """A valid header of any size, and no pixels behind it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
        + bytes(4)
        + b"IDAT"
    )


def gif_of(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00;"


def bmp_of(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def webp_of(width: int, height: int) -> bytes:
    chunk = (
        b"VP8X"
        + struct.pack("<I", 10)
        + bytes(4)
        + struct.pack("<I", width - 1)[:3]
        + struct.pack("<I", height - 1)[:3]
    )
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


@pytest.mark.parametrize(
    "data",
    [
        png_of(1001, 1000),
        png_of(65_536, 1),
        png_of(1, 65_536),
        png_of(2**31 - 1, 2**31 - 1),
        gif_of((60_000, 60_000), (1, 1)),
        gif_of((1, 1), (60_000, 60_000)),
        bmp_of(30_000, 30_000),
        webp_of(16_777_216, 16_777_216),
    ],
    ids=["just over", "wide", "tall", "most of PNG", "gif screen", "gif frame", "bmp", "most of WebP"],
)
def test_an_image_too_large_is_known_by_its_header(data: bytes) -> None:
    assert code_of(data) == "image_too_large"


def test_an_image_of_the_most_pixels_is_decoded() -> None:
    assert decode(encoded(Image.new("1", (1000, 1000)), "PNG"), LIMIT).size == (1000, 1000)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_the_limit_is_that_of_the_settings_and_not_pillow_s(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # of which it refuses twice as many
    assert decode(encoded(Image.new("L", (60, 50)), kind), LIMIT).size == (60, 50)


@pytest.mark.parametrize("size", [(4000, 3), (3, 4000), (2000, 1)])
def test_a_narrow_image_is_decoded(size: tuple[int, int]) -> None:
    assert decode(encoded(Image.new("L", size), "PNG"), LIMIT).size == size


@pytest.mark.parametrize("size", [(2001, 1), (1, 2001)])
def test_an_image_of_extreme_shape_is_too_narrow(size: tuple[int, int]) -> None:
    assert code_of(encoded(Image.new("L", size), "PNG")) == "image_too_narrow"


def test_a_jpeg_that_repeats_its_scans_is_refused_before_it_costs_time() -> None:
    flat = encoded(Image.new("L", (1000, 1000)), "JPEG", progressive=True)
    last_scan = flat[flat.rindex(b"\xff\xda") : -2]
    assert code_of(flat[:-2] + last_scan * 10 + flat[-2:]) is None
    assert code_of(flat[:-2] + last_scan * 50 + flat[-2:]) == "image_too_complex"
    assert code_of(flat[:-2] + last_scan * MAX_SCANS + flat[-2:], 100 * LIMIT) == "image_too_complex"


def test_a_text_chunk_that_inflates_is_not_inflated() -> None:
    png = FILES["png"]
    body = b"zTXt" + b"a\0\0" + zlib.compress(bytes(200_000_000), 9)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    assert code_of(png[:33] + chunk + png[33:]) in (None, "truncated_image")


edits = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 5000), st.integers(0, 255)),
        st.tuples(st.just("head"), st.integers(0, 60), st.sampled_from([0, 1, 127, 128, 255])),
        st.tuples(st.just("cut"), st.integers(0, 5000), st.just(0)),
        st.tuples(st.just("drop"), st.integers(0, 5000), st.integers(1, 8)),
        st.tuples(st.just("insert"), st.integers(0, 5000), st.integers(0, 255)),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=1500)
@given(name=st.sampled_from(sorted(FILES)), changes=edits)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_a_damaged_file_gives_an_image_within_the_limit_or_an_image_error(
    name: str, changes: list[tuple[str, int, int]]
) -> None:
    data = bytearray(FILES[name])
    for what, where, value in changes:
        at = where % max(1, len(data))
        if what == "cut":
            del data[at:]
        elif what == "drop":
            del data[at : at + value]
        elif what == "insert":
            data[at:at] = bytes([value])
        elif data:
            data[at] = value
    try:
        image = decode(bytes(data), LIMIT)
    except ImageError:
        return
    assert image.width * image.height <= LIMIT


@given(st.binary(max_size=200))
def test_noise_is_an_image_error(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode(data, LIMIT)
