"""JPEG's segments: the one image in a file, what decoding it costs, and whether all of it is there."""

import re
from itertools import islice
from typing import NamedTuple

from PIL import Image

from handler.imaging.container import FILL, PROFILE_HEAD, Container, check_profile, damaged, too_complex, unsupported
from handler.imaging.reduced import EIGHTH, Fit, scale_for

# As libjpeg looks for the next marker: past whatever is none, and past fill bytes.
MARKER = re.compile(rb"\xff([\x01-\xfe])")
END_OF_SCAN = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
STANDALONE = (0x01, *range(0xD0, 0xD8))
KEPT = (0xC4, 0xDB)  # tables
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
FRAMES = {0xC0: False, 0xC1: False, 0xC2: True}  # marker: whether progressive
OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7)
COMPONENTS = (1, 3, 4)
EOI = b"\xff\xd9"

MAX_SEGMENTS = 2_000  # of 65 kB each: all that a file of 130 MB needs
MAX_SCANS = 100  # a progressive JPEG has about 10
READ_WORK = 4  # pixels whose coefficients are read and not made pixels of that cost as much as one that is
KEPT_WORK = 2  # the same where they come in several scans
PASS_WORK = 16  # samples of a further pass over the coefficients that cost as much as one pixel


class Frame(NamedTuple):
    """The image's size, its components as id -> (width, height), and whether it is progressive."""

    width: int
    height: int
    components: dict[int, tuple[int, int]]
    units: int  # of all components together, in one scan
    progressive: bool


