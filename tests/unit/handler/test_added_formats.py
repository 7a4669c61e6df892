"""AVIF and HEIC, where a bundle's image_formats names them: the pixels of Pillow and pillow-heif, and nothing else."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from handler.errors import ImageError
from handler.imaging import heif_pixels
from handler.imaging.decode import decode, read_header
from tests.unit.fake_bundle import encoded
from tests.unit.heif_files import auxiliary, box, coded, file, full, grid, long_file, opened

ROOT = Path(__file__).parents[3]
BOTH = ("avif", "heic")
LIMIT = 1_000_000
ORIENTATION = 0x0112
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def sample_image(width: int = 64, height: int = 48, mode: str = "RGB", seed: int = 1) -> Image.Image:
    """Soft colors, no two sides alike."""
    bands = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, bands), np.uint8)
    return Image.fromarray(small.squeeze(), mode).resize((width, height), Image.Resampling.BICUBIC)


def same(found: Image.Image, expected: Image.Image) -> bool:
    return found.mode == expected.mode and np.array_equal(np.asarray(found), np.asarray(expected))


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif.tobytes()


@pytest.mark.parametrize(
    ("kind", "mode", "size", "options"),
    [
        ("AVIF", "RGB", (64, 48), {}),
        ("AVIF", "RGB", (63, 47), {"subsampling": "4:4:4", "range": "limited"}),
        ("AVIF", "RGB", (301, 203), {"tile_rows": 1, "tile_cols": 1}),
        ("AVIF", "L", (64, 48), {}),
        ("AVIF", "RGB", (64, 48), {"save_all": True, "append_images": [sample_image(seed=2)]}),
        ("HEIF", "RGB", (64, 48), {}),
        ("HEIF", "RGB", (63, 47), {"chroma": 444}),
        ("HEIF", "RGB", (300, 200), {"tile_size": 64}),
        ("HEIF", "L", (64, 48), {}),
        ("HEIF", "RGB", (64, 48), {"save_all": True, "append_images": [sample_image(seed=2)], "primary_index": 1}),
        ("HEIF", "RGB", (64, 48), {"exif": turned(6)}),
        ("HEIF", "RGB", (300, 200), {"tile_size": 64, "thumbnails": [128], "icc_profile": SRGB, "exif": turned(8)}),
        ("AVIF", "RGB", (64, 48), {"icc_profile": SRGB, "exif": turned(3), "xmp": b"<x:xmpmeta/>"}),
        ("HEIF", "L", (64, 48), {"icc_profile": SRGB}),
        ("HEIF", "RGB", (64, 48), {"matrix_coefficients": 0, "chroma": 444}),
    ],
)
def test_the_pixels_are_the_librarys(kind: str, mode: str, size: tuple[int, int], options: dict[str, Any]) -> None:
    data = encoded(sample_image(*size, mode=mode), kind, **options)
    assert same(decode(data, LIMIT, added=BOTH), opened(data))


@pytest.mark.parametrize("depth", [10, 12])
def test_more_than_8_bits_a_sample_become_the_librarys_8(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.asarray(sample_image(), np.uint16) * 257
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", depth == 12)
    out = io.BytesIO()
    pillow_heif.encode("RGB;16", (64, 48), samples.tobytes(), out)
    data = out.getvalue()
    assert same(decode(data, LIMIT, added=BOTH), opened(data))
    assert (
        read_header(data, LIMIT, added=BOTH).work > read_header(encoded(sample_image(), "HEIF"), LIMIT, added=BOTH).work
    )


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_transparency_goes_on_white(kind: str) -> None:
    data = encoded(sample_image(mode="RGBA"), kind)
    library = opened(data)
    assert library.mode == "RGBA"
    white = Image.new("RGB", library.size, (255, 255, 255))
    white.paste(library.convert("RGB"), (0, 0), library.getchannel("A"))
    assert same(decode(data, LIMIT, added=BOTH), white)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_a_grid_is_put_together_and_cut_as_the_library_does_it(kind: str) -> None:
    tiles = [coded(sample_image(64, 64, seed=seed), kind) for seed in range(6)]
    brand = b"avif" if kind == "AVIF" else b"heic"
    data = file([grid(2, 3, 180, 120, range(2, 8), *tiles[0].properties[1:]), *tiles], brand)
    assert opened(data).size == (180, 120)
    assert same(decode(data, LIMIT, added=BOTH), opened(data))


@pytest.mark.parametrize("to_end", [False, True])
@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_the_longest_forms_of_a_container_are_read_as_its_shortest(kind: str, to_end: bool) -> None:
    tiles = [coded(sample_image(64, 64, seed=seed), kind) for seed in range(2)]
    items, brand = (
        [grid(1, 2, 128, 64, [2, 3], *tiles[0].properties[1:]), *tiles],
        b"avif" if kind == "AVIF" else b"heic",
    )
    assert same(decode(long_file(items, brand, to_end), LIMIT, added=BOTH), opened(file(items, brand)))
    with pytest.raises(ImageError, match="no bytes"):
        decode(long_file(items, brand, to_end, source=1), LIMIT, added=BOTH)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_where_that_is_asked_for(orientation: int) -> None:
    data = encoded(sample_image(), "AVIF", exif=turned(orientation))
    assert same(decode(data, LIMIT, added=BOTH), opened(data))
    assert same(decode(data, LIMIT, upright=True, added=BOTH), ImageOps.exif_transpose(opened(data)))


@pytest.mark.parametrize(
    "turn", [(box(b"irot", b"\1"),), (box(b"irot", b"\2"), box(b"imir", b"\1")), (box(b"imir", b"\0"),)]
)
def test_a_heic_comes_turned_as_pillow_heif_gives_it(turn: tuple[bytes, ...]) -> None:
    item = coded(sample_image(128, 64), "HEIF")
    item.properties = [*item.properties, *turn]
    data = file([item], b"heic")
    assert same(decode(data, LIMIT, added=BOTH), opened(data))
    assert same(decode(data, LIMIT, upright=True, added=BOTH), opened(data))
    header = read_header(data, LIMIT, added=BOTH)
    assert (header.width, header.height) == opened(data).size


def test_a_heic_is_cropped_as_it_says() -> None:
    item = coded(sample_image(128, 64), "HEIF")
    item.properties = [*item.properties, box(b"clap", struct.pack(">IIIIiIiI", 60, 1, 50, 1, 0, 1, 0, 1))]
    data = file([item], b"heic")
    assert opened(data).size == (60, 50)
    assert same(decode(data, LIMIT, added=BOTH), opened(data))
    header = read_header(data, LIMIT, added=BOTH)
    assert (header.width, header.height) == (60, 50)


def test_thumbnails_metadata_and_further_images_reach_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    real = heif_pixels.load

    def spy(container: Any) -> Any:
        seen.append(b"".join(container.parts))
        return real(container)

    monkeypatch.setattr(heif_pixels, "load", spy)
    first, other = coded(sample_image()), coded(sample_image(seed=9))
    other.references = {b"thmb": [1]}
    icc = box(b"colr", b"prof", bytes(16) + b"RGB " + bytes(16) + b"acsp" + b"secret" * 9)
    first.properties = [*first.properties, icc]
    data = (
        file([first, other, *[type(first)(b"Exif", bytes(4) + turned(1)[6:] + b"secret", [], {b"cdsc": [1]})]])
        + b"secret"
    )
    assert same(decode(data, LIMIT, added=BOTH), opened(data))
    assert len(seen) == 1
    assert b"secret" not in seen[0]
    assert other.data not in seen[0]


def test_transparency_of_each_tile_counts() -> None:
    tiles = [coded(sample_image(64, 64, seed=seed)) for seed in range(2)]
    alphas = [coded(sample_image(64, 64, "L", seed)) for seed in (7, 8)]
    for place, alpha in enumerate(alphas):
        alpha.properties = [*alpha.properties, auxiliary()]
        alpha.references = {b"auxl": [place + 2]}
    data = file([grid(1, 2, 128, 64, (2, 3), *tiles[0].properties[1:]), *tiles, *alphas])
    library = opened(data)
    assert library.mode == "RGBA"
    white = Image.new("RGB", library.size, (255, 255, 255))
    white.paste(library.convert("RGB"), (0, 0), library.getchannel("A"))
    assert same(decode(data, LIMIT, added=BOTH), white)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_transparency_of_an_image_that_is_left_out_is_left_out(kind: str) -> None:
    first, other = (coded(sample_image(64, 64, seed=seed), kind) for seed in (1, 9))
    alpha = coded(sample_image(64, 64, mode="L"), kind)
    alpha.properties, alpha.references = [*alpha.properties, auxiliary()], {b"auxl": [2]}
    data = file([first, other, alpha], b"avif" if kind == "AVIF" else b"heic")
    assert same(decode(data, LIMIT, added=BOTH), opened(data))


@pytest.mark.parametrize("name", [b"abcd", b"irot"])
def test_what_is_essential_and_unknown_is_refused(name: bytes) -> None:
    item = coded(sample_image())
    item.properties = [*item.properties, box(name, b"\0")]
    item.essential = True
    if name == b"irot":
        assert decode(file([item]), LIMIT, added=BOTH).size == (64, 48)
        return
    with pytest.raises(ImageError, match="b'abcd'") as refused:
        decode(file([item]), LIMIT, added=BOTH)
    assert refused.value.code == "unsupported_image_format"


@pytest.mark.parametrize("kind", [b"prof", b"rICC"])
def test_a_profile_of_another_space_is_refused_as_in_other_formats(kind: bytes) -> None:
    item = coded(sample_image())
    item.properties = [*item.properties, box(b"colr", kind, bytes(16) + b"Lab " + bytes(16) + b"acsp" + bytes(90))]
    with pytest.raises(ImageError, match="Lab"):
        decode(file([item]), LIMIT, added=BOTH)


def test_a_sequence_without_a_still_image_is_refused() -> None:
    data = box(b"ftyp", b"avis", bytes(4), b"avis") + full(b"moov", bytes(90))
    with pytest.raises(ImageError, match="sequence") as refused:
        decode(data, LIMIT, added=BOTH)
    assert refused.value.code == "unsupported_image_format"


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_zeros_in_the_place_of_pixels_are_no_pixels(kind: str, share: float) -> None:
    """As a download leaves them that reserved its file first. A flat image of either has no such run of zeros."""
    data = encoded(Image.effect_noise((400, 300), 60).convert("RGB"), kind)
    cut = int(len(data) * share)
    with pytest.raises(ImageError, match="zeros stand in the place of pixels") as caught:
        decode(data[:cut] + bytes(len(data) - cut), LIMIT, added=BOTH)
    assert caught.value.code == "truncated_image"
    for color in ("white", "black"):
        flat = encoded(Image.new("RGB", (900, 900), color), kind)
        assert same(decode(flat, LIMIT, added=BOTH), opened(flat))
