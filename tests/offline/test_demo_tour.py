"""`make demo` as it is run: the captions find their images, and the folder that it draws is found by searching."""

import re
import subprocess
import sys
from pathlib import Path

from layer.demo.collection import IMAGES, key_of

ROOT = Path(__file__).parents[2]


def test_the_tour_ends_with_a_folder_that_was_embedded_indexed_and_searched(tmp_path: Path, demo_bundle: Path) -> None:
    folder = tmp_path / "collection"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "layer.demo.tour", "--bundle", str(demo_bundle)),
            *("--heatmap", str(tmp_path / "demo.png"), "--images", str(tmp_path / "images")),
            *("--collection", str(folder)),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 of 14 captions find their image" in done.stdout
    assert f"{IMAGES} embedded, 0 failed" in done.stdout
    assert f"{IMAGES} images can be found" in done.stdout
    found = re.search(r"(\d+) of (\d+) are right, of 128 queries", done.stdout)
    assert found
    assert int(found[1]) / int(found[2]) >= 0.95
    lines = {line[:8].strip(): line.split()[-4:] for line in done.stdout.splitlines()}
    assert all(key.startswith("red/circle-") for key in lines["a red ci"])
    drawn = sorted(path.relative_to(folder / "images").as_posix() for path in folder.glob("images/*/*.jpg"))
    assert drawn == sorted(map(key_of, range(IMAGES)))
