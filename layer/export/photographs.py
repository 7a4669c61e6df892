"""Draw large JPEGs as cameras write them. Decoding them at a reduced scale must not change the embedding."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageChops, ImageDraw

MOST_PIXELS = 24_000_000  # of one; a model of more than 256 pixels has none that is decoded at an eighth
SCALES = (2, 4, 8)
MIN_SIDE, MIN_RATIO = 448, 2  # as in handler/imaging/reduced.py: the smallest image that is decoded at a reduced scale
ASPECTS = (4 / 3, 3 / 4, 16 / 9)
SETTINGS = (
    {"quality": 85, "subsampling": 2},
    {"quality": 60, "subsampling": 1, "progressive": True},
    {"quality": 95, "subsampling": 0},
)


def photographs(image_size: tuple[int, int]) -> list[bytes]:
    """Return JPEGs for a model's (height, width): for each scale, those that lose the most, and one in shades of gray.

    Each is the smallest that is decoded at its scale: what is left of it is then the coarsest.
    """
    return list(_each(max(image_size)))


def _each(target: int) -> Iterator[bytes]:
    rng = np.random.default_rng(11)
    least = max(MIN_SIDE, MIN_RATIO * target)
    for scale in SCALES:
        for aspect, settings in tuple(zip(ASPECTS, SETTINGS, strict=True))[: 1 if scale == 8 else None]:
            short = least * scale + 1  # one pixel over: a scale that does not divide the size
            width, height = (round(short * aspect), short) if aspect > 1 else (short, round(short / aspect))
            if width * height <= MOST_PIXELS:
                yield _jpeg(_scene(rng, width, height), **settings)
    side = least * SCALES[0]
    yield _jpeg(_scene(rng, side + 200, side).convert("L"), quality=75)


def scenes(count: int) -> list[Image.Image]:
    """Return images as a camera takes them, 640 x 480, for calibration: other ones than those of the gate."""
    rng = np.random.default_rng(12)
    return [_scene(rng, 640, 480) for _ in range(count)]


def _scene(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw light and dark, things with edges, lines of a few pixels, and the noise of a sensor."""
    rough = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)
    pen, unit = ImageDraw.Draw(image), max(width, height) // 40
    for _ in range(40):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        across, down = (int(side) for side in rng.integers(unit // 2, 6 * unit, 2))
        ink = tuple(int(value) for value in rng.integers(0, 256, 3))
        shape = (pen.ellipse, pen.rectangle)[int(rng.integers(0, 2))]
        shape((x, y, x + across, y + down), fill=ink)
    for step in range(3 * unit):  # hair, grass and writing: finer than a reduced scale shows
        x = step * width // (3 * unit)
        pen.line((x, height - 4 * unit, x + int(rng.integers(-unit, unit)), height), fill=(20, 60, 20), width=2)
    noise = Image.fromarray(rng.normal(128, 6, (256, 256)).astype(np.uint8))
    grain = Image.new("L", image.size)
    for left in range(0, width, 256):
        for top in range(0, height, 256):
            grain.paste(noise, (left, top))
    return ImageChops.add(image, grain.convert("RGB"), offset=-128)


def _jpeg(image: Image.Image, **settings: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **settings)
    return buffer.getvalue()
