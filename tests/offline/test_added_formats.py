"""AVIF and HEIC reach a model as open_clip's own transform gives them, of what Pillow and pillow-heif open."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handler.imaging.decode import decode
from handler.imaging.preprocess import Preprocess
from tests.offline.packaged import packaged
from tests.offline.test_preprocess import RESIZE_MODES, by_open_clip, config
from tests.patience import SECONDS
from tests.unit.fake_bundle import encoded
from tests.unit.handler.test_added_formats import BOTH, sample_image
from tests.unit.heif_files import opened

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + sys.argv[1:3]
from handler.imaging.decode import decode
from handler.errors import ImageError
import PIL
assert PIL.__file__.startswith(sys.argv[1]), PIL.__file__
for data in sys.argv[3:]:
    try:
        print("embedded", decode(bytes.fromhex(data), 10**6, added=("avif", "heic")).size)
    except ImageError as error:
        print(error.code)
"""


@pytest.mark.parametrize(
    ("image_formats", "expected"),
    [
        ((), ["unsupported_image_format"] * 2),
        (("avif",), ["embedded (64, 48)", "unsupported_image_format"]),
        (("heic",), ["unsupported_image_format", "embedded (64, 48)"]),
        (("avif", "heic"), ["embedded (64, 48)"] * 2),
    ],
)
def test_a_package_decodes_what_image_formats_names(
    tmp_path: Path, image_formats: tuple[str, ...], expected: list[str]
) -> None:
    tree = packaged(["common"], tmp_path / "python", image_formats)
    images = [encoded(sample_image(), kind).hex() for kind in ("AVIF", "HEIF")]
    command = [sys.executable, "-S", "-c", PROGRAM, str(tree), str(ROOT), *images]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize("resize_mode", RESIZE_MODES)
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("AVIF", "RGB", {}),
        ("AVIF", "L", {}),
        ("AVIF", "RGB", {"subsampling": "4:4:4", "range": "limited"}),
        ("HEIF", "RGB", {}),
        ("HEIF", "L", {}),
        ("HEIF", "RGB", {"tile_size": 64}),
    ],
)
def test_every_bit_is_open_clips(kind: str, mode: str, options: dict[str, Any], resize_mode: str) -> None:
    data, cfg = encoded(sample_image(301, 203, mode), kind, **options), config(resize_mode=resize_mode)
    found = Preprocess(cfg, (64, 64))(decode(data, 1_000_000, added=BOTH))
    assert np.array_equal(found, by_open_clip(opened(data), (64, 64), cfg))
