"""What T.81 allows in a complete JPEG, and few encoders write: what is complete is decoded, the rest is refused."""

import io
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image

from handler.errors import ImageError
from handler.imaging import jpeg_pixels
from handler.imaging.decode import decode, read_header
from handler.settings import Settings
from tests.unit import honest_images, jpeg_scans
from tests.unit.fake_bundle import encoded
from tests.unit.handler.test_image_damage import LIMIT, code_of, photo

MARKERS = [bytes((0xFF, marker)) for marker in (0xC4, *range(0xD0, 0xD8), 0xD9, 0xDA)]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 4}])
@pytest.mark.parametrize("fill", [1, 2, 3])
def test_fill_bytes_before_a_marker_are_no_damage(options: dict[str, Any], fill: int) -> None:
    image = photo(200, 160)
    image.paste((128, 128, 128), (0, 80, 200, 160))
    data = plain = encoded(image, "JPEG", **options)
    for marker in MARKERS:
        data = data.replace(marker, b"\xff" * fill + marker)
    for filled in (data, data.removesuffix(b"\xd9")):
        assert decode(filled, LIMIT).tobytes() == decode(plain, LIMIT).tobytes()


@pytest.mark.parametrize("name", ["no Cr", "only Y", "half of Y", "half of Cb", "half of Cr"])
def test_a_scan_of_each_component_has_to_be_complete(name: str) -> None:
    assert code_of(jpeg_scans.damaged(photo(200, 160))[name]) == "truncated_image"


def test_a_complete_file_with_a_scan_for_each_component_is_decoded() -> None:
    head, scans = jpeg_scans.head_and_scans(photo(200, 160))
    for order in (scans, scans[::-1]):
        data = head + b"".join(order) + jpeg_scans.END
        assert decode(data, LIMIT).tobytes() == Image.open(io.BytesIO(data)).tobytes()


def test_the_coefficients_of_several_scans_are_held_at_a_reduced_scale_too() -> None:
    """libjpeg keeps two bytes of each sample then: three samples of a pixel take 6 bytes, of the 4 that a pixel has."""
    head, scans = jpeg_scans.head_and_scans(Image.new("RGB", (4000, 4000)))
    header = read_header(head + b"".join(scans) + jpeg_scans.END, 20_000_000, lambda *_: (224, 224))
    assert (header.scale, header.held > 1.5 * 4000 * 4000) == (8, True)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_a_progressive_file_that_ends_in_its_last_scan_is_refused(mode: str, share: float) -> None:
    """Each of its scans has begun, and an eighth of the size shows none of the details of the last one."""
    data = encoded(photo(200, 160).convert(mode), "JPEG", progressive=True)
    start = data.rindex(jpeg_scans.SCAN) + 10
    cut = data[: start + int((len(data) - start) * share)].rstrip(b"\xff")
    for tail in (b"", bytes(9), b"\xff\xda\0\0"):
        assert code_of(cut + tail) == "truncated_image"
        assert code_of(data.removesuffix(jpeg_scans.END) + tail) is None


