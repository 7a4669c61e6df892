"""What each mode and marker of docs/api.md is embedded as: pixels that are computed by hand, or by Pillow."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from handler.errors import ImageError
from handler.imaging.decode import decode
from tests.unit.fake_bundle import encoded

LIMIT = 1_000_000
WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (255, 0, 0)
Array = NDArray[Any]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(depth: int, color: int, rows: list[bytes], *extra: bytes) -> bytes:
    width = len(rows[0]) * 8 // depth // {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), depth, color, 0, 0, 0))
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"".join([b"\x89PNG\r\n\x1a\n", head, *extra, chunk(b"IDAT", pixels), chunk(b"IEND", b"")])


def seen(data: bytes) -> list[Any]:
    """The pixels that open_clip's transform makes RGB of."""
    image = decode(data, LIMIT).convert("RGB")
    return [image.getpixel((x, y)) for y in range(image.height) for x in range(image.width)]


def gray(*values: int) -> list[tuple[int, int, int]]:
    return [(value,) * 3 for value in values]


BITS = gray(255, 0, 255, 0, 0, 255, 0, 255)
PLTE = chunk(b"PLTE", bytes((255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9)))
MODES = {
    "1 bit": (png(1, 0, [b"\xa5"]), BITS),
    "1 bit, white is transparent": (png(1, 0, [b"\xa5"], chunk(b"tRNS", b"\0\1")), BITS),
    "2 bits": (png(2, 0, [b"\x1b"]), gray(0, 85, 170, 255)),
    "2 bits, a third is transparent": (png(2, 0, [b"\x1b"], chunk(b"tRNS", b"\0\1")), gray(0, 255, 170, 255)),
    "4 bits": (png(4, 0, [b"\x0f\x5a"]), gray(0, 255, 85, 170)),
    "4 bits, a third is transparent": (png(4, 0, [b"\x0f\x5a"], chunk(b"tRNS", b"\0\5")), gray(0, 255, 255, 170)),
    "8 bits": (png(8, 0, [b"\0\x7f\xff"]), gray(0, 127, 255)),
    "8 bits, one is transparent": (png(8, 0, [b"\0\x7f\xff"], chunk(b"tRNS", b"\0\x7f")), gray(0, 255, 255)),
    "16 bits": (png(16, 0, [b"\0\xff\x40\0\x80\x80\xff\xff"]), gray(0, 64, 128, 255)),
    "16 bits, one is transparent": (
        png(16, 0, [b"\x10\0\x40\0\x40\1\x80\x80"], chunk(b"tRNS", b"\x40\0")), gray(16, 255, 64, 128)
    ),
    "gray and alpha": (png(8, 4, [b"\0\xff\0\0\0\x80\x50\xff"]), gray(0, 255, 127, 80)),
    "16 bits gray and alpha": (png(16, 4, [b"\0\0\xff\xff\0\0\0\0\x50\x12\xff\xff"]), gray(0, 255, 80)),
    "RGB": (png(8, 2, [bytes((1, 2, 3, 200, 100, 50))]), [(1, 2, 3), (200, 100, 50)]),
    "RGB, one is transparent": (
        png(8, 2, [bytes((1, 2, 3, 200, 100, 50))], chunk(b"tRNS", b"\0\1\0\2\0\3")), [WHITE, (200, 100, 50)]
    ),
    "16 bits RGB": (png(16, 2, [b"\x01\xff\x80\x00\xff\xff"]), [(1, 128, 255)]),
    "RGBA": (png(8, 6, [bytes((255, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 51))]), [RED, WHITE, (204, 204, 204)]),
    "RGBA, opaque": (png(8, 6, [bytes((255, 0, 0, 255))]), [RED]),
    "16 bits RGBA": (png(16, 6, [b"\xff\xff\0\0\0\0\xff\xff" + bytes(8)]), [RED, WHITE]),
    "palette": (png(8, 3, [b"\0\1\2"], PLTE), [RED, (0, 255, 0), (0, 0, 255)]),
    "palette, 1 bit": (png(1, 3, [b"\x40"], PLTE), [RED, (0, 255, 0), *[RED] * 6]),
    "palette, 2 bits": (png(2, 3, [b"\x1b"], PLTE), [RED, (0, 255, 0), (0, 0, 255), (9, 9, 9)]),
    "palette, one index is transparent": (
        png(8, 3, [b"\0\1\2"], PLTE, chunk(b"tRNS", b"\xff\0")), [RED, WHITE, (0, 0, 255)]
    ),
    "palette with alpha": (
        png(8, 3, [b"\0\1\2"], PLTE, chunk(b"tRNS", b"\0\x33\xff")), [WHITE, (204, 255, 204), (0, 0, 255)]
    ),
    "white on nothing is put on black": (png(8, 6, [bytes((255, 255, 255, 255, 0, 0, 0, 0))]), [WHITE, BLACK]),
    "black on nothing is put on white": (png(8, 6, [bytes((0, 0, 0, 255, 0, 0, 0, 0))]), [BLACK, WHITE]),
    "nothing at all": (png(8, 6, [bytes((7, 8, 9, 0))]), [WHITE]),
    "gamma": (png(8, 2, [bytes((1, 2, 3))], chunk(b"gAMA", struct.pack(">I", 100_000))), [(1, 2, 3)]),
    "sRGB": (png(8, 2, [bytes((1, 2, 3))], chunk(b"sRGB", b"\0")), [(1, 2, 3)]),
}  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), MODES.values(), ids=MODES)
def test_a_png_is_embedded_as_it_is_seen(data: bytes, expected: list[Any]) -> None:
    assert seen(data) == expected


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_two_black_drawings_on_nothing_are_two_images(kind: str) -> None:
    drawings = []
    for box in ((0, 0, 5, 5), (5, 5, 10, 10)):
        image = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
        image.paste((0, 0, 0, 255), box)
        drawings.append(decode(encoded(image, kind, lossless=True), LIMIT).convert("RGB").tobytes())
    assert drawings[0] != drawings[1]


