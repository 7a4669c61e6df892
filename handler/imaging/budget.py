"""The number of pixels that one request may decode."""

from handler.errors import ImageError


def check_pixels(total: int, images: int, of: int, max_pixels: int) -> None:
    """Raise ImageError where the first `images` of a request have more pixels than may be decoded in its time."""
    if total > max_pixels:
        raise ImageError(
            "image_too_large",
            f"the first {images:,} of {of:,} images have {total:,} pixels together: at most {max_pixels:,} in one "
            "request. Scale them down, or send fewer at once",
            "input",
        )
