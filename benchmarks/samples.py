"""What the benchmarks embed: an image as large as photographs are sent, and a caption."""

import base64
import io

import numpy as np
from PIL import Image

CAPTION = "a photo of a cat sitting on a windowsill"


def image(rng: np.random.Generator) -> str:
    """Return a JPEG of 640 x 480, smooth as photographs are, in base64."""
    coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((640, 480), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return base64.b64encode(buffer.getvalue()).decode()
