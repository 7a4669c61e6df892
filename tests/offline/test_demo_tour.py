"""`make demo` as it is run: the captions find their images, and the folder that it draws is found by searching."""

import os
import re
import subprocess
import sys
from pathlib import Path

from layer.demo.collection import IMAGES, key_of
from tests.documents import marked
from tests.transcript import difference

ROOT = Path(__file__).parents[2]


def test_the_tour_ends_with_a_folder_that_was_embedded_indexed_and_searched(tmp_path: Path, demo_bundle: Path) -> None:
    folder = tmp_path / "build" / "demo-collection"
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "bundle").symlink_to(demo_bundle)
    for name in ("console", "devserver", "handler", "layer"):  # what the tour starts is looked for where it stands
        (tmp_path / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-m", "layer.demo.tour", "--bundle", "build/bundle"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    printed = re.sub(r" +without \d+ Chinese captions: no font here .*\n", "", done.stdout)
    for [block] in (marked(__file__, "README.md"), marked(__file__, "docs/first-run.md")):
        other = difference(block.text, printed)
        assert not other, f"{block.page}:{block.line}\n{other}"
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
