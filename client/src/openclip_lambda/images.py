"""Prepare images for the API: scale those that are too large, and convert those of other formats."""

import io
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from openclip_lambda import formats, jpeg_pixels
from openclip_lambda.errors import InputError
from openclip_lambda.extras import install_command

MAX_BYTES = 3_000_000 - 100  # of an image before base64: a request carries 4 MB as JSON
MAX_PIXELS = 40_000_000  # what the API decodes, by default
SIDE = 2048  # pixels of the longer side of an image that is encoded again, by default: 4 to 9 times a model's input
LOSSLESS_PIXELS = 1_000_000  # up to here a converted image is written as PNG
LARGE_PIXELS = 16_000_000  # one of these is decoded at a time: it may take 150 MB
ORIENTATION = 0x0112
JPEG = b"\xff\xd8\xff"
STRETCHED = {"L;2": 85, "L;4": 17}  # Pillow multiplies 2- and 4-bit gray by this, but not the transparent gray
_one_large = threading.Lock()
_one_copied = threading.Lock()


@dataclass(frozen=True)
class Scaling:
    """How images are changed. `max_side`: pixels of the longer side; None scales only what the API would refuse."""

    max_side: int | None = None
    upright: bool = False  # turn by EXIF; images that are sent unchanged are turned by the API


def prepared(data: bytes, name: str, scaling: Scaling) -> bytes:
    """Return the bytes of an image in a form that the API takes: unchanged if possible, else encoded again.

    Raises InputError for a file that is too damaged to be converted, or of a format that cannot be read here. A damaged
    file of a format that the API takes is returned unchanged: the API says what is wrong with it.
    """
    kind = formats.convertible(name, data[: formats.HEAD_BYTES])
    if kind is None:
        try:
            with _opened(data, "JPEG" if data.startswith(JPEG) else None) as image:
                if len(data) <= MAX_BYTES and not _too_large(image, scaling):
                    return data
                return _encoded(image, scaling, lossless=False, data=data)
        except InputError:
            raise
        except Exception as error:
            if len(data) <= MAX_BYTES:
                return data
            raise _damaged(error) from error
    try:
        with _opened(data, kind) as image:
            return _encoded(image, scaling, lossless=True)
    except InputError:
        raise
    except Exception as error:
        raise _damaged(error) from error


def of_pillow(image: Image.Image, scaling: Scaling) -> bytes:
    """Encode a Pillow image, lossless if it is small. Raises InputError for a mode that cannot be converted.

    A copy is encoded, because drafting a JPEG would reduce the caller's image.
    """
    try:
        return _encoded(_copied(image), scaling, lossless=True)
    except InputError:
        raise
    except Exception as error:  # it may be decoded only now
        raise _damaged(error) from error


def _copied(image: Image.Image) -> Image.Image:
    key = image.info.get("transparency")
    key = _sample(image, key) if isinstance(key, int) else key
    with _one_copied:  # Pillow images are not thread-safe, and a list may contain the same one several times
        own = image.copy()
    own.format = image.format
    if key is not None:
        own.info["transparency"] = key
    return own


def _damaged(error: Exception) -> InputError:
    if isinstance(error, Image.DecompressionBombError):
        return InputError("it has too many pixels to be decoded here: scale it down", "too many pixels")
    if isinstance(error, UnidentifiedImageError):
        return InputError("it is damaged, or of a kind that cannot be read here", "damaged")
    told = " ".join(str(error).split())[:120] or type(error).__name__
    return InputError(f"it is damaged: {told}", "damaged")


def _too_large(image: Image.Image, scaling: Scaling) -> bool:
    return image.width * image.height > MAX_PIXELS or max(image.size) > (scaling.max_side or max(image.size))


def _opened(data: bytes, kind: str | None) -> Image.Image:
    """Open an image; nothing is decoded yet."""
    if kind in ("HEIC", "HEIF"):
        try:
            from pillow_heif import HeifImageFile
        except ImportError as error:
            fix = f"{kind} needs pillow-heif: {install_command('pillow-heif')}"
            raise InputError(fix, f"{kind} without pillow-heif") from error
        opened: Image.Image = HeifImageFile(io.BytesIO(data))
        return opened
    if kind == "AVIF" and not features.check("avif"):
        fix = f"this Pillow cannot read AVIF: {install_command('--upgrade pillow')}"
        raise InputError(fix, "AVIF without a decoder")
    if kind == "JPEG":
        return jpeg_pixels.opened(data)
    return Image.open(io.BytesIO(data), formats=[kind] if kind else None)


