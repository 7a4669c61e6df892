"""AVIF and HEIC: the primary image of a file, what decoding it costs, and a small file with that alone.

The decoders see a container that is written here, from what was read and checked: the primary image, as one item or a
grid of them, and its transparency. Thumbnails, metadata, gain maps and further images never reach one.
"""

from typing import NamedTuple

from PIL import Image

from handler.imaging import av1, heif_file, hevc
from handler.imaging.boxes import Reader, boxes
from handler.imaging.container import (
    FILL,
    PROFILE_HEAD,
    Container,
    check_profile,
    damaged,
    filled,
    too_complex,
    unsupported,
)
from handler.imaging.heif_items import Meta
from handler.imaging.orientation import as_exif

CODECS = {b"av01": "AVIF", b"hvc1": "HEIC"}
GRID = b"grid"
MAX_TILES = 1_000  # libheif's own limit of a file's items
MAX_PARTS = 4_000  # OBUs or NAL units of all items: one to four each; a decoder keeps a kilobyte or two for each slice
ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
# What a property is for, beside those that are written: nothing that changes a pixel.
NO_PIXELS = (b"pasp", b"clli", b"mdcv", b"cclv", b"amve", b"rloc", b"udes", b"altt", b"a1lx", b"crtt", b"mdft")
# Of 8 bits a sample; of more, half as much again. A pixel is cheaper than that, and takes twice the memory of others:
# the libraries hold the samples of the stream beside the colors. A byte takes as long as 4 pixels of a WebP.
PIXEL_WORK, BYTE_WORK, ITEM_WORK = 2, 4, 50_000  # an item, as a tile is one, takes a decoder of its own
SPARE = 64  # pixels: HEVC codes whole blocks, and crops what is left over


class Size(NamedTuple):
    """Width and height, in pixels."""

    width: int
    height: int


def read(data: bytes, kind: str) -> Container:
    """Read the boxes, and each item's headers. `kind` is what the file calls itself. Raises ImageError."""
    meta = next((one for one in boxes(kind, data, 0, len(data)) if one.type == b"meta"), None)
    if meta is None:
        unsupported(f"a sequence of images ({kind}) without a still one", "save one of them")
    return _Reading(Meta(kind, data, meta)).container()


class Coded(NamedTuple):
    """What is read once of an item that a decoder decodes, in however many places of a grid it is."""

    size: Size
    pixels: int
    turned: bool  # or cropped


