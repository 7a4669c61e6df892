"""WebP's chunks: the still image, or the first frame alone, reaches the decoder."""

from collections.abc import Sequence

from PIL import Image

from handler.errors import ImageError
from handler.imaging.container import FILL, PROFILE_HEAD, Container, check_profile, damaged, filled, too_complex

MAX_CHUNKS = 20_000
FRAME_HEAD = 16  # bytes of ANMF before the chunks of the frame
ALPHA, ANIMATED = 0x10, 0x02  # flags of VP8X
PIXELS = (b"VP8 ", b"VP8L", b"ANMF")
# What a lossless image costs beside its pixels, in pixels: 5 to 7 microseconds for a group of Huffman codes, of which
# libwebp makes 5 KB of tables, used or not; for each pixel once more where these tables are past the processor's cache,
# and libwebp's own encoder stops before that; 1.3 microseconds for each code that is read to know the number of groups.
GROUP_WORK, CACHED_GROUPS, READ_WORK = 700, 2_600, 140
MAX_GROUPS, GROUP_BLOCK, GROUP_BITS = 65_536, 4, 20  # by the format: a group for each block of 4x4 pixels
OWN = 4  # zeros at the end that are taken for the image's own: its last byte, one that makes it even, and two more
SPARSE = 50  # pixels for each byte: an image of fewer bytes is flat, and decoded in half of the time
MIN_READS, PIXELS_READ = 1_000, 200  # libwebp's encoder takes one for each 250 pixels at most


def read(data: bytes, max_pixels: int) -> Container:
    """Read the chunks up to the first that has pixels, and the EXIF. Raises ImageError.

    What a lossless image costs is not read where it has more than `max_pixels`: it is refused in any case.
    """
    found: dict[bytes, bytes] = {}
    pixels, at = b"", 12
    for _ in range(MAX_CHUNKS):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if len(kind) < 4 or (pixels and b"EXIF" in found):
            break
        if at + 8 + length > len(data):
            if pixels:
                break
            damaged("WebP", f"its chunk {kind!a} goes past the end")
        if kind in PIXELS and not pixels:
            pixels = kind
        found.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    else:
        too_complex("WebP", f"more than {MAX_CHUNKS:,} chunks")
    if not pixels and b"VP8X" not in found:
        damaged("WebP", "no pixels")
    check_profile("WebP", found.get(b"ICCP", b"")[:PROFILE_HEAD])
    if pixels == b"ANMF":
        found[pixels] = _frame(found[pixels])
    body = _body(found, pixels)
    width, height = _size(body)
    exif = found.get(b"EXIF", b"")
    lossless = _lossless_work(body, width, height) if width * height <= max_pixels else 0
    # Transparency is flattened, which takes half as long as decoding.
    work = width * height * (3 if b"VP8X" in found else 2) // 2 + lossless
    if zeros := _zeros(body):  # decoded up to three times
        work += width * height * (1 if (len(body) - zeros) * SPARSE < width * height else 2) + 2 * lossless
    parts = [b"RIFF", (len(body) + 4).to_bytes(4, "little"), b"WEBP", body]
    return Container("WEBP", width, height, work, parts, _load, exif.removeprefix(b"Exif\0\0"))


def _frame(frame: bytes) -> bytes:
    """Return a frame with its transparency and pixels alone: libwebp would look for frames in what else it holds."""
    at, kept = FRAME_HEAD, frame[:FRAME_HEAD]
    for kind in (b"ALPH", b"VP8 ", b"VP8L"):
        if frame[at : at + 4] == kind:
            end = at + 8 + int.from_bytes(frame[at + 4 : at + 8], "little")
            kept += _chunk(kind, frame[at + 8 : end])
            at = end + end % 2
    if not kept[FRAME_HEAD:].startswith((b"VP8", b"ALPH")):
        damaged("WebP", "its first frame")
    return kept


def _body(found: dict[bytes, bytes], pixels: bytes) -> bytes:
    extended = found.get(b"VP8X")
    if extended is None:
        return _chunk(pixels, found[pixels])
    if len(extended) < 10:
        damaged("WebP", "its header")
    animated = pixels == b"ANMF"
    flags = ALPHA | ANIMATED if animated else extended[0] & ALPHA  # a frame may leave some of the canvas transparent
    kinds = (b"ANIM", b"ANMF") if animated else (b"ALPH", pixels)
    chunks = [_chunk(kind, found[kind]) for kind in kinds if kind in found]
    return b"".join([_chunk(b"VP8X", bytes((flags,)) + extended[1:10]), *chunks])


