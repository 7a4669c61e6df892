"""Decode untrusted bytes to a Pillow image: format, size and cost are checked before any pixel is decoded."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from handler.errors import ImageError
from handler.imaging.reduced import Decoded, Fit

if TYPE_CHECKING:
    from handler.imaging.container import Container


class Format(NamedTuple):
    """An image format that is decoded: its media type, its files' suffixes, and how its bytes start (at byte 0, or 8).

    The client, the playground and the documents hold the same; tests/contracts/test_formats.py compares them.
    """

    media_type: str
    suffixes: tuple[str, ...]
    starts: tuple[bytes, ...]
    at_8: bytes = b""


# The plugins of these formats are imported above, so that Pillow does not import all others. No other plugin gets a
# request's bytes.
FORMATS = {
    PngImagePlugin.PngImageFile.format: Format("image/png", (".png", ".apng"), (b"\x89PNG\r\n\x1a\n",)),
    JpegImagePlugin.JpegImageFile.format: Format("image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"), (b"\xff\xd8\xff",)),
    WebPImagePlugin.WebPImageFile.format: Format("image/webp", (".webp",), (b"RIFF",), b"WEBP"),
    GifImagePlugin.GifImageFile.format: Format("image/gif", (".gif",), (b"GIF87a", b"GIF89a")),
    BmpImagePlugin.BmpImageFile.format: Format("image/bmp", (".bmp", ".dib"), (b"BM",)),
}
BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)  # checked, because texts may also begin with "BM"

# Pillow's warnings about a file contain sizes and tags of it, and Python remembers every text of a warning. So files
# with many kinds of damage would fill the log and the memory. Damage that matters becomes an ImageError.
warnings.filterwarnings("ignore", module=r"PIL\.")

MAX_SIDE = 65_535  # pixels, JPEG's own limit: Pillow's resize tables grow with the longer side, not with the area
MAX_ASPECT = 2_000  # resized to 224, the longer side would be 448,000, of which the crop keeps hardly anything
MAX_WORK = 2  # times max_pixels: a progressive JPEG of max_pixels costs 1.4 to 1.7 times that


def decode(data: bytes, max_pixels: int, upright: bool = False, added: Sequence[str] = ()) -> Image.Image:
    """Decode the first frame as docs/api.md describes: as open_clip's users open it, or as a viewer shows it.

    `upright` turns it by its EXIF, which open_clip does not do. `added` are names of `added_formats.ADDED` that are
    decoded, too. Raises ImageError: not_an_image, unsupported_image_format, truncated_image, image_too_large,
    image_too_narrow, image_too_complex.
    """
    return decode_for(data, max_pixels, upright, None, added).image


def decode_for(data: bytes, max_pixels: int, upright: bool, fit: Fit | None, added: Sequence[str] = ()) -> Decoded:
    """Decode as `decode` does, but a large JPEG at a reduced scale that is enough for the model's `fit`; None: in full.

    Raises as `decode`.
    """
    return decode_container(read_header(data, max_pixels, fit, added), max_pixels, upright)


def decode_container(container: "Container", max_pixels: int, upright: bool) -> Decoded:
    """Decode what `read_header` found. Raises as `decode`."""
    with _map_pillow_errors(container.kind, max_pixels):
        image = container.finish(container)
        _check_size(image.width, image.height, max_pixels)
    size = container.width, container.height
    if container.scale == 1:
        size = image.size
    found = Decoded(image, size, (0, 0, size[0] / container.scale, size[1] / container.scale))
    if upright:
        from handler.imaging import orientation

        found = orientation.upright(found, container.exif)
    return found


def read_header(data: bytes, max_pixels: int, fit: Fit | None = None, added: Sequence[str] = ()) -> "Container":
    """Read an image's format, size and cost, and refuse it over the limits. Decodes no pixel. Raises as `decode`."""
    try:
        return _checked_header(data, max_pixels, fit, added)
    except ImageError as error:
        if error.code in ("not_an_image", "truncated_image"):
            from handler.imaging.other_formats import changed

            error.message += changed(data)
        raise


def read_size(data: bytes, added: Sequence[str]) -> "Container":
    """Read an image's format and size, of one that was embedded: within no limits, and without what it costs."""
    kind = kind_of(data, added)
    with _map_pillow_errors(kind, 0):
        return _read(kind, data, 0, None, added)