def test_hidden_colors_do_not_count() -> None:
    hidden = [Image.new("RGBA", (4, 4), (*color, 0)) for color in (RED, BLACK)]
    for image in hidden:
        image.putpixel((1, 1), (10, 20, 30, 255))
    first, second = (decode(encoded(image, "PNG"), LIMIT) for image in hidden)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (png(16, 0, [b"\0\0\0\x50\0\xff"]), "from 0 to 255"),
        (png(16, 2, [bytes(6)], chunk(b"tRNS", bytes(6))), "16 bits with a transparent color"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", bytes(4)) + png(8, 0, [b"\0"])[8:], "optimized for iOS"),
    ],
)
def test_what_cannot_be_shown_truly_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        decode(data, LIMIT)
    assert caught.value.code == "unsupported_image_format"


def photo(mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[0:40, 0:56]
    return Image.fromarray(np.stack([x * 4, y * 6, 255 - x * 4], -1).astype(np.uint8)).convert(mode)


def close(found: Image.Image, expected: Image.Image) -> bool:
    difference = np.asarray(found.convert("RGB"), int) - np.asarray(expected.convert("RGB"), int)
    return float(np.abs(difference).max()) <= 16


def without_adobe(data: bytes) -> bytes:
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def test_a_cmyk_jpeg_is_as_adobe_writes_it_with_and_without_its_marker() -> None:
    data = encoded(photo("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    for one in (data, without_adobe(data)):  # browsers take both as inverted, and so does Pillow
        assert close(decode(one, LIMIT), photo("CMYK"))


def test_a_ycck_jpeg_is_what_pillow_opens() -> None:
    data = bytearray(encoded(photo("CMYK"), "JPEG", quality=95))
    data[data.index(b"Adobe") + 11] = 2  # the transform: YCCK
    found = decode(bytes(data), LIMIT)
    assert found.tobytes() == Image.open(io.BytesIO(bytes(data))).tobytes()
    assert found.tobytes() != decode(encoded(photo("CMYK"), "JPEG", quality=95), LIMIT).tobytes()


def test_adobe_s_marker_decides_whether_three_components_are_rgb() -> None:
    data = encoded(photo(), "JPEG", quality=95, keep_rgb=True)
    assert close(decode(data, LIMIT), photo())


def lab_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_profiles_of_colors_are_left_unapplied_and_others_refused(kind: str) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = decode(encoded(photo(), kind), LIMIT)
    for space in (b"RGB ", b"GRAY", b"CMYK"):
        with_profile = encoded(photo(), kind, icc_profile=srgb[:16] + space + srgb[20:])
        assert decode(with_profile, LIMIT).tobytes() == plain.tobytes()
    assert decode(encoded(photo(), kind, icc_profile=b"no profile"), LIMIT).tobytes() == plain.tobytes()
    with pytest.raises(ImageError, match="color space 'Lab'") as caught:
        decode(encoded(photo(), kind, icc_profile=lab_profile()), LIMIT)
    assert caught.value.code == "unsupported_image_format"


@pytest.mark.parametrize(("at", "value"), [(1, 0xC3), (1, 0xC5), (1, 0xC9), (1, 0xCA), (4, 12), (9, 2)])
def test_a_jpeg_that_is_none_of_a_browser_s_is_refused(at: int, value: int) -> None:
    data = bytearray(encoded(photo(), "JPEG"))
    data[data.index(b"\xff\xc0") + at] = value  # lossless, hierarchical, arithmetic; 12 bits; two components
    with pytest.raises(ImageError) as caught:
        decode(bytes(data), LIMIT)
    assert caught.value.code == "unsupported_image_format"


def gif(screen: tuple[int, int], box: tuple[int, int, int, int], transparent: int | None = None) -> bytes:
    """A frame of color 1 (green), of a table of red, green, blue and gray."""
    frame = Image.new("P", box[2:], 1)
    frame.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    frame.putpixel((0, 0), 2)
    data = encoded(frame, "GIF", optimize=False)
    at = data.index(b",", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    control = b"" if transparent is None else b"!\xf9\4\1\0\0" + bytes((transparent, 0))
    head = data[:6] + struct.pack("<HH", *screen) + data[10:at]
    return head + control + b"," + struct.pack("<HHHH", *box) + data[at + 9 :]


def test_a_gif_s_transparent_index_and_uncovered_screen_are_white() -> None:
    green, blue = (0, 255, 0), (0, 0, 255)
    assert seen(gif((2, 1), (0, 0, 2, 1))) == [blue, green]
    assert seen(gif((2, 1), (0, 0, 2, 1), 1)) == [blue, WHITE]
    assert seen(gif((4, 1), (1, 0, 2, 1))) == [WHITE, blue, green, WHITE]
    assert seen(gif((4, 1), (1, 0, 2, 1), 2)) == [WHITE, WHITE, green, WHITE]


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})])
def test_of_an_animation_the_first_frame_is_embedded(kind: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (6, 6), color) for color in (RED, (0, 0, 255), (0, 255, 0))]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert seen(data) == [RED] * 36


