"""What all contenders embed: encoded images and captions, pixels and token ids of the same, and open_clip's vectors."""

import base64
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from benchmarks import samples

if TYPE_CHECKING:
    from benchmarks.peers.open_clip_torch import OpenClip

COUNT = 32
CALIBRATION = 96  # others, for a recipe that measures activations
SIZE = (640, 480)
GRIDS = ((4, 3), (16, 12), (40, 30), (160, 120))  # how fine the noise of an image is
SUBJECTS = (
    "a cat",
    "two dogs",
    "an old car",
    "a wooden house",
    "a bowl of soup",
    "a bicycle",
    "a lighthouse",
    "a tree",
)
PLACES = ("on a windowsill", "at night", "in the rain, seen from above", "beside a river in an old photograph")


def write(folder: Path, reference: "OpenClip") -> None:
    """Write request.json, pixels.npy, ids.npy, open_clip's vectors, and the calibration's pixels and ids."""
    for name, seed, count in (("", 0, COUNT), ("calibration-", 1, CALIBRATION)):
        files, captions = [jpeg(seed * 1000 + number) for number in range(count)], texts(seed, count)
        pixels = reference.pixels([Image.open(io.BytesIO(data)) for data in files])
        ids = reference.ids(captions)
        np.save(folder / f"{name}pixels.npy", pixels)
        np.save(folder / f"{name}ids.npy", ids)
        if not name:
            request = {"images": [base64.b64encode(data).decode() for data in files], "captions": captions}
            (folder / "request.json").write_text(json.dumps(request))
            np.save(folder / "images.npy", reference.images(pixels))
            np.save(folder / "captions.npy", reference.captions(ids))


def jpeg(seed: int) -> bytes:
    """Return a JPEG of 640 x 480 with smooth noise, finer or coarser, and a few shapes on half of them."""
    rng = np.random.default_rng(seed)
    width, height = GRIDS[seed % len(GRIDS)]
    noise = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    image = noise.resize(SIZE, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(seed // 4 % 2 * 5):
        x, y, side = (int(value) for value in rng.integers((0, 0, 40), (560, 400, 240)))
        ink = tuple(int(value) for value in rng.integers(0, 256, 3))
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)((x, y, x + side, y + side), fill=ink)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def texts(seed: int, count: int) -> list[str]:
    """Return captions of 5 to 14 words; the first is the one that every benchmark embeds."""
    made = [f"a photo of {subject} {place}" for place in PLACES for subject in SUBJECTS]
    made = made if not seed else [f"{text}, number {number % 7}" for number, text in enumerate(made * 3)]
    return [samples.CAPTION, *made][:count]
