"""One process of the benchmark: what it says of itself is what the system says."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from layer.bundle import reference

ROOT = Path(__file__).parents[2]


def test_a_process_reports_its_own_times_and_memory(demo_bundle: Path, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    images = [reference.png(image) for image in reference.images()]
    workloads = [["image", 1, 0, 2], ["caption", 0, 1, 2], ["image of 3", 3, 0, 1]]
    request.write_text(json.dumps({"images": images, "texts": ["a red circle"], "workloads": workloads}))
    ballast = bytearray(os.urandom(1)) * 1_500_000_000  # the parent's memory is not the child's
    started = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", str(request)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "OPENCLIP_BUNDLE_DIR": str(demo_bundle),
            "OPENCLIP_CACHE_DIR": str(tmp_path / "cache"),
            "BENCH_STARTED": str(started),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.monotonic() - started
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    assert 0 < said["before_load"] < said["cold"] < took
    assert set(said["warm"]) == {"image", "caption", "image of 3"}
    assert 0 < said["warm"]["image"] <= said["cold"]
    assert 100e6 < said["cold_peak"] <= said["peak"] < len(ballast)
