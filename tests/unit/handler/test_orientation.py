"""EXIF's orientation: left alone as open_clip leaves it, or turned as Pillow's `exif_transpose` turns it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from handler.imaging.container import Container
from handler.imaging.decode import decode, decode_container
from handler.imaging.orientation import upright
from handler.imaging.reduced import Decoded
from tests.unit.fake_bundle import FakeFunction, as_base64, encoded

LIMIT = 1_000_000
COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]
Options = dict[str, dict[str, Any]]
KINDS: Options = {"JPEG": {"quality": 95}, "PNG": {}, "WEBP": {"lossless": True}}
LEFT, RIGHT = (255, 0, 0), (0, 0, 255)


def patches() -> Image.Image:
    """Six colors, 3 x 2, each of 8 x 8 pixels."""
    image = Image.new("RGB", (3, 2))
    image.putdata(COLORS)
    return image.resize((24, 16), Image.Resampling.NEAREST)


def turned(kind: str, orientation: int, image: Image.Image | None = None) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image or patches(), kind, exif=exif, **KINDS[kind])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_turned_as_its_exif_says_and_only_where_that_is_asked_for(kind: str, orientation: int) -> None:
    data = turned(kind, orientation)
    opened = Image.open(io.BytesIO(data))
    expected = ImageOps.exif_transpose(opened)
    assert decode(data, LIMIT).tobytes() == opened.tobytes()
    found = decode(data, LIMIT, upright=True)
    assert (found.size, found.tobytes()) == (expected.size, expected.tobytes())


def seen(exif: bytes) -> Image.Image:
    image = patches()
    return upright(Decoded(image, image.size, (0, 0, *image.size)), exif).image


def test_an_exif_of_other_byte_order_is_read() -> None:
    row = b"\x01\x12\0\3\0\0\0\1\0\6\0\0"
    assert seen(b"MM\0*\0\0\0\x08\0\1" + row).size == (16, 24)
    assert seen(b"Exif\0\0MM\0*\0\0\0\x08\0\1" + row).size == (16, 24)


@pytest.mark.parametrize(
    "exif", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + bytes(99), b"x" * 50]
)
def test_a_damaged_exif_turns_nothing(exif: bytes) -> None:
    assert seen(exif).tobytes() == patches().tobytes()


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_there_is_none_of_turns_nothing(orientation: int) -> None:
    assert decode(turned("JPEG", orientation), LIMIT, upright=True).size == (24, 16)


def half() -> bytes:
    """Red above blue; upright, as its EXIF says, red is at the right."""
    image = Image.new("RGB", (8, 8), LEFT)
    image.paste(RIGHT, (0, 4, 8, 8))
    return turned("PNG", 6, image)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each image was asked to be upright."""
    found: list[bool] = []

    def spy(header: Container, max_pixels: int, upright: bool) -> Decoded:
        found.append(upright)
        return decode_container(header, max_pixels, upright)

    monkeypatch.setattr("handler.imaging.batching.decode_container", spy)
    return found


IMAGE = {"image": as_base64(half())}
ROUTES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/embeddings", {"input": [IMAGE]}),
    ("/v1/classify", {"input": [IMAGE], "labels": ["a"]}),
    ("/v1/similarity", {"images": [IMAGE], "texts": ["a"]}),
]


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.parametrize("setting", [False, True])
@pytest.mark.parametrize("field", [None, False, True])
def test_a_request_s_field_wins_over_the_deployment_s_setting(
    tmp_path: Path, asked: list[bool], path: str, body: dict[str, Any], setting: bool, field: bool | None
) -> None:
    function = FakeFunction(tmp_path / "bundle", exif_orientation=setting)
    sent = body if field is None else {**body, "exif_orientation": field}
    status, answer = function.http("POST", path, json.dumps(sent).encode())
    assert status == 200, answer
    assert asked == [setting if field is None else field]


@pytest.mark.parametrize(("query", "expected"), [("", False), ("exif_orientation=true", True)])
def test_an_image_that_is_the_body_takes_it_from_the_query(
    tmp_path: Path, asked: list[bool], query: str, expected: bool
) -> None:
    function = FakeFunction(tmp_path / "bundle")
    assert function.http("POST", "/v1/embeddings", half(), "image/png", query)[0] == 200
    assert asked == [expected]


@pytest.mark.parametrize("value", ["yes", 1, "true"])
def test_what_is_neither_true_nor_false_is_refused(tmp_path: Path, value: Any) -> None:
    status, answer = FakeFunction(tmp_path / "bundle").post({"input": "a", "exif_orientation": value})
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "invalid_type", "exif_orientation")


def test_the_document_describes_it(tmp_path: Path) -> None:
    _, document = FakeFunction(tmp_path / "bundle").get("/openapi.json")
    parameters = document["paths"]["/v1/embeddings"]["post"]["parameters"]
    [parameter] = [one for one in parameters if one["name"] == "exif_orientation"]
    assert parameter["schema"] == {"enum": ["true", "false"]}
    for name in ("EmbeddingsRequest", "ClassifyRequest", "SimilarityRequest"):
        assert "upright" in document["components"]["schemas"][name]["properties"]["exif_orientation"]["description"]
