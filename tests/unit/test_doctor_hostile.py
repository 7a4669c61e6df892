"""The doctor on hostile files: in a process that is measured, each within 512 MB and 30 s of processor time."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.doctor_files.folders import FOLDERS
from tests.unit.doctor_files.saved_images import IMAGES
from tests.unit.doctor_files.zips import ZIPS

ROOT = Path(__file__).parents[2]
CASES = {
    **{f"zip: {name}": case for name, case in ZIPS.items()},
    **{f"image: {name}": case for name, case in IMAGES.items()},
    **{f"path: {name}": case for name, case in FOLDERS.items()},
}
MEMORY = 512_000_000  # bytes
SECONDS = 30  # of processor time: other work on the machine must not count
# A process of its own, for what is measured of children begins at the size of the process that starts them.
MEASURE = """
import json, resource, subprocess, sys
# It has its own limit, of time that passes: as much here as a machine with other work may need.
run = subprocess.run([sys.executable, "-m", "layer", "doctor", "--timeout", "240", sys.argv[1]], capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "status": run.returncode,
    "stdout": run.stdout.decode("utf-8", "surrogateescape"),
    "stderr": run.stderr.decode("utf-8", "surrogateescape"),
    "bytes": used.ru_maxrss * 1024,
    "seconds": used.ru_utime + used.ru_stime,
}))
"""


def test_there_are_at_least_sixty_hostile_files() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_named_in_bounds(tmp_path: Path, name: str) -> None:
    build: Callable[[Path], Path]
    build, code = CASES[name]
    path = build(tmp_path)
    command = [sys.executable, "-I", "-S", "-c", MEASURE, str(path)]

    run = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)

    said = run["stdout"]
    assert run["stderr"] == ""
    assert run["status"] in ((0, 1) if code == "" else (1,) if "error: " in said else (0,)), said
    assert f": {code}: " in said if code else "Traceback" not in said, said
    assert all(letter.isprintable() or letter == "\n" for letter in said), ascii(said)
    assert run["bytes"] < MEMORY
    assert run["seconds"] < SECONDS
