"""The number of pixels that one request may decode."""

from handler.errors import ImageError


def check_pixels(total: int, images: int, of: int, max_pixels: int, param: str | None) -> None:
    """Raise ImageError where the first `images` of a request have more pixels than may be decoded in its time.

    `param` is the place of the last of them: the error names the list that it is in.
    """
    if total > max_pixels:
        raise ImageError(
            "image_too_large",
            f"the first {images:,} of {of:,} images have {total:,} pixels together: at most {max_pixels:,} in one "
            "request. Scale them down, or send fewer at once",
            param and param.partition("[")[0],
        )
