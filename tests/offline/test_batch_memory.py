"""The batch worker with images of 40 megapixels, and the command that measures the worker beside the engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import build_demo

ROOT = Path(__file__).parents[2]
SIZE = (8000, 5000)
# As many of them as decoders and groups could hold, where nothing held them back: all would be 40 images of 160 MB.
IMAGES, THREADS = 40, 2
# Bytes resident: of a function of 1,769 MB, which is one vCPU. How many of the costly ones meet depends on how busy the
# machine is: 541 MB on a quiet one, 1,062 MB were seen on a busy one.
MOST = 1_300_000_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("batch"), "onnx", "int8")


def test_40_megapixels_an_image_stay_within_the_function_s_memory(bundle: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    image = Image.effect_noise((250, 156), 60).resize(SIZE).convert("RGB")
    image.save(photos / "a-0.jpg", quality=85)
    image.save(photos / "b-0.jpg", quality=85, progressive=True, subsampling=0)
    image.save(photos / "c-0.png", compress_level=1)
    for number in range(1, IMAGES):  # the costly ones a few times, the cheap one as often as it takes
        kind = "b-0.jpg" if number < 3 else "c-0.png" if number < 6 else "a-0.jpg"
        os.link(photos / kind, photos / f"{kind[0]}-{number}{kind[3:]}")
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "OPENCLIP_BUNDLE_DIR": str(bundle),
        "OPENCLIP_CACHE_DIR": str(tmp_path / "cache"),
        "OPENCLIP_THREADS": str(THREADS),
    }
    command = [sys.executable, "-m", "handler.batch", str(photos), "--output", str(tmp_path / "out")]
    process = subprocess.Popen([*command, "--processes", "1"], env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)  # of the command, and of the worker that it waited for
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    assert f"{IMAGES + 2} embedded" in said
    assert usage.ru_maxrss * 1024 < MOST


def test_the_worker_is_measured_beside_the_engine(bundle: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.batch", str(bundle), "--images", "64", "--turns", "1"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(bundle.parent)}
    run = subprocess.run([*command, "--latency", "20"], env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    for kind in ("engine", "decoding, then engine", "worker", "worker, slow source"):
        assert report[kind]["rate"] > 0
    slow = report["worker, slow source"]
    assert 0 < slow["downloading"] <= slow["preparing"] < 1
    assert slow["computing"] + slow["preparing"] <= 1.01
