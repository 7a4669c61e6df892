"""Large JPEGs are decoded no larger than a model needs them, where it allows that: the same image, within limits."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from handler.errors import ImageError
from handler.imaging.decode import decode, decode_for, read_header
from handler.imaging.preprocess import Preprocess
from handler.imaging.reduced import Decoded, scale_for
from handler.settings import Settings
from tests.unit import fake_bundle
from tests.unit.fake_bundle import FakeFunction, as_base64, encoded

ROOT = Path(__file__).parents[3]
LIMIT = Settings().max_image_pixels
MODES = ("shortest", "longest", "squash")


def preprocess(side: int | tuple[int, int] = 224, mode: str = "shortest") -> Preprocess:
    config = {"mean": [0] * 3, "std": [1] * 3, "interpolation": "bicubic", "resize_mode": mode, "fill_color": 0}
    return Preprocess(config, (side, side) if isinstance(side, int) else side)


def scene(width: int, height: int) -> Image.Image:
    """Colors that tell where a pixel is, and edges."""
    across, down = np.linspace(0, 255, width), np.linspace(0, 255, height)[:, None]
    rings = 127 + 100 * np.sin(np.hypot(across - 90, down - 150) / 9)
    bands = np.broadcast_arrays(across + 0 * down, down + 0 * across, rings)
    return Image.fromarray(np.stack(bands, -1).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "side", "mode", "scale"),
    [
        ((4000, 3000), 224, "shortest", 4),  # 1000x750 is over 2 x 224; 500x375 is not
        ((3000, 4000), 224, "shortest", 4),
        ((4000, 3000), 224, "squash", 4),
        ((4000, 3000), 336, "shortest", 4),
        ((4000, 3000), 384, "shortest", 2),
        ((8000, 6000), 224, "shortest", 8),
        ((1920, 1080), 224, "shortest", 2),
        ((1920, 1080), 256, "squash", 2),
        ((1920, 1080), 384, "squash", 1),
        ((1920, 1080), 64, "squash", 2),  # not less than 448 pixels, however small the model
        ((895, 895), 224, "squash", 1),
        ((896, 896), 224, "squash", 2),
        ((640, 480), 224, "shortest", 1),
        ((8000, 400), 224, "longest", 1),
    ],
)
def test_the_scale_leaves_twice_of_what_the_model_is_given(
    size: tuple[int, int], side: int, mode: str, scale: int
) -> None:
    assert scale_for(*size, preprocess(side, mode).fitted) == scale
    assert scale_for(*size, None) == 1


@pytest.mark.parametrize("target", [(224, 336), (336, 224)])
def test_it_leaves_enough_however_exif_turns_the_image(target: tuple[int, int]) -> None:
    fit = preprocess(target).fitted
    for size in ((4000, 3000), (2700, 2690), (1345, 3001)):
        scale = scale_for(*size, fit)
        assert scale > 1
        for width, height in (size, size[::-1]):
            wanted = fit(width, height)
            assert (width / scale >= 2 * wanted[0], height / scale >= 2 * wanted[1]) == (True, True)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1823, 1371), (907, 2003)])
def test_the_image_is_where_it_is_in_the_whole_one(size: tuple[int, int], mode: str, orientation: int) -> None:
    """Shifted by a tenth of an output pixel, its ramps would be off by more than this."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(scene(*size), "JPEG", quality=92, subsampling=0, exif=exif)
    ours = preprocess(96, mode)
    decoded = decode_for(data, LIMIT, True, ours.fitted)
    assert decoded.reduced

    found = ours.of(decoded)

    expected = ours(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    difference = (found - expected) * 255
    assert np.abs(difference[:2].mean(axis=(1, 2))).max() < 0.15
    assert np.abs(difference).mean() < 1
    assert np.abs(difference[:, 1:-1, 1:-1]).max() < 12


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_a_small_image_and_another_format_are_as_open_clip_has_them_bit_by_bit(kind: str, mode: str) -> None:
    image = scene(640, 480) if kind == "JPEG" else scene(1300, 1000)
    data, ours = encoded(image, kind), preprocess(224, mode)
    np.testing.assert_array_equal(ours.of(decode_for(data, LIMIT, False, ours.fitted)), ours(decode(data, LIMIT)))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_gray_and_cmyk_are_reduced_too(mode: str) -> None:
    data, ours = encoded(scene(1400, 1000).convert(mode), "JPEG", quality=95), preprocess()
    decoded = decode_for(data, LIMIT, False, ours.fitted)
    assert (decoded.image.mode, decoded.image.size) == (mode, (700, 500))
    assert np.abs(ours.of(decoded) - ours(Image.open(io.BytesIO(data)))).mean() * 255 < 1


@pytest.mark.parametrize(
    ("setting", "built", "size"),
    [
        ({}, "full", 1000),
        ({}, "reduced", 500),
        ({"jpeg_decoding": "full"}, "reduced", 1000),
        ({"jpeg_decoding": "reduced"}, "full", 500),
    ],
)
def test_the_setting_wins_over_what_the_manifest_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: dict[str, Any], built: str, size: int
) -> None:
    plain = fake_bundle.model_json
    monkeypatch.setattr(fake_bundle, "model_json", lambda model_id: {**plain(model_id), "jpeg_decoding": built})
    function, sizes = FakeFunction(tmp_path / "bundle", **setting), list[int]()
    of = Preprocess.of

    def spy(self: Preprocess, one: Decoded, out: Any) -> Any:
        sizes.append(one.image.width)
        return of(self, one, out)

    monkeypatch.setattr(Preprocess, "of", spy)
    data = encoded(scene(1000, 1000), "JPEG")
    for count in (1, 3):
        assert function.post({"input": [{"image": as_base64(data)}] * count})[0] == 200
    assert sizes == [size] * 4


