"""What a caption takes besides the engine's own time: events, checks, JSON, the log line."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_one_caption_through_the_handler_costs_at_most_3_ms_over_the_engine(demo_bundle: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("overhead_probe.py")), str(demo_bundle)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENCLIP_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    median = json.loads(done.stdout.splitlines()[-1])
    assert median["handler"] - median["engine"] <= 3, median
