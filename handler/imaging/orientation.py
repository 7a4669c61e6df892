"""EXIF's orientation: how to turn an image so that it is upright."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from handler.imaging.reduced import Decoded

if TYPE_CHECKING:
    from handler.imaging.heif_items import Property

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FLIPPED_ACROSS, FLIPPED_DOWN, TRANSPOSED = (2, 3, 6, 7), (3, 4, 7, 8), (5, 6, 7, 8)  # transposed first
ORIENTATION, SHORT = 0x0112, 3
MAX_TAGS = 1_000
# HEIF's irot, in quarters of a turn against the clock, without imir and with each of its axes.
HEIF_TURNS = ((1, 4, 2), (8, 5, 7), (3, 2, 4), (6, 7, 5))


def upright(decoded: Decoded, exif: bytes) -> Decoded:
    """Turn an image by its EXIF. `exif` is the TIFF structure; a damaged one is ignored."""
    orientation = _orientation(exif)
    turn = TURNS.get(orientation)
    if turn is None:
        return decoded
    image, size, (left, top, right, bottom) = decoded.image.transpose(turn), decoded.size, decoded.box
    if orientation in TRANSPOSED:
        size, left, top, right, bottom = (size[1], size[0]), top, left, bottom, right
    if orientation in FLIPPED_ACROSS:
        left, right = image.width - right, image.width - left
    if orientation in FLIPPED_DOWN:
        top, bottom = image.height - bottom, image.height - top
    return Decoded(image, size, (left, top, right, bottom))


def _orientation(exif: bytes) -> int:
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(exif[:4])
    if order is None:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(exif[at : at + size], "little" if order == "little" else "big")

    start = number(4, 4)
    for row in range(min(number(start, 2), MAX_TAGS)):
        at = start + 2 + 12 * row
        if number(at, 2) == ORIENTATION:
            return number(at + 8, 2 if number(at + 2, 2) == SHORT else 4)
    return 1


def as_exif(properties: Sequence["Property"]) -> bytes:
    """Return HEIF's irot and imir as the TIFF structure of an EXIF; empty if the image is not turned."""
    turn, mirror = 0, 0
    for one in properties:
        if one.type == b"irot":
            turn = one.content[0] & 3
        elif one.type == b"imir":
            mirror = 1 + (one.content[0] & 1)
    number = HEIF_TURNS[turn][mirror]
    row = b"".join(
        value.to_bytes(size, "little") for value, size in ((ORIENTATION, 2), (SHORT, 2), (1, 4), (number, 4))
    )
    return b"II*\0\x08\0\0\0\x01\0" + row if number > 1 else b""
