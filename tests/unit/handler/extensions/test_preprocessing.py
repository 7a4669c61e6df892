"""Preprocessing of a user's own: before ours, for whoever asks, and said by every check."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handler.errors import TextError
from handler.http import dispatch
from tests.unit.fake_bundle import FIRST, as_base64, data_uri, image_bytes
from tests.unit.handler.extensions.own_code import Extended

PREPROCESS = """
from PIL import Image, ImageOps
from handler.extensions import ApiError

def preprocess_image(image, model):
    if image.width == 7:
        raise ApiError("image_too_narrow", "shoes are wider")
    if image.width == 5:
        return None
    if image.width == 3:
        return image.resize((9000, 9000))
    return ImageOps.invert(image.convert("RGB"))

def preprocess_text(text, model):
    if text == "crash":
        raise KeyError(text)
    return "" if text == "empty" else text.replace("x", "a")
"""


@pytest.fixture
def changed(tmp_path: Path) -> Extended:
    return Extended(tmp_path, PREPROCESS)


def vector(function: Extended, item: Any) -> Any:
    status, body = function.ask("POST", "/v1/embeddings", {"input": [item], "normalize": False})
    assert status == 200, body
    return np.array(body["data"][0]["embedding"])


def test_preprocessing_runs_before_ours_on_every_route_and_on_a_direct_invoke(changed: Extended) -> None:
    red = data_uri(image_bytes((255, 0, 0)))
    np.testing.assert_allclose(vector(changed, red), [0, 1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(vector(changed, "xxb"), [2, 1, 0, 0])
    direct = dispatch.handle(changed.service, {"input": ["xxb"], "normalize": False}, None)
    np.testing.assert_allclose(direct["data"][0]["embedding"], [2, 1, 0, 0])
    body = {"images": [red], "texts": ["x", "b"]}
    status, answer = changed.ask("POST", "/v1/similarity", body)
    assert status == 200
    np.testing.assert_allclose(answer["scores"], [[0, 3**-0.5]], atol=1e-6)


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        ({"image": as_base64(image_bytes(size=(7, 8)))}, "image_too_narrow", "input[1]"),
        ({"image": as_base64(image_bytes(size=(5, 8)))}, "extension_failed", "input[1]"),
        ({"image": as_base64(image_bytes(size=(3, 8)))}, "extension_failed", "input[1]"),
        ({"text": "crash"}, "extension_failed", "input[1]"),
        ({"text": "empty"}, "extension_failed", "input[1]"),
    ],
)
def test_preprocessing_that_fails_names_the_item(
    changed: Extended, item: Any, code: str, param: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, body = changed.ask("POST", "/v1/embeddings", {"input": [{"text": "a"}, item]})
    assert (body["error"]["code"], body["error"]["param"]) == (code, param)
    assert status == (500 if code == "extension_failed" else 413 if code == "image_too_large" else 400)


CUT_OUT = """
import io
import numpy as np
from PIL import Image