def test_restart_markers_are_counted_without_keeping_them() -> None:
    """A file in S3 may have 12 million of them, which took 700 MB in a list."""
    data = encoded(photo(200, 160), "JPEG", restart_marker_blocks=4)
    many = data.removesuffix(jpeg_scans.END) + b"\xff\xd0" * 1_000_000
    tracemalloc.start()
    try:
        read_header(many, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(many)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("options", [{"quality": 90}, {"quality": 90, "optimize": True}, {"quality": 40}])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_zeros_in_the_place_of_pixels_are_no_pixels(options: dict[str, Any], share: float) -> None:
    """As a download leaves them that reserved its file first, and a disk that lost its power."""
    data = encoded(honest_images.photo(300_000), "JPEG", **options)
    start = data.index(jpeg_scans.SCAN)
    cut = start + int((len(data) - start) * share)
    assert code_of(data[:cut] + bytes(len(data) - cut)) == "truncated_image"
    assert code_of(data.removesuffix(jpeg_scans.END) + bytes(len(data))) is None


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("quality", [75, 90])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_zeros_in_the_last_scan_of_a_progressive_file_are_no_details(mode: str, quality: int, share: float) -> None:
    """A decoder takes them for "no more detail" up to the last block, and skips what follows."""
    data = encoded(honest_images.photo(300_000).convert(mode), "JPEG", progressive=True, quality=quality)
    start = data.rindex(jpeg_scans.SCAN) + 10
    cut = data[: start + int((len(data) - start) * share)].rstrip(b"\xff")
    assert code_of(cut + bytes(len(data))) == "truncated_image"
    padded = data.removesuffix(jpeg_scans.END) + bytes(len(data))
    assert decode(padded, LIMIT).tobytes() == decode(data, LIMIT).tobytes()


def flat_ending_in_zeros() -> list[bytes]:
    image = photo(1200, 1200)
    image.paste((255, 255, 255), (0, 200, 1200, 1200))
    files = [encoded(image.crop((0, top, 1200, 1200)), "JPEG", optimize=True) for top in range(40)]
    return [data for data in files if data.endswith(bytes(520) + jpeg_scans.END)]  # the others are padded with ones


def test_a_flat_image_may_end_in_zeros() -> None:
    ending = flat_ending_in_zeros()
    assert ending
    for data in ending:
        cut = data.removesuffix(jpeg_scans.END)
        assert decode(cut, LIMIT).tobytes() == Image.open(io.BytesIO(data)).tobytes()


def by_component() -> bytes:
    head, scans = jpeg_scans.head_and_scans(photo(900, 800))
    return head + b"".join(scans) + jpeg_scans.END


DECODED_AGAIN: dict[str, Callable[[], bytes]] = {
    "baseline": lambda: encoded(photo(900, 800), "JPEG"),
    "flat": lambda: flat_ending_in_zeros()[0],
    "progressive": lambda: encoded(photo(900, 800), "JPEG", progressive=True),
    "a scan for each component": by_component,
}


@pytest.mark.parametrize("name", DECODED_AGAIN)
@pytest.mark.parametrize("tail", [jpeg_scans.END, b"", bytes(2_000)])
@pytest.mark.parametrize("scale", [1, 4, 8])
def test_an_image_counts_as_all_that_is_decoded(
    name: str, tail: bytes, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/api.md, "What an image costs": of a scan alone, decoding at an eighth costs a quarter; of several, half."""
    monkeypatch.setattr("handler.imaging.jpeg.scale_for", lambda *_: scale)
    scales, decoded = list[int](), jpeg_pixels._decoded

    def record(parts: Any, at: int) -> Image.Image:
        scales.append(at)
        return decoded(parts, at)

    monkeypatch.setattr(jpeg_pixels, "_decoded", record)
    header = read_header(DECODED_AGAIN[name]().removesuffix(jpeg_scans.END) + tail, LIMIT)
    with suppress(ImageError):  # of a flat one with more zeros behind its own
        header.finish(header)
    first, *again = scales
    pixels = header.width * header.height
    one_scan = name in ("baseline", "flat")
    once = pixels // first**2 + pixels // 4 if one_scan and first > 1 else pixels
    each = {"progressive": once, "a scan for each component": pixels // 2}.get(name, pixels // 4)
    assert bool(again) == (tail != jpeg_scans.END or "each" in name)
    assert header.work >= once + len(again) * each


@pytest.mark.parametrize("size", [(4000, 3000), (8000, 6000)])
@pytest.mark.parametrize("tail", [b"", bytes(2_000)])
def test_a_photograph_of_a_phone_may_lack_its_end(size: tuple[int, int], tail: bytes) -> None:
    data = encoded(Image.new("RGB", size, (200, 100, 50)), "JPEG").removesuffix(jpeg_scans.END) + tail
    for side in (224, 384):
        assert read_header(data, Settings().max_image_pixels, lambda *_: (side, side)).scale > 1  # noqa: B023


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_wherever_noise_of_the_best_quality_is_cut_it_is_refused(mode: str) -> None:
    """A block of it takes more bytes than one of a photograph: those that are put behind a scan have to be more."""
    noise = Image.effect_noise((40, 48), 120)
    bands = Image.new(mode, (1, 1)).getbands()
    image = Image.merge(mode, [noise.rotate(90 * turn) for turn in range(len(bands))])
    data = encoded(image, "JPEG", quality=100, optimize=True)
    start = data.index(jpeg_scans.SCAN) + 20
    cuts = [data[:at].rstrip(b"\xff") for at in range(start, len(data) - 250, 7)]
    assert {code_of(cut) for cut in cuts} == {"truncated_image"}
