"""One process of the benchmark: what it says of itself is what the system says."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import cold, page_cache
from layer.bundle import reference

ROOT = Path(__file__).parents[2]


def test_a_process_reports_its_own_times_and_memory(demo_bundle: Path, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    images = [reference.png(image) for image in reference.images()]
    workloads = [["image", 1, 0, 5], ["caption", 0, 1, 2], ["image of 3", 3, 0, 1]]
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


def test_a_start_is_measured_for_each_kind_of_request_beside_an_earlier_commit(
    demo_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(page_cache, "drop", lambda: False)  # other tests run beside this one
    assert cold.main([str(demo_bundle), "--before", str(ROOT), "--runs", "1"]) == 0

    lines = capsys.readouterr().out.splitlines()
    number = r"\d+\.\d\d"
    times = rf"{number} s, of processors ({number}) s \(least {number}\), peak \d+ MB"
    told = rf"(an image|a caption|both), (before|now): {times}"
    found = [re.match(told, line) for line in lines]
    assert [match and match.group(1, 2) for match in found] == [
        (kind, name) for kind in ("an image", "a caption", "both") for name in ("before", "now")
    ]
    assert all(match and 0 < float(match[3]) < 300 for match in found)
    assert [line.endswith("x") for line in lines] == [True, False] * 3, "the earlier one is told in ratios"


def test_a_start_that_fails_ends_with_its_reason(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cold.main([str(tmp_path), "--runs", "1"]) == 1
    assert "the handler of" in capfd.readouterr().err
