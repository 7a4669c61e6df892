"""Images that the function takes otherwise than open_clip by intent (docs/api.md): their loss is not the engine's."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from layer.progress import bar
from layer.quality.data import Data


def note(data: Data) -> None:
    """Say how many images are transparent, or gray of 16 bits."""
    count = _count(data.images)
    if count:
        print(
            f"note: {count:,} of {len(data.images):,} images of {data.name} are transparent or gray of 16 bits. "
            "open_clip drops their alpha, and makes most of their gray white; the function lays them on white, and "
            "takes the high byte (docs/api.md). The losses include that, and no engine or precision alters it",
            file=sys.stderr,
        )


def _count(paths: Sequence[Path]) -> int:
    found = 0
    with bar("looking at alpha channels", len(paths), unit="image") as shown, warnings.catch_warnings(action="ignore"):
        for path in paths:
            found += _is_taken_otherwise(path)
            shown.update(1)
    return found


def _is_taken_otherwise(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):
                return True
            if "transparency" not in image.info and image.mode not in ("LA", "PA", "RGBA"):
                return False
            return any(image.convert("RGBA").getchannel("A").histogram()[:255])
    except Exception:  # noqa: BLE001 - of a damaged image, Pillow's decoders raise a dozen classes; it is left out
        return False
