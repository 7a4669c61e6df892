"""Preprocessing without torch gives the very bits that open_clip's own transform gives, for any image."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from handler.errors import ImageError
from handler.imaging.decode import decode
from handler.imaging.preprocess import Preprocess
from layer.bundle.records import as_json
from layer.bundle.reference import preprocess_facts
from layer.openclip import open_clip
from tests.patience import SECONDS

ROOT = Path(__file__).parents[2]
MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I;16", "I", "F"]
BANDS = {"L": 1, "LA": 2, "PA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "YCbCr": 3, "LAB": 3, "HSV": 3}
RESIZE_MODES = ["shortest", "longest", "squash"]


def config(**changes: Any) -> dict[str, Any]:
    clip = open_clip.transform.PreprocessCfg()
    return {
        "mean": clip.mean,
        "std": clip.std,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        "fill_color": 0,
        **changes,
    }


def by_open_clip(image: Image.Image, size: tuple[int, int], cfg: dict[str, Any]) -> NDArray[np.float32]:
    transform = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(size=size, **cfg), is_train=False
    )
    pixels: NDArray[np.float32] = transform(image).numpy()
    return pixels


def assert_same_bits(image: Image.Image, size: tuple[int, int], cfg: dict[str, Any]) -> None:
    found = Preprocess(cfg, size)(image)
    expected = by_open_clip(image, size, cfg)
    assert (found.dtype.name, found.shape) == ("float32", (3, *size))
    different = int((found != expected).sum())
    assert different == 0, f"{different} of {found.size} values differ, by up to {np.abs(found - expected).max()}"


@pytest.mark.parametrize(
    "written",
    [
        {"interpolation": "random"},
        {"interpolation": "bilinear", "resize_mode": "squash"},
        {"mean": 0.5, "std": 0.25},
        {"mean": [0.1, 0.2, 0.3], "resize_mode": "longest", "fill_color": 127},
        {"mean": None, "std": (0.3, 0.3, 0.3), "interpolation": None, "resize_mode": None},
    ],
)
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_whatever_a_config_writes_of_preprocessing_is_written_out_for_the_handler(
    written: dict[str, Any], size: tuple[int, int]
) -> None:
    """The facts of the manifest, made of what a config says, are open_clip's own transform of that config."""
    image, given = noise("RGB", 50, 70), config(**written)
    found = Preprocess(as_json(preprocess_facts(given)), size)(image)
    assert (found == by_open_clip(image, size, given)).all()


def noise(mode: str, width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    shape = (height, width)
    if mode == "1":
        return Image.fromarray(rng.integers(0, 2, shape).astype(bool))
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 2**16, shape).astype(np.uint16))
    if mode == "I":
        return Image.fromarray(rng.integers(-1000, 70_000, shape).astype(np.int32))
    if mode == "F":
        return Image.fromarray((rng.random(shape) * 300 - 20).astype(np.float32))
    if mode == "P":
        image = Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8))
        image.putpalette(rng.integers(0, 256, 768).astype(np.uint8).tobytes())
        return image
    return Image.frombytes(mode, (width, height), rng.integers(0, 256, width * height * BANDS[mode]).astype(np.uint8))


@pytest.mark.parametrize("resize_mode", RESIZE_MODES)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(64, 64), (40, 72)], ids=["square", "wide"])
def test_every_mode_is_transformed_as_open_clip_does(
    mode: str, size: tuple[int, int], interpolation: str, resize_mode: str
) -> None:
    cfg = config(interpolation=interpolation, resize_mode=resize_mode, fill_color=127)
    for width, height in [(1, 1), (100, 77), (64, 64), (72, 40), (63, 65), (3, 50), (50, 3)]:
        assert_same_bits(noise(mode, width, height), size, cfg)


@settings(max_examples=400)
@given(
    mode=st.sampled_from(MODES),
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    size=st.tuples(st.integers(1, 96), st.integers(1, 96)) | st.integers(1, 96).map(lambda side: (side, side)),
    resize_mode=st.sampled_from(RESIZE_MODES),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
    fill_color=st.integers(0, 255),
)
def test_any_size_to_any_size_gives_the_same_bits_or_an_error_where_open_clip_has_one(
    mode: str,
    width: int,
    height: int,
    size: tuple[int, int],
    resize_mode: str,
    interpolation: str,
    fill_color: int,
) -> None:
    image = noise(mode, width, height)
    cfg = config(interpolation=interpolation, resize_mode=resize_mode, fill_color=fill_color)
    try:
        Preprocess(cfg, size)(image)
    except ImageError:
        with pytest.raises(ValueError, match="> 0"):
            by_open_clip(image, size, cfg)
    else:
        assert_same_bits(image, size, cfg)


