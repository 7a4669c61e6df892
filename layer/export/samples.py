"""The samples for comparing a fast engine with open_clip: diverse images and texts, and the user's own if given."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from layer.files import own_samples

ENOUGH = 2  # times the model's image size: what an image of the user's own keeps at its shorter side
TEXTS = (
    "a photo of a cat",
    "two dogs running on a beach at sunset, oil painting",
    "red",
    "Ein Fahrrad lehnt an einer alten Backsteinmauer.",
    "une tasse de café fumant sur une table en bois",
    "一只猫坐在窗台上看雨",
    "夜の東京、ネオンサインと雨",
    "старый маяк на скале",
    "صورة لجمل في الصحراء",
    "한강 다리 위의 자전거",
    "The Q3 report, p. 14: revenue grew 12.5% (vs. 9.8%) & margins held.",
    "a very long caption that goes on and on, " * 12,
)


def samples(own: Path | None, image_size: tuple[int, int]) -> tuple[list[str], list[Image.Image]]:
    """Return texts and images; from `own`, a directory, images and the lines of .txt files are added.

    `image_size` is what the model sees, height and width: images of `own` are scaled down to the double of it.
    Raises SampleError where `own` has none, OSError or ValueError where one cannot be read: `own_samples.check` tells.
    """
    texts, images = list(TEXTS), _drawn()
    if own is not None:
        files = own_samples.files(own)
        found = [_scaled(_seen(Image.open(path)), image_size) for path in files if not own_samples.is_text(path)]
        own_texts = [line for path in files if own_samples.is_text(path) for line in own_samples.lines(path)]
        texts, images = texts + own_texts[: own_samples.MAX_OWN], images + found
    return texts, images


def _seen(image: Image.Image) -> Image.Image:
    """Return what the handler embeds of an image: transparency on white, the high byte of 16-bit gray. See docs/api.md.

    What differs on white hardly matters here: these images calibrate, no vector of them is kept.
    """
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _scaled(image: Image.Image, image_size: tuple[int, int]) -> Image.Image:
    """Scale a large image down: as PNG, 200 photographs as cameras write them take gigabytes of memory at a time."""
    factor = min(image.size) / (ENOUGH * max(image_size))
    if factor <= 1:
        return image
    return image.resize((round(image.width / factor), round(image.height / factor)), reducing_gap=3.0)


def _drawn() -> list[Image.Image]:
    rng = np.random.default_rng(7)
    images = [_shapes(rng) for _ in range(4)]
    images += [_clouds(rng, roughness) for roughness in (1.0, 1.5, 2.0)]  # photographs fall off at about 1/f
    y, x = np.mgrid[0:240, 0:320]
    images.append(
        Image.fromarray(np.stack([x * 255 // 320, y * 255 // 240, 255 - x * 255 // 320], -1).astype(np.uint8))
    )
    images.append(Image.fromarray(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)))
    return [*images, Image.new("RGB", (64, 64), "white")]


def _shapes(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (300, 260), tuple(int(value) for value in rng.integers(0, 256, 3)))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, size = (int(value) for value in rng.integers((0, 0, 20), (260, 220, 120)))
        ink = tuple(int(value) for value in rng.integers(0, 256, 3))
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)((x, y, x + size, y + size), fill=ink)
    return image


def _clouds(rng: np.random.Generator, roughness: float) -> Image.Image:
    """Return colored noise whose spectrum falls off as 1/f**roughness."""
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None, :])
    frequency[0, 0] = 1
    planes = [np.fft.ifft2(np.fft.fft2(rng.standard_normal((256, 256))) / frequency**roughness).real for _ in range(3)]
    scaled = [(plane - plane.min()) / np.ptp(plane) * 255 for plane in planes]
    return Image.fromarray(np.stack(scaled, -1).astype(np.uint8))
