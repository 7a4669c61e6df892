"""Zeros in the place of a WebP's last pixels: libwebp decodes some pixels from them, without an error."""

import io
from typing import Any

import pytest
from PIL import Image

from handler.errors import ImageError
from handler.imaging.decode import decode
from tests.unit import honest_images
from tests.unit.fake_bundle import encoded
from tests.unit.handler import test_image_damage
from tests.unit.handler.test_image_damage import LIMIT
from tests.unit.hostile_webp import padded_webp

FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "lossy": ("RGB", {"quality": 80}),
    "lossless": ("RGB", {"lossless": True, "method": 0}),
    "lossy with alpha": ("RGBA", {"quality": 80}),
    "animated": ("RGB", {"save_all": True, "append_images": [Image.new("RGB", (632, 474))]}),
}


def photo(mode: str) -> Image.Image:
    image = honest_images.photo(300_000)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def pixels_end(data: bytes) -> int:
    """Return where the chunk of pixels ends: the last, or that of the first frame."""
    at = data.index(b"ANMF") if b"ANMF" in data else max(data.find(kind) for kind in (b"VP8 ", b"VP8L"))
    return at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.97])
def test_zeros_in_the_place_of_pixels_are_no_pixels(form: str, share: float) -> None:
    """As a download leaves them that reserved its file first, and a disk that lost its power."""
    mode, options = FORMS[form]
    data = encoded(photo(mode), "WEBP", **options)
    cut = int(pixels_end(data) * share)
    with pytest.raises(ImageError, match="zeros stand in the place of pixels") as caught:
        decode(data[:cut] + bytes(len(data) - cut), LIMIT)
    assert caught.value.code == "truncated_image"


def test_an_animation_whose_first_frame_is_complete_is_embedded() -> None:
    mode, options = FORMS["animated"]
    data = encoded(photo(mode), "WEBP", **options)
    end = pixels_end(data)
    assert decode(data[:end] + bytes(len(data) - end), LIMIT).tobytes() == decode(data, LIMIT).tobytes()


@pytest.mark.parametrize("options", [{"quality": 100, "method": 0}, {"lossless": True, "quality": 0, "method": 0}])
def test_a_flat_image_may_end_in_zeros(options: dict[str, Any]) -> None:
    image = Image.new("RGB", (640, 480), (10, 200, 30))
    image.paste(test_image_damage.photo(200, 100), (5, 5))
    data = encoded(image, "WEBP", **options)
    assert data.endswith(bytes(512))
    assert decode(data, LIMIT).tobytes() == Image.open(io.BytesIO(data)).convert("RGB").tobytes()


@pytest.mark.parametrize("form", ["lossy", "lossless"])
def test_zeros_behind_all_pixels_are_ignored(form: str) -> None:
    mode, options = FORMS[form]
    data = encoded(photo(mode), "WEBP", **options)
    assert decode(padded_webp(data), LIMIT).tobytes() == decode(data, LIMIT).tobytes()
