"""Where 8 bits allow it, an image is cropped while it is resized: fewer pixels computed, nearly the same found."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handler.imaging.preprocess import Preprocess
from handler.imaging.reduced import Decoded
from tests.unit import fake_bundle
from tests.unit.fake_bundle import FakeFunction, as_base64, encoded
from tests.unit.handler.test_reduced import scene

Size = tuple[int, int]
LEVELS = 2.5 / 255  # two levels, and what float32 rounds


def preprocess(target: Size, mode: str = "shortest", one_step: bool = True) -> Preprocess:
    config = {"mean": [0] * 3, "std": [1] * 3, "interpolation": "bicubic", "resize_mode": mode, "fill_color": 0}
    return Preprocess(config, target, one_step)


def in_full(image: Image.Image) -> Decoded:
    return Decoded(image, image.size, (0, 0, *image.size))


@pytest.fixture
def resized(monkeypatch: pytest.MonkeyPatch) -> list[Size]:
    """The sizes to which Pillow is asked to resize."""
    sizes, resize = list[Size](), Image.Image.resize

    def spy(self: Image.Image, size: Size, *arguments: Any) -> Image.Image:
        sizes.append(size)
        return resize(self, size, *arguments)

    monkeypatch.setattr(Image.Image, "resize", spy)
    return sizes


@pytest.mark.parametrize("target", [(224, 224), (336, 336), (224, 336)])
@pytest.mark.parametrize("size", [(640, 480), (481, 640), (895, 333), (230, 4000), (100, 90), (4000, 3)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_only_what_the_crop_keeps_is_computed_within_two_levels(
    size: Size, target: Size, mode: str, resized: list[Size]
) -> None:
    image = scene(*size).convert(mode)
    found = preprocess(target).of(in_full(image))
    assert resized == [target[::-1]]
    assert np.abs(found - preprocess(target)(image)).max() < LEVELS


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "CMYK", "I;16", "F"])
def test_a_mode_that_pillow_resizes_in_another_way_is_as_open_clip_has_it_bit_by_bit(mode: str) -> None:
    ramp = Image.fromarray(np.arange(640 * 480, dtype=np.uint16).reshape(480, 640))
    image = ramp if mode == "I;16" else scene(640, 480).convert(mode)
    np.testing.assert_array_equal(preprocess((224, 224)).of(in_full(image)), preprocess((224, 224))(image))


@pytest.mark.parametrize(
    ("mode", "size"),
    [
        ("shortest", (640, 640)),  # all is kept
        ("shortest", (224, 480)),  # nothing is resized
        ("longest", (640, 480)),
        ("squash", (640, 480)),
    ],
)
def test_so_is_an_image_of_which_nothing_computed_is_cut(size: Size, mode: str, resized: list[Size]) -> None:
    image, ours = scene(*size), preprocess((224, 224), mode)
    found = ours.of(in_full(image))
    computed = resized.copy()
    np.testing.assert_array_equal(found, ours(image))
    assert computed == resized[len(computed) :]


@pytest.mark.parametrize(("built", "size"), [("full", (12, 8)), ("reduced", (8, 8))])
def test_a_model_does_so_where_its_build_lets_jpegs_be_reduced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: str, size: Size, resized: list[Size]
) -> None:
    plain = fake_bundle.model_json("a/b")
    changed = {"jpeg_decoding": built, "preprocess": {**plain["preprocess"], "resize_mode": "shortest"}}
    monkeypatch.setattr(fake_bundle, "model_json", lambda model_id: {**plain, "id": model_id, **changed})
    function = FakeFunction(tmp_path / "bundle")
    data = as_base64(encoded(scene(96, 64), "PNG"))
    assert function.post({"input": [{"image": data}]})[0] == 200
    assert resized == [size]
