"""AVIF and HEIC that are made to cost time or memory, or to lie: refused by their headers, before a decoder runs."""

import io
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from handler.errors import STATUS, ImageError
from handler.imaging import heif_pixels
from handler.imaging.decode import decode, read_header
from tests.unit.handler.test_added_formats import BOTH, sample_image
from tests.unit.heif_files import Item, auxiliary, box, coded, file, full, grid, size
from tests.unit.hostile_heif import ALPHA, FILES, HEVC, MEANING, PROPERTIES, SMALL, frame_of, hevc_of

ROOT = Path(__file__).parents[3]
LIMIT = 40_000_000
SECONDS = 5  # of CPU, at most, on a slow machine: most take a few milliseconds, the 1,000 tiles 0.2 seconds


def outcome(data: bytes) -> str:
    try:
        decode(data, LIMIT, added=BOTH)
    except ImageError as error:
        return error.code if STATUS[error.code] < 500 and len(error.message) < 300 else repr(error)
    return "embedded"


@pytest.mark.parametrize("name", FILES)
def test_what_lies_or_costs_is_refused_by_its_headers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, expected = FILES[name]
    data = make()
    decoded: list[object] = []
    real = heif_pixels.load

    def counted(container: Any) -> Any:
        decoded.append(container)
        return real(container)

    monkeypatch.setattr(heif_pixels, "load", counted)
    start = time.process_time()
    found = outcome(data)
    assert found in [code for one in expected.split("|") for code in MEANING[one]], found
    assert time.process_time() - start < SECONDS
    assert found in ("embedded", "truncated_image") or not decoded


def test_memory_is_what_the_pixels_take() -> None:
    """The largest AVIF and HEIC that are decoded, in a process of their own."""
    program = r"""
import re, sys
from handler.imaging.decode import decode, read_header
data = sys.stdin.buffer.read()
header = read_header(data, 40_000_000, None, ("avif", "heic"))
def peak():
    return int(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1]) * 1024
before = peak()
decode(data, 40_000_000, added=("avif", "heic"))
print(header.width * header.height, peak() - before)
"""
    for kind, options in (("AVIF", {"speed": 10, "subsampling": "4:4:4"}), ("HEIF", {"chroma": 444})):
        buffer = io.BytesIO()
        sample_image(3000, 2000).save(buffer, kind, quality=20, **options)
        done = subprocess.run(
            [sys.executable, "-c", program],
            input=buffer.getvalue(),
            cwd=ROOT,
            capture_output=True,
            timeout=60,
            check=True,
        )
        pixels, memory = map(int, done.stdout.split())
        assert 3 * pixels < memory < 14 * pixels + 20_000_000, f"{kind}: {memory / pixels:.0f} bytes a pixel"


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_every_beginning_of_a_file_is_refused(kind: str) -> None:
    data = file([coded(sample_image(), kind)], b"avif" if kind == "AVIF" else b"heic")
    for end in range(12, len(data)):
        with pytest.raises(ImageError) as refused:
            read_header(data[:end], LIMIT, added=BOTH)
        assert refused.value.code in ("truncated_image", "not_an_image", "unsupported_image_format"), end


