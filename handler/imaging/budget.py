"""The number of pixels that one request may decode."""

from handler.errors import ImageError


def check_pixels(total: int, images: int, max_pixels: int) -> None:
    """Raise ImageError where a request's images together have more pixels than may be decoded in its time."""
    if total > max_pixels:
        raise ImageError(
            "image_too_large",
            f"the {images:,} images have {total:,} pixels together: at most {max_pixels:,} in one request. "
            "Scale them down, or send fewer at once",
            "input",
        )
