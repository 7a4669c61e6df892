"""AVIF and HEIC that are made to cost time or memory, or to lie: refused by their headers, before a decoder runs."""

import io
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from handler.errors import STATUS, ImageError
from handler.imaging import heif_pixels
from handler.imaging.decode import decode, read_header
from tests.unit.handler.test_added_formats import BOTH, sample_image
from tests.unit.heif_files import coded, file
from tests.unit.hostile_heif import FILES, MEANING

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
