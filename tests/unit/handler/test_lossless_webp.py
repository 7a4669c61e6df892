"""How many groups of Huffman codes a lossless WebP has is known before libwebp makes tables of them."""

import struct
from io import BytesIO

import pytest
from PIL import Image

from handler.errors import ImageError
from handler.imaging.decode import decode, read_header
from handler.imaging.vp8l import Stream, UnreadError
from tests.unit.fake_bundle import encoded
from tests.unit.honest_images import drawing, photo
from tests.unit.hostile_images import HOSTILE
from tests.unit.hostile_webp import groups, riff
from tests.unit.lossless_webp import cached, stream

LIMIT = 40_000_000
HONEST = {
    "photo": photo(200_000),
    "drawing": drawing(200_000),
    "16 colors": photo(200_000).quantize(16),
    "200 colors": photo(200_000).quantize(200),
    "2 colors": photo(200_000).convert("1"),
    "one pixel": Image.new("RGB", (1, 1)),
    "one column": photo(200_000).resize((1, 900)),
}


@pytest.mark.parametrize("count", [1, 2, 255, 257, 1_000])
def test_the_groups_are_counted(count: int) -> None:
    width, height = 1_000, 16
    Image.open(BytesIO(groups(width, height, count)(0, 0))).load()  # a sound image, by libwebp
    assert Stream(stream(width, height, count), 10_000).groups(width, height) == count


@pytest.mark.parametrize("method", [0, 4, 6])
@pytest.mark.parametrize("name", HONEST)
def test_what_libwebp_writes_is_read_whole_and_counts_as_little_more_than_its_pixels(name: str, method: int) -> None:
    image = HONEST[name]
    data = encoded(image, "WEBP", lossless=True, method=method)
    count = data.index(b"VP8L")
    read = Stream(data[count + 13 :], image.width * image.height // 16 + 1_000)
    assert 1 <= read.groups(*image.size) < 2_600

    assert read_header(data, LIMIT).work <= 3 * image.width * image.height + 500_000
    assert decode(data, LIMIT).size == image.size


@pytest.mark.parametrize("bits", [1, 11])
def test_a_cache_has_as_many_colors_as_the_format_allows(bits: int) -> None:
    assert Stream(cached(bits), 10_000).groups(512, 512) == 1
    with pytest.raises(UnreadError):
        Stream(cached(12), 10_000).groups(512, 512)


@pytest.mark.parametrize("cut", [1, 20, 2_000])
def test_a_stream_that_ends_early_is_given_up(cut: int) -> None:
    with pytest.raises(UnreadError):
        Stream(stream(1_024, 1_024, 65_536)[:cut], 70_000).groups(1_024, 1_024)


@pytest.mark.parametrize(
    "kind",
    [
        "WebP, 65,536 Huffman groups",
        "WebP, Huffman groups of transparency",
        "WebP, Huffman groups of a frame that says it is small",
    ],
)
def test_many_groups_count_as_the_pixels_that_would_take_as_long(kind: str) -> None:
    data = HOSTILE[kind](0, 0)
    assert len(data) < 310_000
    assert read_header(data, LIMIT).work > 40_000_000
    with pytest.raises(ImageError) as caught:
        read_header(data, LIMIT // 10)
    assert caught.value.code == "image_too_complex"


def animated(frame: bytes) -> bytes:
    canvas = riff(b"VP8X", b"\2\0\0\0" + SIDES)
    return riff(b"RIFF", b"WEBP" + canvas + riff(b"ANIM", bytes(6)) + riff(b"ANMF", bytes(6) + SIDES + frame))


SIDES = b"\xff\3\0" * 2
LOSSLESS = riff(b"VP8L", b"\x2f" + struct.pack("<I", 1_023 | 1_023 << 14) + stream(1_024, 1_024, 65_536))


def test_the_groups_of_a_frame_count() -> None:
    assert read_header(animated(bytes(4) + LOSSLESS + riff(b"abcd", b"after")), LIMIT).work > 40_000_000


@pytest.mark.parametrize(
    "before", [riff(b"abcd", b""), riff(b"ANMF", bytes(6) + SIDES + bytes(4)), riff(b"VP8X", bytes(10))]
)
def test_groups_do_not_hide_behind_what_is_no_part_of_a_frame(before: bytes) -> None:
    with pytest.raises(ImageError, match="its first frame"):
        read_header(animated(bytes(4) + before + LOSSLESS), LIMIT)
