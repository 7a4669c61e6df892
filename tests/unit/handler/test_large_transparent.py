"""A large transparent image is laid on its background in strips: as Pillow does it in one piece."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from handler.imaging.decode import decode
from handler.settings import Settings
from tests.unit.fake_bundle import encoded

LIMIT = Settings().max_image_pixels
SIZE = (1300, 1000)  # more than a strip's million of pixels
FRAME, OFFSET = (400, 600), (100, 300)  # of a GIF: it begins in the first strip, and ends in the second


def scene(size: tuple[int, int], mode: str) -> Image.Image:
    """Every row and column differs from the others, in its colors and in what is seen of them."""
    across, down = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    bands = (across * 200 // size[0], down * 200 // size[1], (across + down) % 200, (7 * down + across) % 256)
    return Image.fromarray(np.stack(bands, -1).astype(np.uint8), "RGBA").convert(mode)


def on_white(image: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", image.size, "white")
    canvas.paste(image.convert("RGB"), (0, 0), image.convert("RGBA").getchannel("A"))
    return canvas


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_every_row_is_where_it_was(kind: str, mode: str) -> None:
    options = {"lossless": True, "exact": True, "method": 0} if kind == "WEBP" else {"compress_level": 1}
    image = scene(SIZE, mode)
    np.testing.assert_array_equal(decode(encoded(image, kind, **options), LIMIT), on_white(image))


def test_a_gif_s_frame_is_where_it_was() -> None:
    frame = scene(FRAME, "RGB").quantize(16, dither=Image.Dither.NONE)
    data = bytearray(encoded(frame, "GIF"))
    data[6:10] = struct.pack("<HH", *SIZE)
    place = data.index(b"," + struct.pack("<HHHH", 0, 0, *FRAME))
    data[place + 1 : place + 5] = struct.pack("<HH", *OFFSET)

    expected = Image.new("RGB", SIZE, "white")
    expected.paste(Image.open(io.BytesIO(encoded(frame, "GIF"))).convert("RGB"), OFFSET)
    np.testing.assert_array_equal(decode(bytes(data), LIMIT).convert("RGB"), expected)


def test_lossy_colors_keep_their_alpha_also_in_the_first_frame_of_an_animation() -> None:
    """Their chunks follow each other; one of an odd length has a byte of padding."""
    lengths = set()
    for side in range(40, 60):
        frames = [scene((side, side), "RGBA"), scene((side, side), "RGBA").rotate(90)]
        data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], quality=60)
        at = data.index(b"ALPH")
        lengths.add(int.from_bytes(data[at + 4 : at + 8], "little") % 2)
        for one in (data, encoded(frames[0], "WEBP", quality=60)):
            np.testing.assert_array_equal(decode(one, LIMIT), on_white(Image.open(io.BytesIO(one))))
    assert lengths == {0, 1}
