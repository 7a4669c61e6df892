"""The batch worker with images of 40 megapixels, and the command that measures the worker beside the engine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import build_demo

ROOT = Path(__file__).parents[2]
# More of them than a group has, where nothing held them back: 30 images of 160 MB.
IMAGES, THREADS = 30, 2
# Bytes resident: of a function of 1,769 MB, which is one vCPU. How many of the costly ones meet depends on how busy the
# machine is: 541 MB on a quiet one, 1,062 MB were seen on a busy one.
MOST = 1_300_000_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("batch"), "onnx", "int8")


def test_40_megapixels_an_image_stay_within_the_function_s_memory(bundle: Path) -> None:
    report = measured("benchmarks.batch_memory", bundle, "--images", str(IMAGES), "--threads", str(THREADS))
    assert report["embedded"] == IMAGES
    assert set(report["of"].values()) == {IMAGES // 3}  # baseline JPEG, progressive JPEG, PNG
    assert report["peak"] < MOST


def test_the_worker_is_measured_beside_the_engine(bundle: Path) -> None:
    report = measured("benchmarks.batch", bundle, "--images", "64", "--turns", "1", "--latency", "20")
    for kind in ("engine", "decoding, then engine", "worker", "worker, slow source"):
        assert report[kind]["rate"] > 0
    slow = report["worker, slow source"]
    assert 0 < slow["downloading"] <= slow["preparing"] < 1
    assert slow["computing"] + slow["preparing"] <= 1.01


def measured(module: str, bundle: Path, *arguments: str) -> Any:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(bundle.parent)}
    command = [sys.executable, "-m", module, str(bundle), *arguments]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
