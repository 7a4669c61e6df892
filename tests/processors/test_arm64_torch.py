"""The engine `torch` on arm64, in an image: it answers as on x86_64, and what its libraries print of /sys is held back.

PyPI's torch for arm64 is a build for CUDA since 2.11, which does not load without CUDA's libraries; 2.10.0 is the last
that runs here. A package has 2.13.0 of PyTorch's CPU index.
"""

import shutil
from pathlib import Path

import pytest

from layer.package import wheels
from layer.package.pipeline import package
from tests.conftest import build_demo
from tests.e2e.packages import retarget
from tests.processors import emulated, requests
from tests.processors.held import assert_log_is_ours, assert_same
from tests.processors.packages import image_places

WHEEL = "torch==2.10.0 --hash=sha256:5c4d217b14741e40776dd7074d9006fd28b8a97ef5654db959d8635b2fe5f29b"
EVENTS = requests.events()


def test_every_request_is_answered_as_on_x86_64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = build_demo(tmp_path, "torch", "fp32")
    on_x86_64 = emulated.here(bundle, None, EVENTS)
    retarget(bundle, architecture="arm64", package="image")
    monkeypatch.setattr(wheels, "FOLDER", _pins(tmp_path / "hashes"))
    package(bundle, tmp_path / "packaged", tmp_path / "packages")

    found = emulated.in_tree("arm64", "neoverse-n1", image_places(tmp_path / "packaged" / "image"), EVENTS)

    assert_same(EVENTS, found, on_x86_64)
    assert_log_is_ours(found, "/sys describes no processor to torch")


def _pins(folder: Path) -> Path:
    """Copy the pins, with torch for arm64 as above."""
    shutil.copytree(wheels.FOLDER, folder)
    place = folder / "torch-3.13-arm64.txt"
    lines = place.read_text().splitlines()
    place.write_text("".join(f"{WHEEL if line.startswith('torch==') else line}\n" for line in lines))
    return folder