FLAT_48 = encoded(Image.new("RGB", (8000, 6000), (9, 99, 200)), "JPEG")


def test_48_megapixels_are_accepted_where_they_are_not_all_decoded() -> None:
    assert decode_for(FLAT_48, LIMIT, False, preprocess().fitted).image.size == (1000, 750)
    with pytest.raises(ImageError, match=r"^8,000x6,000 pixels: at most 40,000,000"):
        decode(FLAT_48, LIMIT)


def test_a_progressive_jpeg_is_judged_by_its_coefficients() -> None:
    """Two bytes for each sample: 48 megapixels are held in 144 MB with half the colors each way, in 288 MB without."""
    fit = preprocess().fitted
    flat = Image.new("L", (8000, 6000), 99)
    assert read_header(encoded(flat, "JPEG", progressive=True), LIMIT, fit).scale == 8
    colors = bytearray(encoded(Image.new("RGB", (8, 8)), "JPEG", progressive=True, subsampling=0))
    at = colors.index(b"\xff\xc2") + 5
    colors[at : at + 4] = (6000).to_bytes(2, "big") + (8000).to_bytes(2, "big")
    with pytest.raises(
        ImageError,
        match=r"take the memory of 72,750,000 at a reduced scale \(a baseline JPEG of one scan takes the least",
    ) as caught:
        read_header(bytes(colors), LIMIT, fit)
    assert caught.value.code == "image_too_large"
    half = bytes(colors).replace(colors[at : at + 4], (4000).to_bytes(2, "big") + (8000).to_bytes(2, "big"))
    assert read_header(half, LIMIT, fit).scale == 8  # 32 megapixels: as before, whatever its coefficients


def test_a_request_counts_what_is_decoded(tmp_path: Path) -> None:
    many = [{"image": as_base64(encoded(Image.new("RGB", (2000, 1500)), "JPEG", quality=50))}] * 8
    for decoding, status in (("full", 413), ("reduced", 200)):
        function = FakeFunction(tmp_path / decoding, jpeg_decoding=decoding, max_request_pixels=20_000_000)
        assert function.post({"input": many})[0] == status


def test_a_large_photograph_takes_little_memory() -> None:
    program = """
import resource, sys
from tests.unit.handler.test_reduced import FLAT_48, LIMIT, preprocess, decode_for, scene, encoded
ours = preprocess()
ours.of(decode_for(encoded(scene(1000, 1000), "JPEG"), LIMIT, False, ours.fitted))
open("/proc/self/clear_refs", "w").write("5")
peak = lambda: int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
before = peak()
ours.of(decode_for(FLAT_48, LIMIT, False, ours.fitted))
print(peak() - before)
"""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("Linux alone tells the peak again")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000, f"{int(done.stdout) / 1000:.0f} MB; all pixels take 192"


def code_of(data: bytes, ours: Preprocess) -> str | None:
    try:
        assert decode_for(data, LIMIT, False, ours.fitted).reduced
    except ImageError as error:
        return error.code
    return None


PHOTO: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 7},
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
}


@pytest.mark.parametrize("name", PHOTO)
@pytest.mark.parametrize("times", [1, 2])
def test_wherever_a_large_jpeg_is_cut_it_is_refused_or_hardly_changed(name: str, times: int) -> None:
    ours = preprocess(64)
    data = encoded(scene(910 * times, 900 * times), "JPEG", quality=60, **PHOTO[name])
    whole = ours.of(decode_for(data, LIMIT, False, ours.fitted))
    for at in range(2000, len(data) - 2, len(data) // 7):
        for end in (b"", b"\xff\xd9"):
            cut = data[:at].rstrip(b"\xff") + end
            if code_of(cut, ours) is None:  # a progressive one may lack the last bits of its last scan
                found = ours.of(decode_for(cut, LIMIT, False, ours.fitted))
                assert np.abs(found - whole).mean() * 255 < 6
    assert code_of(data, ours) is None


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_lost_interval_in_the_middle_is_refused(times: int) -> None:
    data = encoded(scene(912 * times, 900 * times), "JPEG", restart_marker_blocks=19)
    first = data.index(b"\xff\xd3")
    second = data.index(b"\xff\xd4", first)
    assert code_of(data[: first + 2] + data[second:], preprocess(64)) == "truncated_image"


def test_a_gray_photograph_is_sound_and_an_ordinary_one_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gray = Image.new("RGB", (1800, 1800), (128, 128, 128))
    gray.paste(scene(900, 900), (300, 300))
    assert code_of(encoded(gray, "JPEG"), preprocess(64)) is None
    monkeypatch.setattr("handler.imaging.jpeg_pixels._is_incomplete", lambda *_: pytest.fail("decoded again"))
    for options in PHOTO.values():
        assert code_of(encoded(scene(1823, 1811), "JPEG", **options), preprocess(64)) is None