class _Reading:
    """The items of one image: `items` are those that a decoder needs, in the order in which they are written."""

    def __init__(self, meta: Meta) -> None:
        self._meta, self._kind = meta, meta.kind
        self._items: dict[int, None] = {}
        self._links: list[heif_file.Link] = []
        self._codec = ""
        self._coded: dict[int, Coded] = {}
        self._parts = MAX_PARTS
        self._pixels = self._bytes = self._decoders = 0
        self._deep = self._filled = False

    def container(self) -> Container:
        primary = self._meta.primary
        size = self._add(primary)
        self._add_alphas(primary, size)
        if self._filled:
            filled(self._kind)
        exif = b""
        if self._codec == "AVIF":  # as Pillow has it: nothing is turned or cropped, the orientation is told
            exif = as_exif(self._meta.properties.get(primary, ()))
        else:
            size = self._shown(primary, size)
        work = PIXEL_WORK * self._pixels + BYTE_WORK * self._bytes
        work = work * (3 if self._deep else 2) // 2 + ITEM_WORK * self._decoders

        def finish(container: Container) -> Image.Image:
            from handler.imaging import heif_pixels

            file = heif_file.write(self._meta, self._codec, list(self._items), self._links)
            return heif_pixels.load(container._replace(parts=[file]))

        kind = {"AVIF": "AVIF", "HEIC": "HEIF"}[self._codec]  # what Pillow's plugins are called
        return Container(kind, *size, work, (), finish, exif)

    def _add(self, item: int) -> Size:
        """Take an item, and the tiles of a grid. Raises ImageError."""
        if self._meta.types.get(item) != GRID:
            return self._add_coded(item).size
        self._check(item)
        size = self._size(item)
        rows, columns, whole = self._grid(item)
        tiles = self._meta.references.get((b"dimg", item), ())
        if whole != size or len(tiles) != rows * columns:
            damaged(self._kind, "its grid")
        if len(tiles) > MAX_TILES:
            too_complex(self._kind, f"more than {MAX_TILES:,} tiles")
        self._items[item] = None
        self._links.append(heif_file.Link(b"dimg", item, tiles))
        self._bytes += self._meta.size(item)
        each = {self._add_coded(tile) for tile in tiles}
        if any(one.turned for one in each):
            unsupported(f"a {self._kind} image whose tiles are turned or cropped", "save it anew")
        sizes = {one.size for one in each}
        if len(sizes) > 1 or any(one.width * columns < size.width or one.height * rows < size.height for one in sizes):
            damaged(self._kind, "the tiles of its grid")
        return size

    def _add_coded(self, item: int) -> Coded:
        """Take an item once more. It is read once: a file may name it 20,000 times, and list 8,000 properties of it."""
        if item not in self._coded:
            self._coded[item] = self._read_coded(item)
        self._pixels += self._coded[item].pixels
        self._decoders += 1
        return self._coded[item]

    def _read_coded(self, item: int) -> Coded:
        kind = self._meta.types.get(item)
        codec = CODECS.get(kind or b"")
        if kind is None:
            damaged(self._kind, "an item of it is missing")
        if codec is None or codec != (self._codec or codec):
            unsupported(f"a {self._kind} image of the kind {kind!a}", "save it anew")
        self._codec = codec
        self._check(item)
        size = self._size(item)
        self._bytes += self._meta.size(item)
        if self._bytes > len(self._meta.data):
            too_complex(self._kind, "items that share their bytes")
        self._items[item] = None
        turned = any(one.type in heif_file.TURNS for one in self._meta.properties.get(item, ()))
        return Coded(size, self._coded_pixels(item, size), turned)

    def _coded_pixels(self, item: int, size: Size) -> int:
        """Return how many pixels are decoded for an item, by what its stream says itself."""
        data = self._meta.content(item)
        found: av1.Stream | hevc.Stream | None
        if self._codec == "AVIF":
            if self._meta.of(item, b"av1C") is None:
                damaged(self._kind, "an item without a configuration")
            found, spare = av1.read(data, self._parts), 0
        else:
            found, spare = hevc.read(self._meta.of(item, b"hvcC") or b"", data, self._parts), SPARE
        if found is None:
            damaged(self._kind, "the headers of an item")
        if not (0 <= found.width - size.width <= spare and 0 <= found.height - size.height <= spare):
            damaged(self._kind, f"{found.width:,}x{found.height:,} pixels where it says {size[0]:,}x{size[1]:,}")
        self._filled = self._filled or data.endswith(bytes(FILL))
        self._parts -= found.parts
        depth = self._meta.of(item, b"pixi")
        self._deep = self._deep or bool(depth and any(bits > 8 for bits in depth[5:])) or self._is_deep(item)
        return max(found.pixels, size.width * size.height)

    def _is_deep(self, item: int) -> bool:
        """Tell whether its configuration says that samples have more than 8 bits."""
        if self._codec == "AVIF":
            return bool(((self._meta.of(item, b"av1C") or b"")[2:3] or b"\0")[0] & 0x40)
        return bool(((self._meta.of(item, b"hvcC") or b"")[17:18] or b"\0")[0] & 7)

    def _add_alphas(self, primary: int, size: Size) -> None:
        """Take the transparency of the image, or of its tiles, where the file has it for each."""
        sizes = {item: self._size(item) for item in self._items} | {primary: size}
        alphas = [
            (item, of[0])
            for (name, item), of in self._meta.references.items()
            if name == b"auxl" and len(of) == 1 and of[0] in sizes and self._is_alpha(item)
        ]
        premultiplied = {(to, of) for (name, of), tos in self._meta.references.items() if name == b"prem" for to in tos}
        for item, of in alphas:
            if item in self._items:
                damaged(self._kind, "its transparency")
            if self._add(item) != sizes[of]:
                unsupported(f"a {self._kind} image whose transparency has another size", "save it anew")
            self._links.append(heif_file.Link(b"auxl", item, [of]))
            if (item, of) in premultiplied:
                self._links.append(heif_file.Link(b"prem", of, [item]))

    def _is_alpha(self, item: int) -> bool:
        return ((self._meta.of(item, b"auxC") or b"")[4:].partition(b"\0")[0]) in ALPHA

    def _check(self, item: int) -> None:
        """Refuse an item that cannot be understood without a property that is not known here."""
        for one in self._meta.properties.get(item, ()):
            if one.essential and one.type not in (*heif_file.WRITTEN, *heif_file.TURNS, *NO_PIXELS):
                unsupported(f"a {self._kind} image with {one.type!a}", "save it anew")
            if one.type == b"colr" and bytes(one.content[:4]) in (b"prof", b"rICC"):
                check_profile(self._kind, bytes(one.content[4 : 4 + PROFILE_HEAD]))

    def _size(self, item: int) -> Size:
        extents = self._meta.of(item, b"ispe") or b""
        size = Size(int.from_bytes(extents[4:8], "big"), int.from_bytes(extents[8:12], "big"))
        if not size.width or not size.height:
            damaged(self._kind, "its size")
        return size

    def _shown(self, item: int, size: Size) -> Size:
        """Return an item's size once it is turned and cropped as it says."""
        for one in self._meta.properties.get(item, ()):
            if one.type == b"irot" and one.content[0] & 1:
                size = Size(size.height, size.width)
            elif one.type == b"clap":
                numbers = [int.from_bytes(one.content[at : at + 4], "big") for at in range(0, 16, 4)]
                if not numbers[1] or not numbers[3]:
                    damaged(self._kind, "how it is cropped")
                cut = Size(numbers[0] // numbers[1], numbers[2] // numbers[3])
                if not (0 < cut.width <= size.width and 0 < cut.height <= size.height):
                    damaged(self._kind, "how it is cropped")
                size = cut
        return size

    def _grid(self, item: int) -> tuple[int, int, Size]:
        if self._meta.size(item) > 12:
            damaged(self._kind, "its grid")
        content = self._meta.content(item)
        reader = Reader(self._kind, content, 1, len(content))
        wide = 4 if reader.number(1) & 1 else 2
        rows, columns = reader.number(1) + 1, reader.number(1) + 1
        return rows, columns, Size(reader.number(wide), reader.number(wide))
