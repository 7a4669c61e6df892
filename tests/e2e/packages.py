"""Bundles as tests package them: by the real command, for the Python of a base image that can be had."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from layer.bundle import manifest

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


def retarget(bundle: Path, **target: Any) -> None:
    """Change what a bundle is built for: nothing in it but this entry depends on it."""
    facts = manifest.read(bundle)
    (bundle / manifest.NAME).unlink()  # may be linked to the builder's cache
    manifest.write_facts(bundle, replace(facts, target=replace(facts.target, **target)))