def test_the_uncovered_canvas_of_an_animated_webp_is_white() -> None:
    frames = [Image.new("RGBA", (6, 6), (0, 0, 0, 0)), Image.new("RGBA", (6, 6), (0, 0, 255, 255))]
    frames[0].paste((255, 0, 0, 255), (2, 2, 4, 4))
    found = decode(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True), LIMIT)
    assert (found.getpixel((0, 0)), found.getpixel((3, 3))) == (WHITE, RED)


def bmp(pixels: bytes, masks: tuple[int, ...] = (0xFF0000, 0xFF00, 0xFF, 0xFF000000), bits: int = 32) -> bytes:
    """A BMP with a V4 header, so many bits a pixel in bit fields, one row."""
    size = 8 * len(pixels) // bits
    head = struct.pack("<IiiHHIIiiII", 108, size, 1, 1, bits, 3, len(pixels), 0, 0, 0, 0) + struct.pack("<4I", *masks)
    head += bytes(108 - len(head))
    return b"BM" + struct.pack("<IHHI", 14 + 108 + len(pixels), 0, 0, 122) + head + pixels


def test_a_bmp_s_alpha_channel_counts_unless_nobody_filled_it() -> None:
    assert seen(bmp(b"\0\0\xff\xff\0\0\0\0")) == [RED, WHITE]
    assert seen(bmp(b"\0\0\xff\0\0\0\0\0")) == [RED, BLACK]


@pytest.mark.parametrize(
    "data",
    [
        bmp(bytes(4), (0x3FF00000, 0xFFC00, 0x3FF, 0)),
        bmp(bytes(4))[:30] + b"\4\0\0\0",
        bmp(bytes(4), (0x7C00, 0x3E0, 0x1F, 0x8000), 16),  # Pillow drops that alpha
    ],
)
def test_a_bmp_of_a_kind_that_is_not_read_is_named(data: bytes) -> None:
    with pytest.raises(ImageError, match="BMP") as caught:
        decode(data + bytes(200), LIMIT)
    assert caught.value.code == "unsupported_image_format"