SAYS_MORE = replace(grid(1, 2, 128, 64, [2, 2], *PROPERTIES), data=grid(1, 2, 60_000, 60_000, []).data)
WIDER = coded(sample_image(128, 64))
TURNED = replace(SMALL, properties=[*SMALL.properties, box(b"irot", b"\1")])
SMALL_ALPHA = Item(ALPHA.type, ALPHA.data, [size(64, 64), *ALPHA.properties[1:], auxiliary()], {b"auxl": [1]})
OWN_ALPHA = replace(SMALL, properties=[*SMALL.properties, auxiliary()], references={b"auxl": [1]})
CONTRADICTIONS = {
    "a grid of other pixels than its size": [SAYS_MORE, SMALL],
    "a grid with a tile too few": [grid(2, 2, 128, 128, [2] * 3, *PROPERTIES), SMALL],
    "a grid with a tile too many": [grid(1, 2, 128, 64, [2] * 3, *PROPERTIES), SMALL],
    "a grid wider than its tiles": [grid(1, 2, 129, 64, [2] * 2, *PROPERTIES), SMALL],
    "a grid higher than its tiles": [grid(1, 2, 128, 65, [2] * 2, *PROPERTIES), SMALL],
    "a grid of tiles of two sizes": [grid(1, 2, 128, 64, [2, 3], *PROPERTIES), SMALL, WIDER],
    "a grid of 1,008 tiles": [grid(8, 126, 64 * 126, 64 * 8, [2] * 1_008, *PROPERTIES), SMALL],
    "HEVC of more than a block beyond its size": [hevc_of(64 + 65, 64)],
    "AV1 that is wider than its size": [replace(SMALL, data=frame_of(65, 64))],
    "AV1 that is higher than its size": [replace(SMALL, data=frame_of(64, 65))],
    "AV1 that is narrower than its size": [replace(SMALL, data=frame_of(63, 64))],
    "AV1 that is lower than its size": [replace(SMALL, data=frame_of(64, 63))],
    "a grid of two codecs": [grid(1, 2, 128, 64, [2, 3], *PROPERTIES), SMALL, HEVC],
    "a grid of tiles that are turned": [grid(1, 2, 128, 64, [2, 2], *PROPERTIES), TURNED],
    "transparency of another size": [coded(sample_image(128, 64)), SMALL_ALPHA],
    "transparency that is the image": [OWN_ALPHA],
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_contradicts_itself_reaches_no_decoder(name: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_header(file(CONTRADICTIONS[name]), LIMIT, added=BOTH)
    assert STATUS[caught.value.code] in (400, 415)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_zeros_in_the_place_of_any_tile_s_pixels_are_seen(kind: str) -> None:
    noise = coded(Image.effect_noise((64, 64), 60).convert("RGB"), kind)
    filled = replace(noise, data=noise.data[:-600] + bytes(600))
    brand = b"avif" if kind == "AVIF" else b"heic"
    for tiles in ([noise, filled], [filled, noise]):
        with pytest.raises(ImageError, match="zeros stand in the place of pixels"):
            read_header(file([grid(1, 2, 128, 64, [2, 3], *noise.properties[1:]), *tiles], brand), LIMIT, added=BOTH)


def test_hevc_codes_whole_blocks_of_64_pixels_of_which_a_part_is_shown() -> None:
    header = read_header(file([hevc_of(64 + 64, 64 + 64)], b"heic"), LIMIT, added=BOTH)
    assert (header.width, header.height) == (64, 64)
    assert header.work >= 2 * 128 * 128


def work(*items: Item) -> int:
    return read_header(file(items), LIMIT, added=BOTH).work


def configured(item: Item, name: bytes, at: int, bits: int) -> Item:
    """Return an item without `pixi` whose configuration has these bits set."""
    known = [one for one in item.properties if one[4:8] not in (b"pixi", name)]
    [own] = [bytearray(one) for one in item.properties if one[4:8] == name]
    own[8 + at] |= bits
    return replace(item, properties=[*known, bytes(own)])


SAMPLES = [one for one in SMALL.properties if one[4:8] != b"pixi"] + [full(b"pixi", bytes((3, 8, 8, 10)))]
DEEP = {
    "by its samples": replace(SMALL, properties=SAMPLES),
    "by AV1's configuration": configured(SMALL, b"av1C", 2, 0x40),
    "by HEVC's configuration": configured(HEVC, b"hvcC", 17, 2),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_samples_cost_half_as_much_again(name: str) -> None:
    deep, plain = DEEP[name], HEVC if "HEVC" in name else SMALL
    assert work(deep) - work(plain) == (work(plain) - 50_000) // 2
    rest = plain.properties[1:]
    of_both = {work(grid(1, 2, 128, 64, places, *rest), deep, plain) for places in ([2, 3], [3, 2])}
    assert len(of_both) == 1
    assert of_both.pop() > work(grid(1, 2, 128, 64, [2, 3], *rest), plain, plain)


def test_tiles_cost_more_than_their_pixels() -> None:
    tiles = [work(grid(1, count, 64 * count, 64, [2] * count, *PROPERTIES), SMALL) for count in (1, 11)]
    assert tiles[1] - tiles[0] == 10 * (50_000 + 2 * 64 * 64)
