"""The result of reading an image file's container: size, cost, and a small file with only the parts to decode.

Decoders never get metadata, further frames or data after the image: these have no pixels of it, and can cost time or
make a decoder fail.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from PIL import Image

from handler.errors import ImageError

# ICC.1:2022, 7.2.6: the color spaces whose numbers browsers show as colors, with or without the profile.
SHOWN_SPACES = (b"RGB ", b"GRAY", b"CMYK")
PROFILE_HEAD = 40  # bytes: the color space is at 16, the signature "acsp" at 36

# Bytes of zero at the end of a file that may be a disk's or a download's own, which decoders take for pixels. AVIF and
# HEIC end in no such run themselves; a flat JPEG may, and a flat WebP.
FILL = 512


class Container(NamedTuple):
    """One image of a file.

    `work` is the cost of decoding it, in pixels of an ordinary image. `parts` are the bytes of the file to decode.
    `exif` is the TIFF structure of its EXIF, or empty. `finish` takes this record and returns the decoded image, with
    both sides divided by `scale`. `held` is the memory that this takes, in pixels; 0 means that of the whole image.
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
        image = opened(self.kind, self.parts)
        if image.width * image.height > self.width * self.height:
            damaged(self.kind, "its size")
        return image


def opened(kind: str, parts: Sequence[bytes | memoryview]) -> Image.Image:
    """Let Pillow read the header of a file. Its own limit of pixels does not count: `decode` has asked the settings."""
    from io import BytesIO

    factory, _ = Image.OPEN[kind]
    try:
        return factory(BytesIO(b"".join(parts)), "")
    except SyntaxError as error:
        raise ImageError("truncated_image", f"a {kind} image whose header ends early or is damaged") from error


def damaged(kind: str, why: str) -> NoReturn:
    """Raise ImageError truncated_image."""
    raise ImageError("truncated_image", f"a {kind} image that ends early or is damaged ({why}): send the complete file")


def filled(kind: str) -> NoReturn:
    """Raise ImageError for a file that ends in zeros instead of pixels."""
    damaged(kind, "zeros stand in the place of pixels")


def unsupported(what: str, fix: str) -> NoReturn:
    """Raise ImageError unsupported_image_format."""
    raise ImageError("unsupported_image_format", f"{what} is not supported: {fix}")


def too_complex(kind: str, what: str) -> NoReturn:
    """Raise ImageError image_too_complex."""
    raise ImageError("image_too_complex", f"a {kind} image of {what}. Open it in an image editor and save it anew")


def check_profile(kind: str, profile: bytes) -> None:
    """Refuse an image whose color profile has a color space that is not shown as colors. `profile` is its beginning.

    Other profiles are ignored, as open_clip does. Raises ImageError unsupported_image_format.
    """
    space = profile[16:20]
    if profile[36:40] == b"acsp" and space not in SHOWN_SPACES:
        name = space.decode("ascii", "replace").strip()
        unsupported(f"a {kind} image in the color space {name!a}", "convert it to sRGB")
