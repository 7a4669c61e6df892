"""JPEG files without all their pixels, whose end marker was written by hand, as tools for repair do it."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from openclip_lambda import images, jpeg_pixels
from openclip_lambda.errors import InputError
from openclip_lambda.images import MAX_BYTES, Scaling, prepared
from PIL import Image

from tests.unit import jpeg_scans

END = b"\xff\xd9"
RESTART_MARKERS = [bytes((0xFF, 0xD0 + number)) for number in range(8)]
SMALL = Scaling(200)
FORMS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "restarts": {"restart_marker_blocks": 20},
    "progressive": {"progressive": True},
}


def photo(side: int, mode: str = "RGB") -> Image.Image:
    return Image.effect_noise((side, side), 90).convert(mode)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_file_that_was_cut_is_not_sent_as_if_it_were_complete(form: str, mode: str, part: float) -> None:
    data = jpeg(photo(600, mode), **FORMS[form])
    with pytest.raises(InputError, match="it is damaged: pixels are missing"):
        prepared(data[: int(len(data) * part)] + END, "a.jpg", SMALL)


def test_a_cut_jpeg_that_is_scaled_because_of_its_bytes_is_refused() -> None:
    data = jpeg(photo(3000))
    assert len(data) // 2 > MAX_BYTES
    with pytest.raises(InputError, match="it is damaged: pixels are missing"):
        prepared(data[: len(data) // 2] + END, "a.jpg", Scaling())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("gray", [False, True])
def test_a_complete_file_is_sent_also_where_it_is_gray(form: str, mode: str, gray: bool) -> None:
    image = photo(600, "RGB")
    if gray:
        image.paste((128, 128, 128), (0, 300, 600, 600))
    sent = Image.open(io.BytesIO(prepared(jpeg(image.convert(mode), **FORMS[form]), "a.jpg", SMALL)))
    expected = np.asarray(image.convert(mode).convert("RGB").resize((16, 16), Image.Resampling.BOX), np.int16)
    apart = np.asarray(sent.convert("RGB").resize((16, 16), Image.Resampling.BOX), np.int16) - expected
    assert (sent.size, abs(apart).mean() < 4) == ((200, 200), True)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fill", [1, 2, 3])
def test_a_complete_file_may_have_fill_bytes_before_its_markers(form: str, fill: int) -> None:
    image = photo(600)
    image.paste((128, 128, 128), (0, 300, 600, 600))
    data = jpeg(image, **FORMS[form])
    more = b"\xff" * fill
    for marker in (b"\xff\xc4", *RESTART_MARKERS, END):
        data = data.replace(marker, more + marker)
    assert prepared(data, "a.jpg", SMALL) == prepared(jpeg(image, **FORMS[form]), "a.jpg", SMALL)


def test_large_progressive_files_are_checked_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclip_lambda.images.LARGE_PIXELS", 300_000)
    data, opened, most = jpeg(photo(600), progressive=True), list[str](), list[int]()
    real = jpeg_pixels.check_complete

    def check_complete(*given: Any) -> None:
        opened.append("one")
        most.append(len(opened))
        time.sleep(0.05)
        real(*given)
        opened.pop()

    monkeypatch.setattr(jpeg_pixels, "check_complete", check_complete)
    with ThreadPoolExecutor(4) as threads:
        sent = list(threads.map(lambda name: prepared(data, name, SMALL), ["a.jpg"] * 4))
    assert (len(set(sent)), most) == (1, [1, 1, 1, 1])


@pytest.mark.parametrize("name", ["no Cr", "only Y", "half of Y", "half of Cb", "half of Cr"])
def test_a_scan_of_each_component_has_to_be_complete(name: str) -> None:
    with pytest.raises(InputError, match="it is damaged: pixels are missing"):
        prepared(jpeg_scans.damaged(photo(600))[name], "a.jpg", SMALL)


def test_a_complete_file_with_a_scan_for_each_component_is_sent() -> None:
    head, scans = jpeg_scans.head_and_scans(photo(600))
    for order in (scans, scans[::-1]):
        assert Image.open(io.BytesIO(prepared(head + b"".join(order) + END, "a.jpg", SMALL))).size == (200, 200)


@pytest.mark.parametrize("junk", [b"\xff\xda", b"\xff\xda\0\0", b"\xff\xda\0\2", b"\xff\xe0\xff\xff"])
def test_half_a_segment_instead_of_an_end_marker_is_ignored(junk: bytes) -> None:
    data = jpeg(photo(600)).removesuffix(END) + junk
    assert Image.open(io.BytesIO(prepared(data, "a.jpg", SMALL))).size == (200, 200)


def test_a_file_of_several_images_is_judged_by_its_first() -> None:
    image, other = Image.new("RGB", (600, 600), (128, 128, 128)), photo(600)
    buffer = io.BytesIO()
    image.save(buffer, "MPO", save_all=True, append_images=[other])
    data = buffer.getvalue()
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert prepared(data, "a.jpg", SMALL)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("side", [200, 400])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_progressive_file_that_was_cut_in_its_last_scan_is_not_sent(mode: str, side: int, part: float) -> None:
    data = jpeg(photo(600, mode), progressive=True)
    start = data.rindex(jpeg_scans.SCAN) + 10
    with pytest.raises(InputError, match="it is damaged: pixels are missing"):
        prepared(data[: start + int((len(data) - start) * part)].rstrip(b"\xff") + END, "a.jpg", Scaling(side))


def test_a_jpeg_of_more_pixels_than_pillow_takes_is_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a phone that takes 200 megapixels: decoded at a reduced scale, it needs little memory."""
    for form in FORMS.values():
        data = jpeg(photo(600), **form)
        sent = prepared(data, "a.jpg", SMALL)
        with monkeypatch.context() as patch:
            patch.setattr(Image, "MAX_IMAGE_PIXELS", 600 * 600 // 3)  # it refuses twice that
            assert prepared(data, "a.jpg", SMALL) == sent


def test_a_progressive_jpeg_of_more_pixels_than_memory_should_hold_is_not_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """libjpeg keeps all samples of one, whatever the scale: 2.4 GB for 396 megapixels."""
    data = jpeg(photo(600), progressive=True)
    monkeypatch.setattr(images, "MAX_BYTES", len(data) - 1)  # what is smaller is sent as it is, and the API decides
    monkeypatch.setattr(jpeg_pixels, "MAX_PROGRESSIVE_PIXELS", 600 * 600 - 1)
    with pytest.raises(InputError, match="it has too many pixels to be decoded here"):
        prepared(data, "a.jpg", SMALL)
    assert prepared(jpeg(photo(600)), "a.jpg", SMALL)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_zeros_in_the_place_of_pixels_are_not_sent_as_pixels(part: float) -> None:
    data = jpeg(photo(600))
    cut = int(len(data) * part)
    with pytest.raises(InputError, match="it is damaged: pixels are missing"):
        prepared(data[:cut] + bytes(len(data)), "a.jpg", SMALL)
    assert prepared(data.removesuffix(END) + bytes(len(data)), "a.jpg", SMALL) == prepared(data, "a.jpg", SMALL)
