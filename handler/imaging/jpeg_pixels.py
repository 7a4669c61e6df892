"""Decode a JPEG, and check that the file had all pixels: libjpeg fills missing ones with gray, without an error."""

import re
import zlib
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handler.imaging.container import FILL, Container, damaged, filled, opened
from handler.imaging.reduced import EIGHTH, draft

# After complete pixels, a decoder skips these bytes. If pixels are missing, it decodes some from them: they look as
# random, have no marker, and are more than a block takes. After fill bytes, the first one, 0, makes no marker.
EXTRA = bytes(number * 73 % 255 for number in range(512))
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
MOST_RESTARTS = 10_000
Blocks = NDArray[np.bool_]
INSIDE = ((3, 3), (4, 2), (2, 5), (5, 4))  # of a block: colors at its edges may be its neighbors'
GRAY = (127, 128)  # of samples that are missing; CMYK is stored inverted
STRIP = 256  # rows of an image that are copied at once
OWN = 2  # zeros at the end of a scan that are taken for its own: its last byte may be one
RUN = 4  # pixels: so many gray ones in a row of a reduced image may be missing: what is missing goes on to the right


def load(container: Container, scans: Sequence[int], several: bool, progressive: bool, complete: bool) -> Image.Image:
    """Decode a JPEG whose scans are `container.parts[place]`, for each place of `scans`.

    It looks for missing pixels if the image has blocks in the gray of missing ones; of a baseline JPEG of `several`
    scans, and of one that is not `complete` with an end marker, in every case. Raises ImageError truncated_image.
    """
    zeros = 0 if complete else _zeros(container.parts[scans[-1]])
    if progressive and not complete:
        return _whole_progressive(container, scans, zeros)
    image = _decoded(container.parts, container.scale)
    if several or not complete:
        _check_ends(image, container, scans, zeros)
        return image
    gray = _gray_blocks(image) if container.scale == 1 else _gray_runs(image, container)
    if gray.any() and _is_incomplete(container.parts, scans, gray):
        _missing()
    return image


def _whole_progressive(container: Container, scans: Sequence[int], zeros: int) -> Image.Image:
    """Decode at the scale of the embedding: an eighth does not show the details of the last scan.

    That scan does not end in zeros itself, for it counts flat blocks instead of coding each.
    """
    seen = _checksum(_decoded(container.parts, container.scale))
    image = _decoded(_longer(container.parts, scans, max(0, zeros - OWN)), container.scale)
    if _checksum(image) != seen:
        if zeros:
            filled("JPEG")
        _missing()
    return image


def _check_ends(image: Image.Image, container: Container, scans: Sequence[int], zeros: int) -> None:
    """Raise ImageError if pixels are missing at the end of a scan, or if `zeros` of the last stand in their place.

    A flat image may end in zeros, too. It needs all of them; with more behind, nothing tells it from a filled file.
    """
    seen = _checksum(image if container.scale == EIGHTH else _decoded(container.parts, EIGHTH))

    def complete_without(zeros: int) -> bool:
        return _checksum(_decoded(_longer(container.parts, scans, zeros), EIGHTH)) == seen

    if zeros:
        if complete_without(zeros - OWN):
            return
        if complete_without(FILL // 2):
            filled("JPEG")
    if not complete_without(0):
        _missing()


def _missing() -> NoReturn:
    damaged("JPEG", "pixels are missing")


def _zeros(scan: bytes | memoryview) -> int:
    """Return how many zeros a scan ends in, if a disk or a download may have left them; else 0."""
    data = bytes(scan)
    zeros = len(data) - len(data.rstrip(b"\0"))
    return zeros if zeros >= FILL else 0


def _gray_blocks(image: Image.Image) -> Blocks:
    """Tell which blocks of 8x8 pixels look as if they were missing, from a few pixels of each."""
    across, down = -(-image.width // 8), -(-image.height // 8)
    inner = (slice(image.height // 8), slice(image.width // 8))  # the whole ones
    found = np.zeros((down, across), bool)
    found[inner] = True
    for x, y in INSIDE:
        samples = np.asarray(image.transform((across, down), Image.Transform.AFFINE, (8, 0, x - 4, 0, 8, y - 4)))
        found[inner] &= _is_gray(samples)[inner]
        if not found[inner].any():
            break
    found[-1, -1] = _is_gray(np.asarray(image.crop((image.width - 1, image.height - 1, *image.size)))).all()
    return found


def _gray_runs(image: Image.Image, container: Container) -> Blocks:
    """Return the same for an image at a reduced scale, whose blocks have too few pixels to be judged one by one."""
    samples, side = np.asarray(image), 8 // container.scale
    found = np.zeros((-(-container.height // 8), -(-container.width // 8)), bool)
    found[-1, -1] = _is_gray(samples[-1:, -1:]).all()
    rows = np.nonzero(_is_gray(samples[:, ::RUN]).any(axis=1))[0]  # each run has one of these columns
    if rows.size:
        gray = _is_gray(samples[rows])
        runs = np.logical_and.reduce([gray[:, at : image.width - RUN + 1 + at] for at in range(RUN)])
        down, across = np.nonzero(runs)
        for at in range(RUN):
            found[rows[down] // side, (across + at) // side] = True
    return found


def _is_gray(samples: NDArray[np.uint8]) -> Blocks:
    bands = samples.reshape(*samples.shape[:2], -1)
    return np.asarray(
        np.logical_and.reduce([bands[:, :, band] - np.uint8(GRAY[0]) <= 1 for band in range(bands.shape[2])])
    )


def _is_incomplete(parts: Sequence[bytes | memoryview], scans: Sequence[int], gray: Blocks) -> bool:
    """Decode at an eighth of the size, a pixel for each block, with EXTRA after each scan: missing blocks change."""
    changed = np.asarray(_decoded(_longer(parts, scans), EIGHTH))
    if changed.shape[:2] == gray.shape and _is_gray(changed)[gray].all():
        return False
    return not np.array_equal(np.asarray(_decoded(parts, EIGHTH)), changed)


def _longer(parts: Sequence[bytes | memoryview], scans: Sequence[int], less: int = 0) -> list[bytes | memoryview]:
    """Return the parts with EXTRA after each scan, and so many bytes `less` at the end of the last."""
    longer = list(parts)
    for place in scans:
        scan = parts[place][: len(parts[place]) - (less if place == scans[-1] else 0)]
        longer[place] = RESTART.sub(lambda found: EXTRA + found[0], bytes(scan), MOST_RESTARTS) + EXTRA
    return longer


def _decoded(parts: Sequence[bytes | memoryview], scale: int) -> Image.Image:
    image = opened("JPEG", parts)
    draft(image, scale)
    image.load()
    return image


def _checksum(image: Image.Image) -> int:
    """Return a checksum of all pixels."""
    found = 0
    for top in range(0, image.height, STRIP):
        strip = image.crop((0, top, image.width, min(top + STRIP, image.height)))
        found = zlib.crc32(strip.tobytes(), found)
    return found
