"""Decode a JPEG, and check that the file had all pixels: libjpeg fills missing ones with gray, without an error."""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handler.imaging.container import FILL, Container, damaged, filled, opened
from handler.imaging.reduced import draft

# After complete pixels, a decoder skips these bytes. If pixels are missing, it decodes some from them.
EXTRA = bytes(number * 73 % 255 for number in range(1, 513))  # as random, without a marker, and more than a block
RESTART = re.compile(rb"(?<!\xff)\xff+[\xd0-\xd7]")  # with its fill bytes: 0xFF and a byte of EXTRA would be a marker
MOST_RESTARTS = 10_000
Blocks = NDArray[np.bool_]
INSIDE = ((3, 3), (4, 2), (2, 5), (5, 4))  # of a block: colors at its edges may be its neighbors'
GRAY = (127, 128)  # of samples that are missing; CMYK is stored inverted
STRIP = 256  # rows of an image that are copied at once
RUN = 4  # pixels: so many gray ones in a row of a reduced image may be missing: what is missing goes on to the right


def load(container: Container, scans: Sequence[int], several: bool, progressive: bool, complete: bool) -> Image.Image:
    """Decode a JPEG whose scans are `container.parts[place]`, for each place of `scans`.

    It looks for missing pixels if the image has blocks in the gray of missing ones; of a baseline JPEG of `several`
    scans, and of one that is not `complete` with an end marker, in every case. Raises ImageError truncated_image.
    """
    always = several or not complete
    image = _decoded(container.parts, container.scale)
    if always and progressive:
        seen = _checksum(image)
        del image  # as large as what follows
        image = _decoded(_longer(container.parts, scans), container.scale)
        if _checksum(image) != seen:
            damaged("JPEG", "pixels are missing")
        return image
    if not complete and _is_filled(container.parts, scans[-1]):
        filled("JPEG")
    gray = _gray_blocks(image) if container.scale == 1 else _gray_runs(image, container)
    if (always or gray.any()) and _is_incomplete(container.parts, scans, None if always else gray):
        damaged("JPEG", "pixels are missing")
    return image


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


def _is_incomplete(parts: Sequence[bytes | memoryview], scans: Sequence[int], gray: Blocks | None) -> bool:
    """Decode at an eighth of the size, a pixel for each block, with EXTRA after each scan: missing blocks change."""
    changed = _eighth(_longer(parts, scans))
    if gray is not None and changed.shape[:2] == gray.shape and _is_gray(changed)[gray].all():
        return False
    return not np.array_equal(_eighth(parts), changed)


def _is_filled(parts: Sequence[bytes | memoryview], place: int) -> bool:
    """Tell whether the last scan ends in zeros that a decoder takes for pixels, and that are none.

    A flat image may end in zeros, too. It needs all of them.
    """
    scan = bytes(parts[place])
    zeros = len(scan) - len(scan.rstrip(b"\0"))
    if zeros < FILL:
        return False
    ends = (len(scan), len(scan) - FILL // 2, len(scan) - zeros + 2)  # the last byte of a scan may be a zero
    tried = ([*parts[:place], scan[:end] + EXTRA, *parts[place + 1 :]] for end in ends)
    full, shorter, empty = (_eighth(one) for one in tried)
    return np.array_equal(full, shorter) and not np.array_equal(full, empty)


def _longer(parts: Sequence[bytes | memoryview], scans: Sequence[int]) -> list[bytes | memoryview]:
    """Return the parts with EXTRA after each scan."""
    longer = list(parts)
    for place in scans:
        longer[place] = RESTART.sub(lambda found: EXTRA + found[0], bytes(parts[place]), MOST_RESTARTS) + EXTRA
    return longer


def _decoded(parts: Sequence[bytes | memoryview], scale: int) -> Image.Image:
    image = opened("JPEG", parts)
    draft(image, scale)
    image.load()
    return image


def _eighth(parts: Sequence[bytes | memoryview]) -> NDArray[np.uint8]:
    return np.asarray(_decoded(parts, 8))


def _checksum(image: Image.Image) -> int:
    """Return a checksum of all pixels."""
    found = 0
    for top in range(0, image.height, STRIP):
        strip = image.crop((0, top, image.width, min(top + STRIP, image.height)))
        found = zlib.crc32(strip.tobytes(), found)
    return found
