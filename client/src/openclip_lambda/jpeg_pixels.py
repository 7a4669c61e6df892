"""Check that a JPEG file has all its pixels: libjpeg fills missing ones with gray, and Pillow does not report it.

The API refuses such a file. What is encoded again here would look complete to it.
"""

import io
import re
from itertools import pairwise

from PIL import Image, JpegImagePlugin

from openclip_lambda.errors import InputError

FORMATS = ("JPEG", "MPO")  # the second has further images behind the first
GRAY = (127, 128)  # of samples that are missing
# After complete pixels, a decoder skips these bytes. If pixels are missing, it decodes some from them, also where the
# file ends between two restart markers.
BYTES = bytes(number * 73 % 255 for number in range(1, 513))  # more than a block takes
EXTRA = BYTES + b"".join(bytes((0xFF, 0xD0 + number)) + BYTES for number in range(8))
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # but for restart markers, which are inside a scan
FRAMES = {0xC0: False, 0xC1: False, 0xC2: True}  # marker: whether progressive
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
MAX_SEGMENTS = 2_000  # as of the API
MAX_PIXELS = 400_000_000  # of a file: phones take 200 megapixels, and it is decoded at a reduced scale
MAX_PROGRESSIVE_PIXELS = 178_956_970  # at any scale, libjpeg keeps 2 bytes of each sample; as many as Pillow takes
FILL = 512  # bytes of zero, as a disk or a download leaves them in the place of pixels
STRIP = 256  # rows that are compared at once, without a copy of the whole image


def opened(data: bytes) -> Image.Image:
    """Open a JPEG file, also of more pixels than Pillow takes, whose limit is for images that are decoded in full."""
    image = JpegImagePlugin.jpeg_factory(io.BytesIO(data))
    if image.width * image.height > (MAX_PROGRESSIVE_PIXELS if "progressive" in image.info else MAX_PIXELS):
        raise Image.DecompressionBombError
    return image


def check_complete(image: Image.Image, data: bytes, side: int) -> None:
    """Raise InputError if pixels are missing in a JPEG file. `image` is its `data`, drafted for `side` pixels."""
    corner = image.getpixel((image.width - 1, image.height - 1))
    samples = corner if isinstance(corner, tuple) else (corner,)
    missing, ends = _read(data)
    incomplete = any(any(bits) for bits in missing.values())
    # In a single scan, what is missing goes on to the end.
    if not incomplete and (len(ends) > 1 or all(sample in GRAY for sample in samples)):
        starts = [0, *ends]
        parts = [data[start:end].rstrip(b"\xff") + EXTRA for start, end in pairwise(starts)]
        incomplete = _changes(image, b"".join([*parts, data[starts[-1] :]]), side)
    if incomplete or (ends and _is_filled(image, data, ends[-1], side)):
        raise InputError("it is damaged: pixels are missing", "damaged")


def _read(data: bytes) -> tuple[dict[int, list[int]], list[int]]:
    """Read the first image's scans: how many bits of each coefficient none brings, by component, and where they end."""
    missing, ends, progressive, at = dict[int, list[int]](), list[int](), False, 2
    for _ in range(MAX_SEGMENTS):
        found = MARKER.search(data, at)
        if not found or found[1][0] == END_OF_IMAGE:
            break
        marker, start = found[1][0], found.end() + 2
        at = found.end() + int.from_bytes(data[found.end() : start], "big")
        header = data[start:at]
        count = int.from_bytes(header[:1], "big")  # of a scan's components
        if len(header) != at - start or (marker == START_OF_SCAN and len(header) < 4 + 2 * count):
            break  # half a segment, in the place of the end marker
        if marker in FRAMES and not missing:
            progressive, missing = FRAMES[marker], {name: [1] * 64 for name in header[6 : 6 + 3 * header[5] : 3]}
        elif marker == START_OF_SCAN:
            first, last, low = header[1 + 2 * count :][:3] if progressive else (0, 63, 0)
            for name in header[1 : 1 + 2 * count : 2]:
                if name in missing:
                    missing[name][first : last + 1] = [low & 15] * (last + 1 - first)
            end = MARKER.search(data, at)
            ends.append(end.start() if end else len(data))
    return missing, ends


def _is_filled(image: Image.Image, data: bytes, end: int, side: int) -> bool:
    """Tell whether zeros before `end` are none of its pixels, though a decoder takes them for some, as the API does."""
    zeros = end - len(data[:end].rstrip(b"\0"))
    if zeros < FILL:
        return False
    shorter, empty = (data[: end - less] + BYTES + b"\xff\xd9" for less in (FILL // 2, zeros - 2))
    return not _changes(image, shorter, side) and _changes(image, empty, side)


def _changes(image: Image.Image, longer: bytes, side: int) -> bool:
    """Tell whether `longer` has other pixels than `image`, which was drafted for `side` pixels."""
    with opened(longer) as other:
        other.draft(None, (side, side))
        strips = [(0, top, image.width, min(top + STRIP, image.height)) for top in range(0, image.height, STRIP)]
        return any(image.crop(strip).tobytes() != other.crop(strip).tobytes() for strip in strips)
