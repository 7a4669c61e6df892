"""Count images that the function decodes differently from open_clip on purpose (docs/api.md): no engine alters that."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from layer.progress import bar
from layer.quality.data import Data


def note(data: Data) -> None:
    """Print a note with the number of images that are transparent, or gray with 16 bits."""
    count = _count(data.images)
    if count:
        print(
            f"note: {count:,} of {len(data.images):,} images of {data.name} are transparent or gray of 16 bits. Where "
            "they are transparent, open_clip drops the alpha, and the function lays them on white. Of 16 bits, "
            "open_clip makes most grays white, and the function takes the high byte (docs/api.md). The losses include "
            "that, and no engine or precision alters it",
            file=sys.stderr,
        )


def _count(paths: Sequence[Path]) -> int:
    found = 0
    with bar("looking at alpha channels", len(paths), unit="image") as shown, warnings.catch_warnings(action="ignore"):
        for path in paths:
            found += _is_decoded_differently(path)
            shown.update(1)
    return found


def _is_decoded_differently(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):
                return True
            if image.format == "GIF" and vars(image)["dispose_extent"] != (0, 0, *image.size):
                return True  # its frame is smaller than its screen, which is transparent beside it
            if "transparency" not in image.info and image.mode not in ("LA", "PA", "RGBA"):
                return False
            alpha = image.convert("RGBA").getchannel("A").getextrema()
            return alpha[0] != 255 and not (image.format == "BMP" and alpha == (0, 0))  # which nobody filled: opaque
    except Exception:  # noqa: BLE001 - of a damaged image, Pillow's decoders raise a dozen classes; it is left out
        return False
