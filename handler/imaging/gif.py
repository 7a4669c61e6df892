"""GIF's blocks: the first frame alone reaches the decoder."""

from PIL import Image

from handler.imaging.container import Container, damaged, too_complex

MAX_BLOCKS = 200_000  # of up to 255 bytes: 50 MB as encoders write them


class _File:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 13
        self.blocks = 0
        self.transparent: int | None = None
        self.box = (0, 0, 0, 0)
        self.frame = (0, 0)  # where its bytes begin and end
        self.parts: list[bytes] = []


def read(data: bytes) -> Container:
    """Read the blocks up to the end of the first frame. Raises ImageError."""
    if len(data) < 13:
        damaged("GIF", "its header")
    file = _File(data)
    if data[10] & 0x80:
        file.at += 3 << ((data[10] & 7) + 1)
    head = data[: file.at]
    _find_frame(file)
    width = max(int.from_bytes(data[6:8], "little"), file.box[2])
    height = max(int.from_bytes(data[8:10], "little"), file.box[3])
    if file.box[0] == file.box[2] or file.box[1] == file.box[3]:
        damaged("GIF", "a frame of no pixels")

    def finish(container: Container) -> Image.Image:
        return _load(container, file.box, file.transparent)

    frame = data[slice(*file.frame)]
    return Container("GIF", width, height, width * height, [head, frame, b"\0;"], finish)


def _find_frame(file: _File) -> None:
    while file.at < len(file.data):
        kind = file.data[file.at]
        if kind == 0x2C:
            _take_frame(file)
            return
        if kind == 0x3B:
            break
        if kind == 0x21:
            block = file.data[file.at + 2 : file.at + 7]
            if file.data[file.at + 1 : file.at + 2] == b"\xf9" and len(block) == 5 and block[0] >= 4:
                file.transparent = block[4] if block[1] & 1 else None
            file.at += 2
            _pass_blocks(file)
            continue
        file.at += 1  # what is not a block is passed over, as Pillow does it
        _count(file)
    damaged("GIF", "no frame")


def _take_frame(file: _File) -> None:
    start = file.at
    head = file.data[start + 1 : start + 10]
    if len(head) < 9:
        damaged("GIF", "a frame header that ends early")
    left, top, width, height = (int.from_bytes(head[at : at + 2], "little") for at in (0, 2, 4, 6))
    file.box = (left, top, left + width, top + height)
    file.at = start + 11 + ((3 << ((head[8] & 7) + 1)) if head[8] & 0x80 else 0)
    _pass_blocks(file)
    file.frame = (start, min(file.at, len(file.data)))


def _pass_blocks(file: _File) -> None:
    """Go to the end of a run of blocks, each of which begins with its length; 0 ends it."""
    data, at = file.data, file.at
    for _ in range(MAX_BLOCKS - file.blocks):
        length = data[at] if at < len(data) else 0
        at += 1 + length
        file.blocks += 1
        if not length:
            file.at = at
            return
    _count(file)


def _count(file: _File) -> None:
    file.blocks += 1
    if file.blocks > MAX_BLOCKS:
        too_complex("GIF", f"more than {MAX_BLOCKS:,} blocks")


def _load(container: Container, box: tuple[int, int, int, int], transparent: int | None) -> Image.Image:
    """Decode the frame and put it on its screen, which is transparent where no pixel of it lies."""
    from handler.imaging.complete_pixels import load_whole
    from handler.imaging.flatten import flatten

    image = load_whole(container, box)
    if transparent is not None:
        image.info["transparency"] = transparent
    return flatten(image, box)
