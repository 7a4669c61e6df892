"""Large JPEGs at a reduced scale are the same to a model: open_clip's own transform of all their pixels, at fp32."""

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from handler.imaging.decode import decode_for
from handler.imaging.preprocess import Preprocess
from handler.imaging.reduced import Decoded
from handler.settings import Settings
from layer.bundle import reference
from layer.bundle.records import as_json
from layer.export import photographs
from layer.openclip import open_clip

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "layer/demo/hub/models--openclip-lambda--shapes-i18n/snapshots"
LIMIT = Settings().max_image_pixels
LEAST = 0.9999  # cosine, of the worst
LEAST_OF_SMALL = 0.99999
QUALITIES = (30, 50, 75, 90, 100)
SUBSAMPLINGS = (0, 1, 2)
SIZES = ((1480, 1111), (1107, 1400), (1701, 1103), (2500, 2001))  # decoded at a half, the last at a quarter


def _scene(seed: int, width: int, height: int) -> Image.Image:
    """Draw soft light, things with edges, thin lines and grain, in colors of its own."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)  # type: ignore[attr-defined]
    pen = ImageDraw.Draw(soft)
    for _ in range(30):
        x, y, side = (int(value) for value in rng.integers((0, 0, 20), (width, height, 400)))
        ink = tuple(int(value) for value in rng.integers(0, 256, 3))
        (pen.ellipse, pen.rectangle)[int(rng.integers(2))]((x, y, x + side, y + side), fill=ink)
        pen.line((x, y, int(rng.integers(width)), int(rng.integers(height))), fill=ink, width=int(rng.integers(1, 5)))
    grain = rng.integers(-8, 9, (height, width, 1), dtype=np.int16)
    return Image.fromarray(np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8))


def _varied() -> list[tuple[str, bytes]]:
    """Return 220 JPEGs: each subsampling at each quality, baseline and progressive, in gray, turned by EXIF."""
    found = []
    scenes = [_scene(seed, *size) for seed, size in enumerate(SIZES)]
    for number, (quality, subsampling, progressive) in enumerate(
        itertools.product(QUALITIES, SUBSAMPLINGS, (False, True))
    ):
        for place in range(6):
            scene, exif = scenes[(number + place) % len(scenes)], Image.Exif()
            exif[0x0112] = (number + place) % 8 + 1
            options = {"quality": quality, "subsampling": subsampling, "progressive": progressive, "exif": exif}
            # The same scene in another light and another part of it, so that no two files hold the same image.
            edges = (place * 31, number * 7, scene.width, scene.height)
            found.append((f"{options} {place}", _jpeg(scene.crop(edges), **options)))
    for quality, (seed, size), progressive in itertools.product(QUALITIES, enumerate(SIZES), (False, True)):
        scene = scenes[seed].convert("L")
        found.append((f"gray {quality} {size}", _jpeg(scene, quality=quality, progressive=progressive)))
    return found


def _jpeg(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def loaded() -> reference.Loaded:
    [snapshot] = DEMO.iterdir()
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{snapshot}")
    return reference.Loaded(model.eval(), transform, None)


@pytest.fixture(scope="module")
def vit_b_32() -> reference.Loaded:
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", load_weights=False).eval()
    config = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
    return reference.Loaded(model, open_clip.transform.image_transform_v2(config, is_train=False), None)


def _embed(loaded: reference.Loaded, pixels: list[Any]) -> NDArray[np.float64]:
    with torch.inference_mode():
        vectors = loaded.model.encode_image(torch.stack([torch.as_tensor(one) for one in pixels]), normalize=True)
    return np.asarray(vectors, np.float64)


def _ours(loaded: reference.Loaded) -> Preprocess:
    config = loaded.model.visual.preprocess_cfg
    size = config["size"]
    target = (size, size) if isinstance(size, int) else tuple(size)
    return Preprocess(as_json(reference.preprocess_facts(config)), target, one_step=True)


def test_over_200_varied_jpegs_have_the_embedding_of_all_their_pixels(loaded: reference.Loaded) -> None:
    files, ours = _varied(), _ours(loaded)
    found, expected = [], []
    for number, (_, data) in enumerate(files):
        upright = number % 2 == 1
        decoded = decode_for(data, LIMIT, upright, ours.fitted)
        assert decoded.reduced
        found.append(ours.of(decoded))
        opened = Image.open(io.BytesIO(data))
        expected.append(loaded.transform(ImageOps.exif_transpose(opened) if upright else opened))
    cosines = (_embed(loaded, found) * _embed(loaded, expected)).sum(axis=1)
    worst = int(cosines.argmin())
    assert len(files) >= 200
    assert cosines[worst] >= LEAST, f"{cosines[worst]:.6f}: {files[worst][0]}"


def test_a_model_of_224_pixels_sees_the_same_of_the_gates_own_photographs(vit_b_32: reference.Loaded) -> None:
    """Each is the smallest that is decoded at its scale: no image of a camera loses as much."""
    files, ours = photographs.photographs((224, 224)), _ours(vit_b_32)
    assert {
        round(Image.open(io.BytesIO(f)).width / decode_for(f, LIMIT, False, ours.fitted).image.width) for f in files
    } == {2, 4, 8}
    found = [ours.of(decode_for(file, LIMIT, False, ours.fitted)) for file in files]
    expected = [vit_b_32.transform(Image.open(io.BytesIO(file))) for file in files]
    assert (_embed(vit_b_32, found) * _embed(vit_b_32, expected)).sum(axis=1).min() >= LEAST


def test_small_images_cropped_while_they_are_resized_have_open_clips_embedding(vit_b_32: reference.Loaded) -> None:
    """Of all sizes, those among them of which Pillow resizes a part in the other order, and enlarged ones."""
    ours, scene, rng = _ours(vit_b_32), _scene(0, 900, 900), np.random.default_rng(0)
    images = [scene.resize((width, height)) for width, height in rng.integers(40, 800, (60, 2)).tolist()]
    found = [ours.of(Decoded(image, image.size, (0, 0, *image.size))) for image in images]
    expected = [vit_b_32.transform(image) for image in images]
    assert sum(not np.array_equal(one, other) for one, other in zip(found, expected, strict=True)) > 30
    cosines = (_embed(vit_b_32, found) * _embed(vit_b_32, expected)).sum(axis=1)
    assert cosines.min() >= LEAST_OF_SMALL
