"""The doctor on images of a real engine, asked for by name: of somebody else's making, sound and broken on purpose."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import container

ROOT = Path(__file__).parents[2]
SOUND = "ENV HF_HUB_OFFLINE=1 HF_HUB_CACHE=/opt/hub\nCOPY hub /opt/hub\n"
BROKEN = "ENV HF_HUB_OFFLINE=”1” HF_HOME=/models\nCOPY hub /opt/hub\nCOPY app.py /var/task/app.py\n"
APP = "import open_clip\nopen_clip.create_model('ViT-B-32', pretrained='/opt/w.pt')\n"


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        (SOUND, set()),
        (BROKEN, {"offline-in-quotes", "cache-elsewhere", "checkpoint-with-wrong-preprocessing"}),
    ],
    ids=["sound", "broken"],
)
def test_an_image_of_the_engine_is_judged_by_its_name(tmp_path: Path, lines: str, codes: set[str]) -> None:
    shutil.copytree(ROOT / "layer" / "demo" / "hub", tmp_path / "hub")
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "Dockerfile").write_text(f"FROM scratch\n{lines}")

    with container.image(tmp_path, "scratch", "openclip-lambda-test:doctor") as name:
        command = [sys.executable, "-m", "layer", "doctor", name]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    found = {
        line.split()[1].rstrip(":") for line in said.stdout.splitlines() if line.startswith(("error: ", "warning: "))
    }
    assert (said.returncode, found, said.stderr) == (1 if codes else 0, codes, "")
