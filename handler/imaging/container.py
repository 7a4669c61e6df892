"""What a file's container says of its image, read in bounded time, and the small file that a decoder is given.

A decoder of ours never sees metadata, further frames or what stands behind an image: each is a way to cost time or to
fail, and none of it is pixels.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from PIL import Image

from handler.errors import ImageError

# ICC.1:2022, 7.2.6: the data color spaces whose numbers browsers show as colors, with or without the profile.
SHOWN_SPACES = (b"RGB ", b"GRAY", b"CMYK")
PROFILE_HEAD = 40  # bytes: the color space is at 16, the signature "acsp" at 36


class Container(NamedTuple):
    """One image of a file.

    `work` is the cost of decoding it, in pixels of an ordinary image. `parts` are the file to decode. `exif` is the
    TIFF structure of its EXIF, or nothing. `finish` takes this and returns the image as it is to be embedded, both
    sides divided by `scale`. `held` is the memory of that, in pixels, where it is not that of the whole image; else 0.
    """

    kind: str
    width: int
    height: int
    work: int
    parts: Sequence[bytes | memoryview]
    finish: Callable[["Container"], Image.Image]
    exif: bytes = b""
    scale: int = 1
    held: int = 0

    def open(self) -> Image.Image:
        """Let Pillow read the header of the file to decode."""
        from io import BytesIO

        return Image.open(BytesIO(b"".join(self.parts)), formats=[self.kind])


def damaged(kind: str, why: str) -> NoReturn:
    """Raise ImageError truncated_image."""
    raise ImageError("truncated_image", f"a {kind} image that ends early or is damaged ({why}): send the complete file")


def unsupported(what: str, fix: str) -> NoReturn:
    """Raise ImageError unsupported_image_format."""
    raise ImageError("unsupported_image_format", f"{what} is not supported: {fix}")


def too_complex(kind: str, what: str) -> NoReturn:
    """Raise ImageError image_too_complex."""
    raise ImageError("image_too_complex", f"a {kind} image of {what}. Open it in an image editor and save it anew")


def check_profile(kind: str, profile: bytes) -> None:
    """Refuse an image whose color profile says that its numbers are not colors. `profile` is its beginning.

    Profiles of colors are left unapplied, as open_clip leaves them. Raises ImageError unsupported_image_format.
    """
    space = profile[16:20]
    if profile[36:40] == b"acsp" and space not in SHOWN_SPACES:
        name = space.decode("ascii", "replace").strip()
        unsupported(f"a {kind} image in the color space {name!a}", "convert it to sRGB")
