"""Bytes from a stranger to a Pillow image: format, size and shape are checked before a pixel is decoded."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from handler.errors import ImageError

# The only decoders that ever see a request's bytes, imported here so that Pillow does not import all of its others.
FORMATS = tuple(
    plugin.format
    for plugin in (
        PngImagePlugin.PngImageFile,
        JpegImagePlugin.JpegImageFile,
        WebPImagePlugin.WebPImageFile,
        GifImagePlugin.GifImageFile,
        BmpImagePlugin.BmpImageFile,
    )
)
BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)  # "BM" alone would make a picture of many a text
OTHER_FORMATS = {
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
    b"\0\0\1\0": "ICO", b"8BPS": "PSD", b"qoif": "QOI", b"DDS ": "DDS", b"%PDF": "PDF", b"%!PS": "EPS",
    b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL", b"\xff\x0a": "JPEG XL",
    b"<svg": "SVG", b"<?xml": "SVG",
    b"P1\n": "PBM", b"P2\n": "PGM", b"P3\n": "PPM", b"P4\n": "PBM", b"P5\n": "PGM", b"P6\n": "PPM",
}  # fmt: skip
HEIF_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"msf1": "HEIF"}

# Pillow warns of what is odd in a file in words that hold sizes and tags of the file, and Python keeps every text that
# it showed: log and memory for whoever sends many kinds of damage. What matters of it is an ImageError.
warnings.filterwarnings("ignore", module=r"PIL\.")

MAX_SIDE = 65_535  # pixels, JPEG's own limit: Pillow's resize tables grow with the longer side, not with the area
MAX_SCANS = 100  # of a JPEG with the most pixels allowed: a progressive one has about 10
MAX_ASPECT = 2_000  # resizing the shorter side to 224 makes 448,000 of the longer one: about a second of work


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """Decode the first frame, as `Image.open` gives it: its mode kept, its EXIF rotation not applied.

    Raises ImageError: not_an_image, unsupported_image_format, truncated_image, image_too_large, image_too_narrow.
    """
    image = read_header(data, max_pixels)
    with _told_of(image.format or "", max_pixels):
        image.load()
    return image


def read_header(data: bytes, max_pixels: int) -> Image.Image:
    """Read a picture's format and size, and refuse what must not be decoded; no pixel is. Raises as `decode` does."""
    kind = _sniff(data)
    with _told_of(kind, max_pixels):
        image = Image.open(io.BytesIO(data), formats=[kind])
        _check_size(image.width, image.height, max_pixels)
        _check_scans(data, image.width * image.height, max_pixels)
    return image


@contextmanager
def _told_of(kind: str, max_pixels: int) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageError("image_too_large", f"a {kind} picture of more than {max_pixels:,} pixels") from error
    except UnidentifiedImageError as error:
        raise ImageError("truncated_image", f"a {kind} picture whose header ends early or is damaged") from error
    except Exception as error:  # on damaged files Pillow's decoders raise nearly anything
        raise ImageError("truncated_image", f"a {kind} picture that ends early or is damaged ({error})") from error


def _sniff(data: bytes) -> str:
    """Tell the format from the first bytes, whatever a header or a file name said."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in BMP_HEADER_SIZES:
        return "BMP"
    raise _refusal(data)


def _refusal(data: bytes) -> ImageError:
    other = HEIF_BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None
    for signature, name in OTHER_FORMATS.items():
        if data.startswith(signature):
            other = name
    known = ", ".join(FORMATS)
    if other:
        return ImageError("unsupported_image_format", f"{other} is not supported: convert it to one of {known}")
    return ImageError("not_an_image", f"the {len(data):,} bytes do not start like any of {known}")


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise ImageError(
            "image_too_large",
            f"{width:,}x{height:,} pixels: at most {max_pixels:,} in all and {MAX_SIDE:,} a side. Scale it down; "
            "models look at a few hundred pixels a side",
        )
    if max(width, height) > MAX_ASPECT * max(1, min(width, height)):
        raise ImageError(
            "image_too_narrow", f"{width:,}x{height:,} pixels: one side is over {MAX_ASPECT:,} times the other. Crop it"
        )


def _check_scans(data: bytes, pixels: int, max_pixels: int) -> None:
    """Refuse a JPEG that repeats its scans: each costs a pass over all its pixels, in a few bytes of the file.

    The marker can also stand in an appended preview or video by chance, so a small picture may hold more of them.
    """
    scans = data.count(b"\xff\xda") if data.startswith(b"\xff\xd8") else 1
    if scans * pixels > MAX_SCANS * max_pixels:
        raise ImageError("image_too_large", f"a JPEG of {pixels:,} pixels in {scans:,} scans. Save it anew as baseline")