def _lossless_work(body: bytes, width: int, height: int) -> int:
    """Return what a lossless image, or lossless transparency, costs beside its pixels. Raises ImageError.

    Its pixels say how many they are, as libwebp takes it. They are refused if they are not within the canvas.
    """
    chunks = _chunks(body)
    chunks = _chunks(chunks[b"ANMF"][FRAME_HEAD:]) if b"ANMF" in chunks else chunks
    alpha, work = chunks.get(b"ALPH", b""), 0
    for kind in (b"VP8 ", b"VP8L"):
        if (coded := chunks.get(kind)) is None:
            continue
        across, down = _size(_chunk(kind, coded))
        if across > width or down > height:
            damaged("WebP", f"{across:,}x{down:,} pixels where it says {width:,}x{height:,}")
        if kind == b"VP8L":
            work += _groups_work(coded[5:], across, down)
        elif alpha and alpha[0] & 3 == 1:
            work += _groups_work(alpha[1:], across, down)
    return work


def _groups_work(stream: bytes, width: int, height: int) -> int:
    from handler.imaging.vp8l import Stream, UnreadError

    reads = MIN_READS + width * height // PIXELS_READ
    read = Stream(stream, reads)
    try:
        groups = read.groups(width, height)
    except UnreadError:  # as many as have room in the bytes and in the image
        blocks = -(-width // GROUP_BLOCK) * -(-height // GROUP_BLOCK)
        groups = min(MAX_GROUPS, blocks, len(stream) * 8 // GROUP_BITS)
    work = GROUP_WORK * groups + READ_WORK * (reads - read.reads)
    return work + (width * height if groups > CACHED_GROUPS else 0)


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Return the first chunk of each kind."""
    found: dict[bytes, bytes] = {}
    at = 0
    for _ in range(MAX_CHUNKS):
        kind, end = data[at : at + 4], at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if len(kind) < 4:
            break
        found.setdefault(kind, data[at + 8 : end])
        at = end + end % 2
    return found


def _size(body: bytes) -> tuple[int, int]:
    kind, data = body[:4], body[8:18]
    if kind == b"VP8X":
        return int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
    if kind == b"VP8L" and data[:1] == b"\x2f":
        bits = int.from_bytes(data[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
    damaged("WebP", "its header")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)


def _load(container: Container) -> Image.Image:
    """Decode the image, and refuse it where zeros stand in the place of its pixels: libwebp decodes some from them.

    A flat image may end in zeros, too. It needs the last ones, or none. A file that is filled has more than it needs.
    """
    from handler.imaging.flatten import flatten

    parts, zeros = container.parts, _zeros(container.parts[-1])
    if zeros and _is_complete(_shorter(parts, FILL // 2)) and not _is_complete(_shorter(parts, zeros - OWN)):
        filled("WebP")
    mode, size, pixels = _decoded(parts)
    return flatten(Image.frombytes("RGB" if mode == "RGBX" else mode, size, pixels, "raw", mode))


def _zeros(body: bytes | memoryview) -> int:
    """Return how many zeros the pixels, which come last, end in, if a disk or a download may have left them; else 0."""
    if bytes(body[-FILL:]) != bytes(FILL):
        return 0
    return len(body) - len(bytes(body).rstrip(b"\0"))


def _shorter(parts: Sequence[bytes | memoryview], count: int) -> list[bytes | memoryview]:
    """Return the parts without about `count` bytes at the end of the pixels: libwebp tells where it needs them."""
    body = bytearray(parts[-1])
    count -= count % 2  # chunks are padded to an even length
    at = _last(body, 0)
    heads = [at] if body[at : at + 4] != b"ANMF" else [at, _last(body, at + 8 + FRAME_HEAD)]
    for head in heads:
        length = int.from_bytes(body[head + 4 : head + 8], "little")
        body[head + 4 : head + 8] = (length - count).to_bytes(4, "little")
    shorter = bytes(body[: len(body) - count])
    return [parts[0], (len(shorter) + 4).to_bytes(4, "little"), parts[2], shorter]


def _last(body: bytearray, at: int) -> int:
    """Return where the last of the chunks begins that begin at `at`."""
    while (end := at + 8 + int.from_bytes(body[at + 4 : at + 8], "little") + body[at + 4] % 2) < len(body):
        at = end
    return at


def _is_complete(parts: Sequence[bytes | memoryview]) -> bool:
    try:
        _decoded(parts)
    except (OSError, ImageError):
        return False
    return True


def _decoded(parts: Sequence[bytes | memoryview]) -> tuple[str, tuple[int, int], bytes]:
    """Decode as Pillow's own `load` does it, which holds libwebp's two canvases, 8 bytes a pixel, beside the image."""
    from PIL import _webp

    decoder = _webp.WebPAnimDecoder(b"".join(parts))
    size, _, _, _, mode = decoder.get_info()
    frame = decoder.get_next()
    if frame is None:
        damaged("WebP", "its pixels")
    return mode, size, frame[0]
