"""Check the directories that a benchmark's options name, before hours of work."""

import os
from pathlib import Path

from benchmarks.errors import BenchmarkError


def check_bundle(bundle: Path) -> None:
    """Raise BenchmarkError for a directory that is not a bundle."""
    if not (bundle / "manifest.json").exists():
        raise BenchmarkError(f"{bundle} has no manifest.json: name the directory of a bundle")


def check_output(output: Path) -> None:
    """Raise BenchmarkError for a directory that cannot be written."""
    if not output.is_dir() or not os.access(output, os.W_OK):
        raise BenchmarkError(f"{output} is not a directory that can be written: give another --output")
