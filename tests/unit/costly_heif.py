"""AVIF and HEIC that cost as much as one may. Each maker takes the pixels and the bytes that one image may have."""

import numpy as np
from PIL import Image

from tests.unit.fake_bundle import encoded
from tests.unit.hostile_heif import HEVC, tiled
from tests.unit.hostile_images import Maker, sides


def noise(share: float, kind: str, **options: object) -> Maker:
    """Noise, which takes so many bytes a pixel, of as many bytes as a body has."""

    def make(_: int, size: int) -> bytes:
        width, height = sides(int(size / share))
        samples = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
        return encoded(Image.fromarray(samples), kind, **options)

    return make


def flat(kind: str, **options: object) -> Maker:
    """One color, of nearly all pixels that count."""
    return lambda pixels, _: encoded(Image.new("RGB", sides(int(pixels * 0.98)), 90), kind, **options)


COSTLY: dict[str, Maker] = {
    "AVIF, most bytes": noise(3.9, "AVIF", quality=100, subsampling="4:4:4", speed=10),
    "AVIF, most bytes, 4:2:0": noise(1.0, "AVIF", quality=90, speed=10),
    "AVIF, most pixels": flat("AVIF", speed=10),
    "HEIC, most bytes": noise(3.4, "HEIF", quality=-1, chroma=444),
    "HEIC, most bytes, 4:2:0": noise(1.3, "HEIF", quality=80),
    "HEIC, most pixels": flat("HEIF", quality=10),
    "HEIC, tiles": lambda pixels, _: tiled(2 * pixels // 60_000, HEVC, 1),
}
