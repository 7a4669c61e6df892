"""A Docker engine for every test here, and packaged bundles to run in it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import engine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def docker_engine() -> Iterator[None]:
    """Hold a Docker engine while the tests run. Without one they fail, naming the mend: `make test` asks first."""
    with engine.running():
        yield


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
