"""What vendors' answers say of an image, and how it is read."""

import io
from pathlib import Path

import pytest
from PIL import Image

from handler.endpoints.dialects.core import image_facts
from handler.errors import ImageError
from handler.imaging import vp8l
from handler.imaging.decode import read_header
from handler.schemas.fields import Item
from tests.unit.fake_bundle import FakeFunction, data_uri, encoded
from tests.unit.handler.dialect_requests import COHERE, entries, post, predict
from tests.unit.handler.test_image_damage import SOUND


def test_an_images_facts_are_read_by_no_other_decoder_than_those_that_may_see_a_request() -> None:
    tiff = io.BytesIO()
    Image.new("RGB", (9, 7)).save(tiff, "TIFF")
    with pytest.raises(ImageError, match="TIFF"):
        image_facts([Item(tiff.getvalue(), None)])


@pytest.mark.parametrize(("data", "plain"), SOUND.values(), ids=SOUND)
def test_an_image_that_our_own_route_embeds_has_facts_whatever_its_metadata(data: bytes, plain: bytes) -> None:
    assert image_facts([Item(data, None)]) == image_facts([Item(plain, None)])


def test_an_images_facts_are_read_without_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes up to half a second, and was done before the image was embedded."""
    groups: list[tuple[int, int]] = []

    def counted(_: vp8l.Stream, width: int, height: int) -> int:
        groups.append((width, height))
        return 1

    monkeypatch.setattr(vp8l.Stream, "groups", counted)
    data = encoded(Image.new("RGB", (9, 7)), "WEBP", lossless=True)
    read_header(data, 1_000)
    [facts] = image_facts([Item(data, None)])
    assert (facts, groups) == ((9, 7, "webp", 24), [(9, 7)])


def test_metadata_that_pillow_refuses_fails_no_vendor_s_request(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle")
    data = SOUND["iTXt of 2.5 MB"][0]  # as image generators keep their workflow
    _, answer = post(function, "/v2/embed", {**COHERE, "images": [data_uri(data)]})
    assert answer["images"] == [{"width": 120, "height": 90, "format": "png", "bit_depth": 24}]
    part = {"type": "image_base64", "image_base64": data_uri(data)}
    _, answer = post(function, "/v1/multimodalembeddings", {"inputs": [{"content": [part]}]})
    assert answer["usage"]["image_pixels"] == 120 * 90
    _, answer = predict(function, {"entries": entries("visual"), "image": data})
    assert (answer["imageHeight"], answer["imageWidth"]) == (90, 120)
