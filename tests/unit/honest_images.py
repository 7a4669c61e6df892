"""Honest images of the most pixels, and what images cost: `python -m tests.unit.honest_images`.

A share of the limits may follow: `0.25` is quicker.
"""

import base64
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from handler.errors import ImageError
from handler.imaging.decode import decode_for
from handler.imaging.preprocess import Preprocess
from tests.unit.costly_heif import COSTLY
from tests.unit.fake_bundle import FakeFunction, encoded
from tests.unit.fuzzed import FORMATS
from tests.unit.hostile_images import HOSTILE, Maker, sides

PIXELS, BYTES = 40_000_000, 4_490_000  # the default limit, and what a body of 6 MB holds in base64
CONFIG = {"mean": [0] * 3, "std": [1] * 3, "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}

REQUESTS = {  # as many of each as count
    "honest: JPEG photo": 10, "honest: JPEG photo, progressive": 7, "honest: PNG drawing on nothing": 6,
    "honest: WebP photo": 10,
    "PNG, RGBA, interlaced": 6, "PNG, 16-bit RGBA, interlaced": 5, "PNG, white on nothing": 6,
    "JPEG, gray progressive": 6, "JPEG, 16 scans": 5, "JPEG, CMYK scans": 5,
}  # fmt: skip


def photo(pixels: int) -> Image.Image:
    """Noise of all sizes, as photographs have it."""
    rng = np.random.default_rng(5)
    width, height = sides(pixels)
    image = Image.new("RGB", (width, height))
    for side in (4, 32, 256, 1024):
        layer = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize((width, height))
        image = Image.blend(image, layer, 0.5 if side < 1024 else 0.15)
    return image


def drawing(pixels: int) -> Image.Image:
    """Colors on nothing, as screenshots and logos have it: flat, and one that fades."""
    image = Image.new("RGBA", sides(pixels), (0, 0, 0, 0))
    fading = Image.linear_gradient("L").resize((image.width, image.height // 2))
    image.paste(Image.merge("RGBA", (fading, fading, fading.point(lambda value: 255 - value), fading)), (0, 0))
    for part in range(12):
        image.paste((part * 20, 90, 250 - part * 20, 255), (part * 50, part * 60, part * 50 + 900, part * 60 + 700))
    return image


HONEST: dict[str, Maker] = {
    "JPEG photo": lambda pixels, _: encoded(photo(pixels), "JPEG", quality=40),
    "JPEG photo, progressive": lambda pixels, _: encoded(photo(pixels), "JPEG", quality=40, progressive=True),
    "PNG screenshot": lambda pixels, _: encoded(drawing(pixels).convert("RGB"), "PNG", compress_level=1),
    "PNG drawing on nothing": lambda pixels, _: encoded(drawing(pixels), "PNG", compress_level=1),
    "WebP photo": lambda pixels, _: encoded(photo(pixels), "WEBP", quality=20, method=0),
    "WebP photo, lossless": lambda _, size: encoded(photo(size // 3), "WEBP", lossless=True, method=0),
    "WebP drawing on nothing, lossless": lambda pixels, _: encoded(drawing(pixels), "WEBP", lossless=True, method=0),
}


def cost(data: bytes, max_pixels: int, reduced: bool = False) -> tuple[float, str]:
    """CPU seconds from the bytes to the pixels that a model of 224x224 is given, and what came of it.

    `reduced` decodes large JPEGs at a reduced scale.
    """
    preprocess = Preprocess(CONFIG, (224, 224))
    start = time.process_time()
    try:
        preprocess.of(decode_for(data, max_pixels, True, preprocess.fitted if reduced else None, FORMATS))
        result = "embedded"
    except ImageError as error:
        result = error.code
    return time.process_time() - start, result


def request_cost(function: FakeFunction, one: bytes, times: int) -> tuple[float, str]:
    """CPU seconds of a request that sends an image so often, of all its threads, and what came of it."""
    body = json.dumps({"modality": "image", "input": [base64.b64encode(one).decode()] * times}).encode()
    start = time.process_time()
    status, answer = function.http("POST", "/v1/embeddings", body)
    return time.process_time() - start, "embedded" if status == 200 else answer["error"]["code"]


def _main(share: float) -> None:
    pixels, size = int(PIXELS * share), int(BYTES * share)
    files = {**{f"honest: {name}": make for name, make in HONEST.items()}, **HOSTILE, **COSTLY}
    for name, make in files.items():
        data = make(pixels, size)
        seconds, result = cost(data, pixels)
        print(f"{seconds:6.2f} s  {name:40} {len(data):>9,} bytes  {result}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        limits = {"max_image_pixels": pixels, "max_request_pixels": 10 * pixels, "max_body_bytes": 10**8}
        function = FakeFunction(Path(directory) / "bundle", threads=2, **limits)
        for name, times in REQUESTS.items():
            seconds, result = request_cost(function, files[name](pixels, size), times)
            print(f"{seconds:6.2f} s  {times} x {name:36} {result}", flush=True)


if __name__ == "__main__":
    _main(float(sys.argv[1]) if len(sys.argv) > 1 else 1)
