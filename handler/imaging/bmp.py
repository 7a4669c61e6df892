"""BMP's header: size, and what its pixels cost."""

from PIL import Image

from handler.imaging.container import Container, damaged, unsupported

RLE8, RLE4, BITFIELDS, JPEG, PNG, ALPHA_BITFIELDS = range(1, 7)  # compressions
END_OF_LINE, END, DELTA = 0, 1, 2  # RLE's escapes
OLD = 12  # bytes of OS/2's header, which has no compression
# Pillow decodes these in Python: a byte of either costs as much as this many pixels, a pixel of RLE4 as much as that.
RLE_BYTE_WORK, RLE4_PIXEL_WORK = 30, 5


def read(data: bytes) -> Container:
    """Read the header. Raises ImageError."""
    if len(data) < 26:
        damaged("BMP", "its header")
    if data[14] == OLD:
        width, height, compression = int.from_bytes(data[18:20], "little"), int.from_bytes(data[20:22], "little"), 0
    else:
        width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
        compression = int.from_bytes(data[30:34], "little")
    if width <= 0 or height == 0:
        damaged("BMP", f"{width}x{height} pixels")
    if compression in (JPEG, PNG):
        unsupported("a BMP that holds a JPEG or a PNG", "send that itself")
    if compression in (BITFIELDS, ALPHA_BITFIELDS) and data[28] == 16 and data[14] >= 56 and any(data[66:70]):
        unsupported("a BMP of 16 bits with an alpha channel, which no decoder here reads,", "save it as PNG")
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
    compression = int.from_bytes(container.parts[0][30:34], "little") if container.parts[0][14] != OLD else 0
    if compression in (RLE4, RLE8) and _leaves_out(container.parts[0], container.width, compression):
        damaged("BMP", "its runs leave pixels out, which would get some color of its palette")
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")  # an alpha channel that nobody filled: browsers show it opaque
    return flatten(image)


def _leaves_out(data: bytes | memoryview, width: int, compression: int) -> bool:
    """Tell whether a run ends before its row does, or jumps: Pillow takes color 0 for what is not said."""
    at, column = int.from_bytes(data[10:14], "little"), 0
    while at + 1 < len(data):
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            column += count
        elif value > DELTA:
            column += value
            size = value if compression == RLE8 else (value + 1) // 2
            at += size + size % 2
        elif value == END_OF_LINE and column >= width:
            column = 0
        else:
            return value != END or 0 < column < width
    return False
