"""Put transparent images on a background: the hidden colors of transparent pixels must not be embedded."""

from collections.abc import Iterator

from PIL import Image

ROWS_AT_ONCE = 1_000_000  # pixels of a strip: what is held beside the image and its result
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
LIGHT = 224  # of 255: an image that has nothing darker would not be seen on white


def flatten(image: Image.Image) -> Image.Image:
    """Return the image on white, or on black if it could not be seen on white; an opaque image is returned unchanged.

    Most pages are white, and img2dataset put white under the training images of LAION's models.
    """
    if "transparency" not in image.info and image.mode not in ("LA", "PA", "RGBA"):
        return image
    alphas = [strip.getchannel("A").getextrema() for strip in _strips(image)]
    lowest, highest = min(low for low, _ in alphas), max(high for _, high in alphas)
    if lowest == 255:
        image.info.pop("transparency", None)  # of no pixel: Pillow would give it to others when a palette is converted
        return image.convert("RGB") if image.mode == "RGBA" else image
    shown = _on(image, WHITE)
    has_shape = lowest != highest
    if has_shape and min(low for low, _ in _extrema(shown)) >= LIGHT:
        return _on(image, BLACK)
    return shown


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    """Return the least and the greatest sample of each band."""
    return image.getextrema()  # type: ignore[return-value]


def _on(image: Image.Image, color: tuple[int, int, int]) -> Image.Image:
    canvas = Image.new("RGB", image.size, color)
    top = 0
    for strip in _strips(image):
        canvas.paste(strip.convert("RGB"), (0, top), strip.getchannel("A"))
        top += strip.height
    return canvas


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    step = max(1, ROWS_AT_ONCE // image.width)
    for top in range(0, image.height, step):
        strip = image.crop((0, top, image.width, min(image.height, top + step)))
        yield strip if strip.mode == "RGBA" else strip.convert("RGBA")
