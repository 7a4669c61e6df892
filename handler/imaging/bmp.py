"""BMP's header: size, and what its pixels cost."""

from PIL import Image

from handler.imaging.container import Container, damaged, unsupported

RLE8, RLE4, JPEG, PNG = 1, 2, 4, 5  # compressions
# Pillow decodes these in Python: a byte of either costs as much as this many pixels, a pixel of RLE4 as much as that.
RLE_BYTE_WORK, RLE4_PIXEL_WORK = 30, 5


def read(data: bytes) -> Container:
    """Read the header. Raises ImageError."""
    if len(data) < 26:
        damaged("BMP", "its header")
    if data[14] == 12:
        width, height, compression = int.from_bytes(data[18:20], "little"), int.from_bytes(data[20:22], "little"), 0
    else:
        width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
        compression = int.from_bytes(data[30:34], "little")
    if width <= 0 or height == 0:
        damaged("BMP", f"{width}x{height} pixels")
    if compression in (JPEG, PNG):
        unsupported("a BMP that holds a JPEG or a PNG", "send that itself")
    work = width * abs(height)
    if compression == RLE4:
        work *= RLE4_PIXEL_WORK
    if compression in (RLE4, RLE8):
        work += RLE_BYTE_WORK * len(data)
    return Container("BMP", width, abs(height), work, [data], _load)


def _load(container: Container) -> Image.Image:
    from handler.imaging.flatten import flatten

    try:
        image = container.open()
    except OSError as error:
        if str(error).startswith("Unsupported BMP"):
            unsupported(f"this BMP ({error})", "save it with 24 bits a pixel")
        raise
    image.load()
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")  # an alpha channel that nobody filled: browsers show it opaque
    return flatten(image)