def preprocess_image(image, model):
    side = np.full(image.size[::-1], 255, np.uint8)
    cut = Image.fromarray(np.dstack([side, 0 * side, 0 * side, 0 * side]))  # red, and nothing of it is seen
    cut.putpixel((0, 0), (0, 0, 0, 255))
    if MODE == "16 bits":
        return Image.fromarray(np.full(image.size[::-1], 0x40FF, np.uint16))
    if MODE == "closed":
        cut.close()
        return cut
    if MODE == "half a file":
        file = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8)).save(file, "PNG")
        return Image.open(io.BytesIO(file.getvalue()[:200]))
    if MODE == "PA":
        striped = np.tile(np.array([3, 200], np.uint8), (image.height, image.width // 2))
        return Image.fromarray(striped).convert("P").convert("PA")
    return cut if MODE == "RGBA" else cut.convert(MODE) if MODE in ("RGBa", "LA") else cut.convert("LA").convert("La")
"""


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "PA", "16 bits"])
def test_an_image_that_is_returned_is_embedded_as_a_file_of_it_would_be(tmp_path: Path, mode: str) -> None:
    function = Extended(tmp_path, CUT_OUT.replace("MODE", repr(mode)))

    got = vector(function, data_uri(image_bytes(size=(64, 64))))

    if mode == "16 bits":
        assert got[:3] == pytest.approx([0x40 / 255] * 3, abs=0.01)
    elif mode == "PA":
        assert got[:3] == pytest.approx([(3 + 200) / 2 / 255] * 3, abs=0.01)
    else:
        assert got[:3] == pytest.approx([1, 1, 1], abs=0.01), "what lies under transparent pixels was embedded"


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_color_that_a_file_names_transparent_and_no_pixel_has_hides_no_pixel_of_its_color(
    tmp_path: Path, kind: str
) -> None:
    image, file = Image.new("P", (64, 64), 0), io.BytesIO()
    image.putpalette([0, 0, 0, 0, 0, 0])  # two times black, of which the second is transparent
    image.save(file, kind, transparency=1, optimize=False)
    assert Image.open(io.BytesIO(file.getvalue())).info["transparency"] == 1

    same = Extended(tmp_path, 'def preprocess_image(image, model):\n    return image.convert("RGB")\n')

    assert vector(same, data_uri(file.getvalue()))[:3] == pytest.approx([0, 0, 0], abs=0.01)


@pytest.mark.parametrize("mode", ["closed", "half a file"])
def test_an_image_without_pixels_is_a_fault_of_the_code_and_not_of_the_caller(tmp_path: Path, mode: str) -> None:
    function = Extended(tmp_path, CUT_OUT.replace("MODE", repr(mode)))
    status, body = function.ask("POST", "/v1/embeddings", {"input": [data_uri(image_bytes(size=(64, 64)))]})
    assert (status, body["error"]["code"]) == (500, "extension_failed")


def test_a_text_that_the_tokenizer_refuses_is_named_by_its_place_although_it_was_changed(changed: Extended) -> None:
    def refuse(texts: Sequence[str], cut: str | None = None) -> None:
        error = TextError("text_too_complex", "too many passes")
        error.text = texts[1]
        raise error

    changed.loader.engine.tokenize = refuse  # type: ignore[method-assign,assignment]
    _, body = changed.ask("POST", "/v1/embeddings", {"input": ["b", "xx"]})
    assert (body["error"]["code"], body["error"]["param"]) == ("text_too_complex", "input[1]")


def test_health_and_golden_vectors_say_that_preprocessing_is_changed(changed: Extended) -> None:
    status, report = changed.ask("GET", "/health")
    assert status == 200
    assert report["extension"]["own_preprocessing"] == ["image", "text"]
    assert report["extension"]["hooks"] == ["preprocess_image", "preprocess_text"]
    assert report["extension"]["vectors_sha256"] != report["manifest_sha256"]

    status, report = changed.ask("GET", "/health", query="deep=true")
    [first, _] = report["models"]
    assert (status, report["ok"], first["id"]) == (200, True, FIRST)
    assert (first["min_text_cosine"], first["min_image_cosine"]) == pytest.approx((1, 1))  # the bundle's own
    assert first["own_preprocessing"] == ["image", "text"]
    assert first["min_text_cosine_with_own_preprocessing"] == pytest.approx(1)  # "abc" has no x
    # Red is [1, 0, 0, 1] to the engine, and inverted [0, 1, 1, 1].
    assert first["min_image_cosine_with_own_preprocessing"] == pytest.approx(1 / np.sqrt(2 * 3))

    answer = dispatch.handle(changed.service, changed.event("POST", "/v1/embeddings", {"input": "a"}), None)
    assert answer["headers"]["x-openclip-manifest"] == report["extension"]["vectors_sha256"]


def test_a_health_check_fails_where_preprocessing_does(tmp_path: Path) -> None:
    function = Extended(tmp_path, "def preprocess_image(image, model):\n    return image.no_such_method()\n")
    status, report = function.ask("GET", "/health", query="deep=true")
    assert (status, report["ok"]) == (503, False)
    assert "preprocess_image" in report["models"][0]["error"]
