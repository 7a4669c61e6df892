"""What several kinds of test share: the bundle of the embedded model, built once per run by the real command."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def demo_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the embedded model's bundle. Tests that change it change a copy."""
    root = tmp_path_factory.mktemp("demo")
    run = subprocess.run(
        [sys.executable, "-m", "layer", "build", "--output", str(root / "bundle"), "--cache", str(root / "cache")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return root / "bundle"
