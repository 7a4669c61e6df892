"""What several kinds of test share: the bundle of the embedded model, built once per run by the real command."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SPEC = '[[model]]\nname = "hf-hub:openclip-lambda/shapes-i18n"\nengine = "{engine}"\nprecision = "{precision}"\n'


@pytest.fixture(scope="session")
def demo_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the embedded model's bundle for open_clip itself. Tests that change it change a copy."""
    return build_demo(tmp_path_factory.mktemp("demo"), "torch", "fp32")


def build_demo(root: Path, engine: str, precision: str) -> Path:
    """Build the embedded model's bundle for one engine by the real command; returns its directory.

    Builds beside each other share a cache, and so the model's export.
    """
    (root / "models.toml").write_text(SPEC.format(engine=engine, precision=precision))
    command = [sys.executable, "-m", "layer", "build", "--models", str(root / "models.toml")]
    run = subprocess.run(
        [*command, "--output", str(root / "bundle"), "--cache", str(root.parent / "demo-cache")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return root / "bundle"
