"""A function whose bundle names AVIF or HEIC takes them on every route and says so; another one names the setting."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handler.errors import ImageError
from handler.imaging import heif_pixels
from handler.imaging.decode import decode
from tests.unit.fake_bundle import FakeFunction, encoded
from tests.unit.handler.test_added_formats import BOTH, LIMIT, same, sample_image
from tests.unit.heif_files import opened

ROOT = Path(__file__).parents[3]
REFUSED = {
    "AVIF": encoded(sample_image(), "AVIF"),
    "HEIC": encoded(sample_image(), "HEIF"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("direct", [True, False])
def test_a_package_without_the_decoder_names_the_setting(tmp_path: Path, kind: str, direct: bool) -> None:
    other = ("heic",) if kind == "AVIF" else ("avif",)
    for number, formats in enumerate(((), other)):
        function = FakeFunction(tmp_path / str(number), formats)
        if direct:
            status, body = function.http("POST", "/v1/embeddings", REFUSED[kind], "image/x")
        else:
            status, body = function.post({"input": [{"image": base64.b64encode(REFUSED[kind]).decode()}]})
        assert (status, body["error"]["code"]) == (415, "unsupported_image_format")
        assert f"{kind} is not supported: convert it to one of PNG, JPEG" in body["error"]["message"]
        assert f'image_formats = ["{kind.lower()}"] in [target] of models.toml' in body["error"]["message"]


def test_a_file_that_calls_itself_heif_is_judged_by_what_is_in_it() -> None:
    data = REFUSED["AVIF"].replace(b"ftypavif", b"ftypmif1").replace(b"avif", b"mif1")
    assert same(decode(data, LIMIT, added=("avif",)), opened(REFUSED["AVIF"]))
    with pytest.raises(ImageError, match=r'AVIF is not supported.*image_formats = \["avif"\]'):
        decode(data, LIMIT, added=("heic",))


def test_a_decoder_that_was_not_installed_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    function = FakeFunction(tmp_path / "bundle", BOTH)
    assert "decoder" not in json.dumps(function.get("/health", "deep=true")[1]["missing_decoders"])
    monkeypatch.setitem(heif_pixels.MODULES, "heic", "_pillow_heif_that_is_not_there")
    status, body = function.http("POST", "/v1/embeddings", REFUSED["HEIC"], "image/heic")
    assert (status, body["error"]["code"]) == (415, "unsupported_image_format")
    assert "package it anew" in body["error"]["message"]
    status, body = function.get("/health", "deep=true")
    assert status == 503
    [missing] = body["missing_decoders"]
    assert missing.startswith('image_formats has "heic", and its decoder is not installed: package the bundle anew')


@pytest.mark.parametrize("kind", REFUSED)
def test_both_are_embedded_on_every_route(tmp_path: Path, kind: str) -> None:
    function = FakeFunction(tmp_path / "bundle", BOTH)
    text = base64.b64encode(REFUSED[kind]).decode()
    status, direct = function.http("POST", "/v1/embeddings", REFUSED[kind], f"image/{kind.lower()}")
    assert status == 200
    status, body = function.post({"input": [{"image": f"data:image/{kind.lower()};base64,{text}"}, "a"]})
    assert status == 200
    assert body["data"][0]["embedding"] == direct["data"][0]["embedding"]
    pixels = np.asarray(opened(REFUSED[kind]).convert("RGB"))
    mean = np.array([*(pixels.mean(axis=(0, 1)) / 255), 1.0])
    np.testing.assert_allclose(direct["data"][0]["embedding"], mean / np.linalg.norm(mean), atol=0.02)
    cohere = {"model": "tests/letters", "input_type": "image", "images": [f"data:image/png;base64,{text}"]}
    status, body = function.http("POST", "/v2/embed", json.dumps({**cohere, "embedding_types": ["float"]}).encode())
    assert status == 200
    assert (body["images"][0]["width"], body["images"][0]["height"]) == (64, 48)


def test_the_api_says_which_images_it_takes(tmp_path: Path) -> None:
    plain, more = FakeFunction(tmp_path / "plain"), FakeFunction(tmp_path / "more", BOTH)
    added = {"image/avif", "image/heic"}
    for function, expected in ((plain, set()), (more, added)):
        [models, document] = [function.get(path)[1] for path in ("/v1/models", "/openapi.json")]
        assert set(models["data"][0]["image_formats"]) & added == expected
        content = document["paths"]["/v1/embeddings"]["post"]["requestBody"]["content"]
        assert set(content) & added == expected


def test_their_decoders_are_imported_for_their_images_alone() -> None:
    program = f"""
import sys
from handler.imaging.decode import decode
decode(bytes.fromhex({encoded(sample_image(), "PNG").hex()!r}), 10**6, added=("avif", "heic"))
for name in ("pillow_heif", "PIL.AvifImagePlugin", "PIL._avif", "handler.imaging.heif"):
    assert name not in sys.modules, name
decode(bytes.fromhex({REFUSED["AVIF"].hex()!r}), 10**6, added=("avif", "heic"))
assert "pillow_heif" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