def _encoded(image: Image.Image, scaling: Scaling, lossless: bool, data: bytes = b"") -> bytes:
    """Scale and encode an image. `data` is its file, to look for missing pixels, which the API can no longer see."""
    if image.width * image.height > LARGE_PIXELS:
        with _one_large:
            return _encode(image, scaling, lossless, data)
    return _encode(image, scaling, lossless, data)


def _encode(image: Image.Image, scaling: Scaling, lossless: bool, data: bytes) -> bytes:
    side = scaling.max_side or SIDE
    options: dict[str, Any] = {}
    if isinstance(image.info.get("transparency"), int):
        image.info["transparency"] = _sample(image, image.info["transparency"])
    if image.format == "TIFF":
        image.load()  # then Pillow turns it, and removes the tag
    orientation = image.getexif().get(ORIENTATION, 1)
    image.draft("RGB", (side, side))  # a JPEG is decoded at a half, a quarter or an eighth
    small = _eight_bits(_scaled(_scalable(image), side))
    if data and image.format in jpeg_pixels.FORMATS:
        jpeg_pixels.check_complete(image, data, side)
    if scaling.upright:
        small.getexif()[ORIENTATION] = orientation
        small = _turned(small, orientation)
    elif orientation != 1:  # kept, for an API whose setting is to turn images
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif.tobytes()
    while True:
        data = _written(small, lossless, options)
        if len(data) <= MAX_BYTES:
            return data
        lossless = False
        small = _scaled(small, max(small.size) * 3 // 4)


def _sample(image: Image.Image, stored: int) -> int:
    """Return the transparent gray as the pixels will have it. Call it before decoding, which loses the stored depth."""
    if image.mode == "1":
        return 255 * bool(stored)  # Pillow 11 has 1, later ones 255
    tile = getattr(image, "tile", None)  # an image that was not read from a file has none
    return stored * STRETCHED.get(str(tile[0].args), 1) if tile else stored


def _written(image: Image.Image, lossless: bool, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    if image.mode in ("LA", "RGBA") or (lossless and image.width * image.height <= LOSSLESS_PIXELS):
        image.save(buffer, "PNG", **options)
    else:
        image.save(buffer, "JPEG", quality=95, subsampling=0, **options)
    return buffer.getvalue()


def _scaled(image: Image.Image, side: int) -> Image.Image:
    """Return the image with a longer side of at most `side` pixels."""
    longer = max(image.size)
    if longer <= side:
        return image
    width, height = (max(1, round(length * side / longer)) for length in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)


def _scalable(image: Image.Image) -> Image.Image:
    """Return the image in a mode that can be scaled. A transparent color becomes alpha: it must not be blended in."""
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    if image.mode.startswith("I;16"):
        return _high_bytes(image)
    if image.mode in ("1", "L", "RGB") and "transparency" in image.info:
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "HSV":
        return image.convert("RGB")  # between two reds would be a green
    if (image.format, image.mode) == ("BMP", "RGBA") and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")  # an alpha channel of zeros only: the API takes it as opaque
    return image


def _high_bytes(image: Image.Image) -> Image.Image:
    """Return the high bytes of 16-bit gray, as the API does. Raises InputError if all pixels would get one gray."""
    samples = np.asarray(image)
    gray = Image.fromarray((samples >> 8).astype(np.uint8))
    if samples.min() != samples.max() and len(set(gray.getextrema())) == 1:
        span = f"its samples of 16 bits are from {samples.min():,} to {samples.max():,}, one gray to a viewer"
        raise InputError(f"{span}: stretch them over 0 to 65,535, or save them with 8 bits", "16 bits of one gray")
    if "transparency" not in image.info:
        return gray
    opaque = (samples != image.info["transparency"]).astype(np.uint8) * np.uint8(255)
    return Image.merge("LA", (gray, Image.fromarray(opaque)))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the image as gray or RGB with 8 bits, with its alpha if it has one."""
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return image
    if image.mode in ("RGBX", "CMYK", "YCbCr"):
        return image.convert("RGB")
    raise InputError(f"its samples are of Pillow's mode {image.mode}: save it as RGB of 8 bits", "no 8-bit colours")


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    exif = image.getexif()
    exif[ORIENTATION] = orientation
    return ImageOps.exif_transpose(image)
