"""Bundles as tests package them: by the real command, for the Python of a base image that can be had."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def package(bundle: Path, output: Path, *arguments: str) -> Path:
    """Package a bundle by the real command; returns the directory with package.json."""
    run = subprocess.run(
        [sys.executable, "-m", "layer", "package", "--bundle", str(bundle), "--output", str(output), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return output


def retarget(bundle: Path, **target: str) -> None:
    """Change what a bundle is built for: nothing in it but this entry depends on it."""
    path = bundle / "manifest.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["target"] |= target
    path.unlink()  # may be linked to the builder's cache
    path.write_text(json.dumps(facts), encoding="utf-8")
