"""Whether a JPEG file has all its pixels: libjpeg fills missing ones with gray, and Pillow does not report it.

The API refuses such a file. What is encoded again here would look complete to it.
"""

import io
import re
from collections.abc import Iterator

from PIL import Image

from openclip_lambda.errors import InputError

FORMATS = ("JPEG", "MPO")  # the second has further images behind the first
GRAY = (127, 128)  # of samples that are missing
# After complete pixels, a decoder skips these bytes. If pixels are missing, it decodes some from them, also where the
# file ends between two restart markers.
BYTES = bytes(number * 73 % 255 for number in range(1, 65))
EXTRA = BYTES + b"".join(bytes((0xFF, 0xD0 + number)) + BYTES for number in range(8))
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # but for restart markers, which are inside a scan
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
MAX_SEGMENTS = 2_000  # as of the API
STRIP = 256  # rows that are compared at once, without a copy of the whole image


def check_complete(image: Image.Image, data: bytes, side: int) -> None:
    """Raise InputError if pixels are missing in a JPEG file. `image` is its `data`, drafted for `side` pixels."""
    corner = image.getpixel((image.width - 1, image.height - 1))
    samples = corner if isinstance(corner, tuple) else (corner,)
    progressive = bool(image.info.get("progressive"))
    if not progressive and not all(sample in GRAY for sample in samples):
        return  # what is missing goes on to the end
    longer, start, bits = list[bytes](), 0, dict[int, list[int]]()
    for header, end in _scans(data):
        _note_bits(header, bits)
        longer += [data[start:end].rstrip(b"\xff"), EXTRA]
        start = end
    few = progressive and any(any(left) for left in bits.values())
    if few or _changes(image, data, b"".join([*longer, data[start:]]), side):
        raise InputError("it is damaged: pixels are missing", "damaged")


def _scans(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each scan of the first image: its header, and where its pixels end."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = MARKER.search(data, at)
        if not found or found[1][0] == END_OF_IMAGE:
            return
        start, at = found.end() + 2, found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
        if found[1][0] == START_OF_SCAN:
            end = MARKER.search(data, at)
            yield data[start:at], end.start() if end else len(data)


def _note_bits(header: bytes, bits: dict[int, list[int]]) -> None:
    """Note how many bits of each coefficient a progressive file has still to bring, by component."""
    names = header[1 : 1 + 2 * header[0] : 2]
    first, last, low = header[1 + 2 * header[0] :][:3]
    for name in names:
        left = bits.setdefault(name, [1] * 64)
        left[first : last + 1] = [low & 15] * (last + 1 - first)


def _changes(image: Image.Image, data: bytes, longer: bytes, side: int) -> bool:
    """Tell whether `longer` has other pixels than `data`, which is decoded as `image`."""
    with _opened(longer) as other, _opened(data) as again:
        size = (side, side)
        if image.size == other.size:  # both at an eighth take as long as one in full, and little memory
            image, size = again, (max(1, other.width // 8), max(1, other.height // 8))
            again.draft(None, size)
        other.draft(None, size)
        strips = [(0, top, image.width, min(top + STRIP, image.height)) for top in range(0, image.height, STRIP)]
        return any(image.crop(strip).tobytes() != other.crop(strip).tobytes() for strip in strips)


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["JPEG"])