def _checked_header(data: bytes, max_pixels: int, fit: Fit | None, added: Sequence[str]) -> "Container":
    kind = kind_of(data, added)
    with _map_pillow_errors(kind, max_pixels):
        container = _read(kind, data, max_pixels, fit, added)
        _check_size(container.width, container.height, max_pixels, container.held)
        _check_work(container, max_pixels)
    return container


def _read(kind: str, data: bytes, max_pixels: int, fit: Fit | None, added: Sequence[str]) -> "Container":
    """Call the reader of a format. It is imported here, so that a cold start imports only the one that it needs."""
    if kind == "JPEG":
        from handler.imaging import jpeg

        return jpeg.read(data, fit)
    if kind == "WEBP":
        from handler.imaging import webp

        return webp.read(data, max_pixels)
    if kind == "PNG":
        from handler.imaging.png import read
    elif kind == "GIF":
        from handler.imaging.gif import read
    elif kind == "BMP":
        from handler.imaging.bmp import read
    else:
        from handler.imaging import added_formats

        return added_formats.read(data, kind, added, _names(added))
    return read(data)


@contextmanager
def _map_pillow_errors(kind: str, max_pixels: int) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageError("image_too_large", f"a {kind} image of more than {max_pixels:,} pixels") from error
    except Exception as error:  # on damaged files Pillow's decoders raise nearly anything
        raise ImageError("truncated_image", f"a {kind} image that ends early or is damaged ({error})") from error


def kind_of(data: bytes, added: Sequence[str]) -> str:
    """Return the format by the first bytes; content types and file names are ignored. Raises ImageError."""
    for kind, known in FORMATS.items():
        if data.startswith(known.starts) and data.startswith(known.at_8, 8) and (kind != "BMP" or _is_bmp(data)):
            return str(kind)
    from handler.imaging import added_formats, other_formats

    name = other_formats.media(data)
    if name and added_formats.may_be_read(name, added):
        return name
    raise other_formats.refusal(data, _names(added), added_formats.hint(name))


def media_type(data: bytes) -> str:
    """Return the media type of an image, of every format that a package can decode. Raises ImageError."""
    from handler.imaging.added_formats import ADDED, SETTINGS

    kind = kind_of(data, tuple(ADDED))
    return FORMATS[kind].media_type if kind in FORMATS else ADDED[SETTINGS[kind][0]].media_type


def media_types(added: Sequence[str]) -> list[str]:
    """Return the media types that are decoded; `added` are names of `added_formats.ADDED`."""
    from handler.imaging.added_formats import ADDED

    others = [ADDED[name].media_type for name in added if name in ADDED]
    return [*(known.media_type for known in FORMATS.values()), *others]


def _names(added: Sequence[str]) -> list[str]:
    return [*map(str, FORMATS), *(name.upper() for name in added)]


def _is_bmp(data: bytes) -> bool:
    return int.from_bytes(data[14:18], "little") in BMP_HEADER_SIZES


def _check_size(width: int, height: int, max_pixels: int, held: int = 0) -> None:
    """Raise ImageError for an image that is too large or too narrow; `held` is as in Container."""
    pixels = width * height
    if (pixels > max_pixels and (held or pixels) > max_pixels) or max(width, height) > MAX_SIDE:
        memory = (
            f", which take the memory of {held:,} at a reduced scale (a baseline JPEG of one scan takes the least)"
            if held
            else ""
        )
        raise ImageError(
            "image_too_large",
            f"{width:,}x{height:,} pixels{memory}: at most {max_pixels:,} in all and "
            f"{MAX_SIDE:,} a side. Scale it down; models look at a few hundred pixels a side",
        )
    if max(width, height) > MAX_ASPECT * max(1, min(width, height)):
        raise ImageError(
            "image_too_narrow", f"{width:,}x{height:,} pixels: one side is over {MAX_ASPECT:,} times the other. Crop it"
        )


def _check_work(container: "Container", max_pixels: int) -> None:
    """Raise ImageError if decoding costs much more than the size suggests: many scans, or 16 bits of many pixels."""
    if container.work > MAX_WORK * max_pixels:
        raise ImageError(
            "image_too_complex",
            f"a {container.kind} image of {container.width:,}x{container.height:,} pixels that costs as much as "
            f"{container.work:,}: at most {MAX_WORK * max_pixels:,}. Scale it down, or save it anew as baseline JPEG "
            "or 8-bit PNG",
        )
