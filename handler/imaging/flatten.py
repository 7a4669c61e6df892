"""Put transparent images on a background: the hidden colors of transparent pixels must not be embedded."""

from collections.abc import Iterator

from PIL import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom
ROWS_AT_ONCE = 1_000_000  # pixels of a strip: what is held beside the image and its result
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
LIGHT = 224  # of 255: an image that has nothing darker would not be seen on white


def flatten(image: Image.Image, box: Box | None = None) -> Image.Image:
    """Return the image on white, or on black if it could not be seen on white; an opaque image is returned unchanged.

    Outside of `box` it is transparent. Most pages are white, and img2dataset put white under the training images of
    LAION's models.
    """
    box = None if box == (0, 0, *image.size) else box
    if box is None and "transparency" not in image.info and image.mode not in ("LA", "PA", "RGBA"):
        return image
    alphas = [strip.getchannel("A").getextrema() for strip in _strips(image, box)]
    lowest, highest = min(low for low, _ in alphas), max(high for _, high in alphas)
    if lowest == 255:
        image.info.pop("transparency", None)  # of no pixel: Pillow would give it to others when a palette is converted
        return image.convert("RGB") if image.mode == "RGBA" else image
    shown = _on(image, WHITE, box)
    has_shape = lowest != highest
    if has_shape and min(low for low, _ in _extrema(shown)) >= LIGHT:
        del shown  # 4 bytes a pixel, as many as the one that follows
        return _on(image, BLACK, box)
    return shown


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    """Return the least and the greatest sample of each band."""
    return image.getextrema()  # type: ignore[return-value]


def _on(image: Image.Image, color: tuple[int, int, int], box: Box | None) -> Image.Image:
    canvas = Image.new("RGB", image.size, color)
    top = 0
    for strip in _strips(image, box):
        canvas.paste(strip.convert("RGB"), (0, top), strip.getchannel("A"))
        top += strip.height
    return canvas


def _strips(image: Image.Image, box: Box | None) -> Iterator[Image.Image]:
    step = max(1, ROWS_AT_ONCE // image.width)
    for top in range(0, image.height, step):
        strip = image.crop((0, top, image.width, min(image.height, top + step)))
        strip = strip if strip.mode == "RGBA" else strip.convert("RGBA")
        yield strip if box is None else _inside(strip, (box[0], box[1] - top, box[2], box[3] - top))


def _inside(strip: Image.Image, box: Box) -> Image.Image:
    """Return a strip that is transparent outside of `box`."""
    left, top, right, bottom = box[0], max(box[1], 0), box[2], min(box[3], strip.height)
    clear = Image.new("RGBA", strip.size)
    if top < bottom:
        clear.paste(strip.crop((left, top, right, bottom)), (left, top))
    return clear