@pytest.mark.parametrize("resize_mode", ["shortest", "squash"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize(("width", "height"), [(4000, 3), (3, 4000), (1, 2000), (2000, 1)])
def test_extreme_shapes_which_are_resized_in_strips(mode: str, width: int, height: int, resize_mode: str) -> None:
    assert_same_bits(noise(mode, width, height), (64, 64), config(resize_mode=resize_mode))


@pytest.mark.parametrize(("width", "height"), [(4000, 3), (3, 4000)])
@pytest.mark.parametrize("size", [(224, 224), (224, 320)])
def test_4000x3_at_the_size_of_real_models(width: int, height: int, size: tuple[int, int]) -> None:
    assert_same_bits(noise("RGB", width, height), size, config())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_strips_of_a_few_columns_make_the_same_image(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.imaging.preprocess.PIXELS_AT_ONCE", 1000)
    for width, height in [(20, 90), (90, 20), (60, 61)]:
        assert_same_bits(noise(mode, width, height), (64, 64), config())


@pytest.mark.parametrize("mean_std", [(0.5, 0.5), (0.48145466, 0.26862954), (0.0, 1.0)])
def test_all_256_values_are_normalized_to_the_same_floats(mean_std: tuple[float, float]) -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
    assert_same_bits(ramp, (16, 16), config(mean=(mean_std[0],) * 3, std=(mean_std[1],) * 3, resize_mode="squash"))


def _save(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _save(noise("RGB", 90, 50), "JPEG", exif=exif)


FRAMES = [noise("RGB", 90, 50, seed) for seed in range(3)]
FILES: dict[str, Callable[[], bytes]] = {
    "1": lambda: _save(noise("1", 90, 50), "PNG"),
    "L": lambda: _save(noise("L", 90, 50), "PNG"),
    "L with a transparent gray": lambda: _save(noise("L", 90, 50), "PNG", transparency=3),
    "LA": lambda: _save(noise("LA", 90, 50), "PNG"),
    "P": lambda: _save(noise("P", 90, 50), "PNG"),
    "P with a transparent index": lambda: _save(noise("P", 90, 50), "PNG", transparency=3),
    "P with alpha": lambda: _save(noise("P", 90, 50), "PNG", transparency=bytes(range(256))),
    "P with a transparent index, GIF": lambda: _save(noise("P", 90, 50), "GIF", transparency=3),
    "RGB with a transparent color": lambda: _save(noise("RGB", 90, 50), "PNG", transparency=(1, 2, 3)),
    "RGBA": lambda: _save(noise("RGBA", 90, 50), "PNG"),
    "RGBA, WebP": lambda: _save(noise("RGBA", 90, 50), "WEBP", lossless=True),
    "CMYK": lambda: _save(noise("CMYK", 90, 50), "JPEG"),
    "16 bit": lambda: _save(noise("I;16", 90, 50), "PNG"),
    "EXIF-rotated": _rotated,
    "1x1": lambda: _save(noise("RGB", 1, 1), "PNG"),
    "4000x3": lambda: _save(noise("RGB", 4000, 3), "PNG"),
    "animated GIF": lambda: _save(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
    "animated WebP": lambda: _save(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]),
    "animated PNG": lambda: _save(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]),
    "progressive JPEG": lambda: _save(FRAMES[0], "JPEG", progressive=True),
    "BMP": lambda: _save(FRAMES[0], "BMP"),
}


def shown(data: bytes) -> Image.Image:
    """What open_clip is given: the file as it opens it, but for what it would lose: transparency, and 16 bits."""
    image: Image.Image = Image.open(io.BytesIO(data))
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image.convert("RGBA")).convert("RGB")
    return image


@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")
@pytest.mark.parametrize("resize_mode", RESIZE_MODES)
@pytest.mark.parametrize("name", FILES)
def test_a_file_is_decoded_and_transformed_as_open_clip_does_it_with_what_is_seen(name: str, resize_mode: str) -> None:
    data = FILES[name]()
    cfg = config(resize_mode=resize_mode)
    if (name, resize_mode) == ("4000x3", "longest"):  # 0 rows are left of it
        with pytest.raises(ValueError, match="> 0"):
            by_open_clip(Image.open(io.BytesIO(data)), (64, 64), cfg)
        with pytest.raises(ImageError, match="leave no pixel"):
            Preprocess(cfg, (64, 64))(decode(data, 1_000_000))
        return
    found = Preprocess(cfg, (64, 64))(decode(data, 1_000_000))
    np.testing.assert_array_equal(found, by_open_clip(shown(data), (64, 64), cfg))


def test_a_narrow_image_is_transformed_in_bounded_memory() -> None:
    program = """
import resource
from PIL import Image
from handler.imaging.preprocess import Preprocess
cfg = {"mean": [0] * 3, "std": [1] * 3, "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}
preprocess = Preprocess(cfg, (224, 224))
preprocess(Image.new("RGBA", (300, 300)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for size in ((4000, 3), (3, 4000), (2000, 1), (1, 2000)):
    preprocess(Image.new("RGBA", size))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    grown = int(done.stdout) / (1 if sys.platform == "darwin" else 1e-3)  # bytes there, kilobytes elsewhere
    assert grown < 150e6, f"{grown / 1e6:.0f} MB, open_clip's way takes 400 MB"
