"""What browsers show is embedded, whatever else a file holds; what lacks pixels is refused, and no gray is embedded."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from handler.errors import ImageError
from handler.imaging.decode import decode
from tests.unit.fake_bundle import encoded

LIMIT = 10_000_000
BIG = b'{"node": "text"},' * 150_000  # 2.5 MB, as image generators write it


def photo(width: int = 120, height: int = 90) -> Image.Image:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:height, 0:width]
    plane = np.stack([x * 2 % 256, y * 2 % 256, (x + y) % 256], -1) * 0.8 + rng.uniform(0, 40, (height, width, 3))
    return Image.fromarray(plane.astype(np.uint8))


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if crc is None else crc)
    )


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


PNG, JPEG = encoded(photo(), "PNG"), encoded(photo(), "JPEG")
PROGRESSIVE = encoded(photo(), "JPEG", progressive=True)
RESTARTS = encoded(photo(), "JPEG", restart_marker_blocks=4)
GIF, BMP = encoded(photo().quantize(32), "GIF"), encoded(photo(), "BMP")
WEBP = encoded(photo(), "WEBP")
CANVAS = struct.pack("<BxxxHBHB", 0x2C, 119, 0, 89, 0)  # flags of ICC profile, EXIF and XMP; the size less one
EXTENDED = b"RIFF" + struct.pack("<I", len(WEBP) + 10) + b"WEBP" + riff(b"VP8X", CANVAS) + WEBP[12:]


def in_png(*chunks: bytes) -> bytes:
    return PNG[:33] + b"".join(chunks) + PNG[33:]


def in_jpeg(*segments: bytes) -> bytes:
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


SOUND = {
    "zTXt of 2.5 MB": (in_png(chunk(b"zTXt", b"workflow\0\0" + zlib.compress(BIG))), PNG),
    "iTXt of 2.5 MB": (in_png(chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(BIG))), PNG),
    "tEXt of 2.5 MB": (in_png(chunk(b"tEXt", b"workflow\0" + BIG)), PNG),
    "iCCP of 2.5 MB": (in_png(chunk(b"iCCP", b"icc\0\0" + zlib.compress(BIG))), PNG),
    "100 texts of 1 MB": (in_png(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20)))] * 100), PNG),
    "text behind the pixels": (PNG[:-12] + chunk(b"zTXt", b"a\0\0" + zlib.compress(BIG)) + PNG[-12:], PNG),
    "text of another encoding": (in_png(chunk(b"iTXt", b"\xff\xfe\0\7\7")), PNG),
    "bad CRC of a text": (in_png(chunk(b"tEXt", b"a\0b", 7)), PNG),
    "bad CRC of gAMA": (in_png(chunk(b"gAMA", bytes(4), 7)), PNG),
    "bad CRC of a transparency": (in_png(chunk(b"tRNS", bytes(6), 7)), PNG),
    "gAMA of no length": (in_png(chunk(b"gAMA", b"")), PNG),
    "cHRM and pHYs cut short": (in_png(chunk(b"cHRM", b"\1"), chunk(b"pHYs", b"\1")), PNG),
    "acTL that says nothing": (in_png(chunk(b"acTL", b"")), PNG),
    "eXIf of noise": (in_png(chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")), PNG),
    "unknown chunk": (in_png(chunk(b"prVt", BIG[:999])), PNG),
    "no IEND": (PNG[:-12], PNG),
    "half an IEND": (PNG[:-5], PNG),
    "no checksum of the pixels": (PNG[:-16], PNG),
    "PNG, something behind": (PNG + BIG, PNG),
    "no EOI": (JPEG[:-2], JPEG),
    "half an EOI": (JPEG[:-1], JPEG),
    "no EOI, progressive": (PROGRESSIVE[:-2], PROGRESSIVE),
    "no EOI, restarts": (RESTARTS[:-2], RESTARTS),
    "zeros instead of EOI": (JPEG[:-2] + bytes(100), JPEG),
    "JPEG, something behind": (JPEG + BIG, JPEG),
    "another JPEG behind": (JPEG + PROGRESSIVE, JPEG),
    "MPO": (encoded(photo(), "MPO", save_all=True, append_images=[photo()]), JPEG),
    "MPF of noise": (in_jpeg(segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff")), JPEG),
    "EXIF of noise": (in_jpeg(segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff")), JPEG),
    "EXIF of nothing": (in_jpeg(segment(0xE1, b"Exif\0\0")), JPEG),
    "Photoshop's cut short": (in_jpeg(segment(0xED, b"Photoshop 3.0\x008BIM\4\4\xff")), JPEG),
    "JFIF cut short": (in_jpeg(segment(0xE0, b"JFIF")), JPEG),
    "Adobe cut short": (in_jpeg(segment(0xEE, b"Ado")), JPEG),
    "ICC in parts, one lost": (in_jpeg(segment(0xE2, b"ICC_PROFILE\0\2\2" + b"x" * 99)), JPEG),
    "APP of no bytes": (in_jpeg(*[segment(0xE5, b"")] * 50), JPEG),
    "fill bytes": (JPEG[:2] + b"\xff" * 500 + JPEG[2:], JPEG),
    "bytes between segments": (JPEG[:20] + b"\0\0\0" + JPEG[20:], JPEG),
    "no trailer": (GIF[:-1], GIF),
    "no end of the frame": (GIF[:-2], GIF),
    "GIF, something behind": (GIF + BIG, GIF),
    "comments": (GIF[: GIF.index(b",", 108)] + b"!\xfe" + b"\1a" * 999 + b"\0" + GIF[GIF.index(b",", 108) :], GIF),
    "BMP, something behind": (BMP + BIG, BMP),
    "BMP that says a wrong file size": (BMP[:2] + b"\1\0\0\0" + BMP[6:], BMP),
    "WebP, something behind": (WEBP + BIG, WEBP),
    "WebP that says a wrong size": (WEBP[:4] + b"\xff\xff\0\0" + WEBP[8:], WEBP),
    "WebP, unknown chunk": (EXTENDED + riff(b"ABCD", b"12345"), WEBP),
    "WebP, an odd chunk before its pixels": (EXTENDED[:30] + riff(b"ABCD", b"12345") + EXTENDED[30:], WEBP),
    "WebP, EXIF cut short": (EXTENDED + b"EXIF\xff\0\0\0II*", WEBP),
    "WebP, profile that is none": (EXTENDED[:30] + riff(b"ICCP", b"none") + EXTENDED[30:], WEBP),
}


@pytest.mark.parametrize(("data", "plain"), SOUND.values(), ids=SOUND)
def test_what_a_browser_shows_is_embedded(data: bytes, plain: bytes) -> None:
    found, expected = decode(data, LIMIT), decode(plain, LIMIT)
    assert found.size == expected.size
    assert close(found, expected)


def close(found: Image.Image, expected: Image.Image) -> bool:
    return found.tobytes() == expected.tobytes() or bool(
        np.abs(np.asarray(found.convert("RGB"), int) - np.asarray(expected.convert("RGB"), int)).max() <= 2
    )


def code_of(data: bytes) -> str | None:
    try:
        decode(data, LIMIT)
    except ImageError as error:
        return error.code
    return None


def png_of(rows: bytes, interlace: int = 0, end: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", 120, 90, 8, 2, 0, 0, interlace)
    return PNG[:8] + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows) + end) + chunk(b"IEND", b"")


ROWS = b"".join(b"\0" + photo().crop((0, y, 120, y + 1)).tobytes() for y in range(90))
LOST = RESTARTS[RESTARTS.index(b"\xff\xd3") : RESTARTS.index(b"\xff\xd5")]
SCAN = JPEG.index(b"\xff\xda")


def deeper(data: bytes, share: float, tail: bytes = b"") -> bytes:
    start = data.index(b"\xff\xda") + 20
    return data[: start + int((len(data) - start) * share)].rstrip(b"\xff") + tail


CUT = {
    "PNG": PNG[:-200],
    "PNG whose stream ends early, and soundly": png_of(ROWS[: len(ROWS) // 2]),
    "PNG whose last row is missing": png_of(ROWS[:-361]),
    "interlaced PNG whose stream ends early": png_of(bytes(361 * 40), 1),
    "PNG whose pixels fail their checksum": in_png()[:60] + bytes((PNG[60] ^ 1,)) + PNG[61:],
    "JPEG": JPEG[: len(JPEG) // 2],
    "JPEG without its scan": JPEG[:SCAN] + b"\xff\xd9",
    **{f"JPEG of {share:.0%}": deeper(JPEG, share) for share in (0.1, 0.5, 0.9)},
    **{f"JPEG of {share:.0%}, ended": deeper(JPEG, share, b"\xff\xd9") for share in (0.1, 0.5, 0.9)},
    **{f"restarting JPEG of {share:.0%}, ended": deeper(RESTARTS, share, b"\xff\xd9") for share in (0.1, 0.5, 0.9)},
    **{f"progressive JPEG of {share:.0%}, ended": deeper(PROGRESSIVE, share, b"\xff\xd9") for share in (0.1, 0.5)},
    **{f"gray JPEG of {share:.0%}, ended": deeper(encoded(photo().convert("L"), "JPEG"), share, b"\xff\xd9")
       for share in (0.2, 0.8)},
    **{f"CMYK JPEG of {share:.0%}, ended": deeper(encoded(photo().convert("CMYK"), "JPEG"), share, b"\xff\xd9")
       for share in (0.2, 0.8)},
    "JPEG with bytes lost in the middle": JPEG[: SCAN + 500] + JPEG[SCAN + 1500 :],
    "restarting JPEG that lost a part": RESTARTS.replace(LOST, b"", 1),
    "GIF": GIF[: len(GIF) // 2],
    "GIF that ends early, and soundly": GIF[:-60] + b"\0;",
    "BMP": BMP[:-300],
    "WebP": WEBP[:-10],
}  # fmt: skip


@pytest.mark.parametrize("data", CUT.values(), ids=CUT)
def test_an_image_whose_pixels_are_missing_is_truncated(data: bytes) -> None:
    assert code_of(data) == "truncated_image"


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_gray_image_is_not_taken_for_missing_pixels(mode: str, progressive: bool) -> None:
    image = photo(200, 160).convert("RGB")
    image.paste((128, 128, 128), (0, 80, 200, 160))
    assert code_of(encoded(image.convert(mode), "JPEG", progressive=progressive, quality=95)) is None
    assert code_of(encoded(Image.new(mode, (50, 70), 128 if mode == "L" else (128,) * len(mode)), "JPEG")) is None


@pytest.mark.parametrize("fill", [(251, 3, 249), (4, 252, 6), (0, 0, 0), (255, 255, 255)])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_an_image_of_one_color_is_not_taken_for_missing_pixels(mode: str, fill: tuple[int, ...]) -> None:
    for kind in ("PNG", "GIF") if mode in ("1", "L", "P") else ("PNG",):
        image = Image.new("RGB", (9, 7), fill).convert(mode)
        assert close(decode(encoded(image, kind), LIMIT), image)


def brand(*names: bytes) -> bytes:
    body = names[0] + bytes(4) + b"".join(names[1:])
    return struct.pack(">I", len(body) + 8) + b"ftyp" + body + bytes(50)


OTHERS: dict[str, tuple[bytes, str]] = {
    **{f"{name!a}": (brand(name, b"mif1"), "HEIC") for name in (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis")},
    "mif1 of HEIC": (brand(b"mif1", b"miaf", b"heic"), "HEIC"), "mif1 of AVIF": (brand(b"mif1", b"avif"), "AVIF"),
    "mif1": (brand(b"mif1"), "HEIF"), "video": (brand(b"isom", b"mp41"), "ISO media file"),
    "SVG": (b"<svg xmlns='x'/>", "SVG"), "SVG, BOM": (b"\xef\xbb\xbf<svg/>", "SVG"),
    "SVG, lines": (b"\n\r\n  <svg/>", "SVG"), "SVG, DOCTYPE": (b'<!DOCTYPE svg PUBLIC "x">\n<svg/>', "SVG"),
    "SVG, comment": (b"<!-- made by x -->\n<svg/>", "SVG"), "SVG, XML": (b'<?xml version="1.0"?><svg/>', "SVG"),
    "SVG, BOM and DOCTYPE": (b"\xef\xbb\xbf\n<!DOCTYPE svg><svg/>", "SVG"),
    "SVG, UTF-16": ("\ufeff<svg/>".encode("utf-16-le"), "SVG"), "SVG, prefix": (b"<svg:svg/>", "SVG"),
    "TIFF": (b"II*\0" + bytes(40), "TIFF"), "JPEG XL": (b"\xff\x0a" + bytes(40), "JPEG XL"),
    "PPM": (b"P6 2 2 255 " + bytes(12), "PPM"), "PSD": (b"8BPS" + bytes(40), "PSD"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "name"), OTHERS.values(), ids=OTHERS)
def test_another_format_is_named(data: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=f"{name} is not supported: convert it") as caught:
        decode(data, LIMIT)
    assert caught.value.code == "unsupported_image_format"


def test_an_ordinary_jpeg_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.imaging.jpeg_pixels._is_incomplete", lambda *_: pytest.fail("decoded again"))
    for data in (JPEG, PROGRESSIVE, RESTARTS, encoded(photo(117, 93), "JPEG")):
        assert code_of(data) is None


def _cuts(data: bytes) -> list[bytes]:
    return [data[:at].rstrip(b"\xff") + tail for at in range(700, len(data) - 2, 97) for tail in (b"", b"\xff\xd9")]


@pytest.mark.parametrize(
    ("options", "most"),
    [({}, 1), ({"progressive": True}, 6), ({"restart_marker_blocks": 3}, 1), ({"subsampling": 0}, 1)],
)
def test_wherever_a_jpeg_is_cut_it_is_refused_or_hardly_changed(options: dict[str, int], most: float) -> None:
    data = encoded(photo(), "JPEG", **options)
    whole = np.asarray(decode(data, LIMIT), int)
    for cut in _cuts(data):
        if code_of(cut) is None:  # of noise and 255: a progressive one may lack the last bit of its last scan
            assert np.abs(np.asarray(decode(cut, LIMIT), int) - whole).mean() < most