class _File:
    """What has been read of a file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.frame: Frame | None = None
        self.parts: list[bytes | memoryview] = []
        self.adobe = self.jfif = self.exif = self.profile = b""
        self.scans: list[int] = []  # which of `parts` are the pixels of a scan
        self.scanned = 0  # samples, over all scans
        self.bits: dict[int, list[int]] = {}  # component -> bits still to come, of each coefficient
        self.interval = 0  # units between two restart markers
        self.units = 0  # of the scan that is being read
        self.complete = False  # whether an end marker was seen


def read(data: bytes, fit: Fit | None = None) -> Container:
    """Read the segments up to the end of the first image. `fit` decides at which scale it will be decoded.

    Raises ImageError.
    """
    file = _File(data)
    _walk(data, file)
    frame = file.frame
    if frame is None or not file.scans:
        damaged("JPEG", "no pixels")
    check_profile("JPEG", file.profile)
    _check_scans_are_there(frame, file)
    head = (b"\xff\xd8", file.jfif, file.adobe)
    parts: list[bytes | memoryview] = [*head, *file.parts, EOI]
    scans = [len(head) + place for place in file.scans]
    several = len(scans) > 1 and not frame.progressive  # one for each component, whose end may be missing

    def finish(container: Container) -> Image.Image:
        from handler.imaging import jpeg_pixels

        return jpeg_pixels.load(container, scans, several, frame.progressive, file.complete)

    scale = scale_for(frame.width, frame.height, fit)
    work, held = _cost(frame, file.scanned, scale, frame.progressive or several)
    work += _look_cost(frame, file, scale, several, work)
    return Container("JPEG", frame.width, frame.height, work, parts, finish, file.exif, scale, held)


def _cost(frame: Frame, scanned: int, scale: int, kept: bool) -> tuple[int, int]:
    """Return `work` and `held` of a Container.

    Also at a reduced scale, every coefficient is read. If they come in several scans, all are `kept` in memory: 2 bytes
    each, and a pixel has 4.
    """
    pixels, samples = frame.width * frame.height, sum(width * height for width, height in frame.components.values())
    more = max(0, scanned - samples) // PASS_WORK
    if scale == 1:
        return pixels + more, 0
    decoded = pixels // scale**2
    if kept:
        return pixels + more, decoded + samples // 2
    return decoded + pixels // READ_WORK + more, decoded


def _look_cost(frame: Frame, file: _File, scale: int, several: bool, work: int) -> int:
    """Return what it costs at most, in pixels, that `jpeg_pixels` decodes again to look for missing ones.

    Where it does so for gray blocks alone, nothing is counted: they cost less than others.
    """
    if file.complete and not several:
        return 0
    if frame.progressive:
        return work
    pixels = frame.width * frame.height
    ends_in_zeros = not file.complete and bytes(file.parts[file.scans[-1]][-FILL:]) == bytes(FILL)
    looks = (1 if scale == EIGHTH else 2) + (2 if ends_in_zeros else 0)
    if several:
        more = work - pixels  # for further passes, of which each look has as many
        return looks * (pixels // KEPT_WORK + more)
    return looks * (pixels // READ_WORK)


def _walk(data: bytes, file: _File) -> None:
    at = 2
    for _ in range(MAX_SEGMENTS):
        found = MARKER.search(data, at)
        if found is None:
            return
        marker, at = found[1][0], found.end()
        if marker in STANDALONE:
            continue
        if marker == 0xD9:
            file.complete = True
            return
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            if file.scans:
                return  # damage behind pixels that are there
            damaged("JPEG", "a segment that goes past the end")
        _take(marker, file, at, at + length)
        at += length
        if marker == 0xDA:
            at = _take_scan(data, file, at)
    too_complex("JPEG", f"more than {MAX_SEGMENTS:,} segments")


def _take(marker: int, file: _File, start: int, end: int) -> None:
    """Keep what decoding needs of one segment. `start` is the place of its length, behind the marker."""
    body, segment = file.data[start + 2 : end], bytes((0xFF, marker)) + file.data[start:end]
    if marker in FRAMES:
        if file.frame:
            damaged("JPEG", "two frames")
        file.frame = _frame(body, FRAMES[marker])
        file.parts.append(segment)
    elif marker in OTHER_FRAMES:
        unsupported("a lossless, hierarchical or arithmetic-coded JPEG", "save it as baseline or progressive")
    elif marker == 0xD8:
        damaged("JPEG", "an image inside the image")
    elif marker == 0xDA:
        _check_scan(body, file)
        file.parts.append(segment)
    elif marker in KEPT:
        file.parts.append(segment)
    elif marker == 0xDD:
        file.interval = int.from_bytes(body[:2], "big")
        file.parts.append(segment)
    elif marker == 0xE0 and body[:5] == b"JFIF\0":
        file.jfif = segment
    elif marker == 0xEE and body[:5] == b"Adobe":
        file.adobe = segment
    elif marker == 0xE1 and body[:6] == b"Exif\0\0" and not file.exif:
        file.exif = body[6:]
    elif marker == 0xE2 and body[:13] == b"ICC_PROFILE\0\1":
        file.profile = body[14 : 14 + PROFILE_HEAD]


def _frame(body: bytes, progressive: bool) -> Frame:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        damaged("JPEG", "a frame header that ends early")
    if body[0] != 8:
        unsupported(f"a JPEG of {body[0]} bits a sample", "save it with 8")
    if body[5] not in COMPONENTS:
        unsupported(f"a JPEG of {body[5]} components", "save it as gray, RGB or CMYK")
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    sampling = {body[at]: divmod(body[at + 1], 16) for at in range(6, 6 + 3 * body[5], 3)}
    if not width or not height or not all(1 <= factor <= 4 for pair in sampling.values() for factor in pair):
        damaged("JPEG", f"{width}x{height} pixels, or invalid sampling factors")
    most_across, most_down = (max(pair[axis] for pair in sampling.values()) for axis in (0, 1))
    sizes = {
        name: (-(-width * across // most_across), -(-height * down // most_down))
        for name, (across, down) in sampling.items()
    }
    units = -(-width // (8 * most_across)) * -(-height // (8 * most_down))
    return Frame(width, height, sizes, units, progressive)


def _check_scan(body: bytes, file: _File) -> None:
    """Read a scan's header: which components, which coefficients, which of their bits."""
    if file.frame is None or not body or len(body) < 4 + 2 * body[0]:
        damaged("JPEG", "a scan header that ends early")
    if len(file.scans) >= MAX_SCANS:
        too_complex("JPEG", f"more than {MAX_SCANS} scans")
    names = body[1 : 1 + 2 * body[0] : 2]
    first, last, bits = body[1 + 2 * body[0] :][:3]
    if not file.frame.progressive:
        first, last, bits = 0, 63, 0
    for name in names:
        if name not in file.frame.components:
            damaged("JPEG", "a scan of an unknown component")
        width, height = file.frame.components[name]
        file.scanned += width * height
        file.units = -(-width // 8) * -(-height // 8) if len(names) == 1 else file.frame.units
        known = file.bits.setdefault(name, [16] * 64)
        known[first : last + 1] = [bits & 15] * len(known[first : last + 1])


def _take_scan(data: bytes, file: _File, start: int) -> int:
    """Keep a scan's pixels, and return where they end."""
    found = END_OF_SCAN.search(data, start)
    end = start + len(data[start : found.start() if found else len(data)].rstrip(b"\xff"))  # fill bytes
    restarts = (file.units - 1) // file.interval if file.interval else 0
    if sum(1 for _ in islice(RESTART.finditer(data, start, end), restarts)) < restarts:
        damaged("JPEG", "parts of its pixels are missing")
    file.scans.append(len(file.parts))
    file.parts.append(memoryview(data)[start:end])
    return end


def _check_scans_are_there(frame: Frame, file: _File) -> None:
    """Raise ImageError for a file that ends between scans: colors or details would be missing without an error."""
    for name in frame.components:
        if any(file.bits.get(name, (16,))):
            damaged("JPEG", "it ends before its last scan")
