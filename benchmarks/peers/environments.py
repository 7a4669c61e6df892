"""Environments of the peers' own: made once from a requirements file each, and made anew when that changes."""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.errors import BenchmarkError

HERE = Path(__file__).parent
DONE = "requirements.txt"  # in an environment: what was installed


def interpreter(name: str, environments: Path) -> Path:
    """Return where the interpreter of an environment is, or would be."""
    return (environments / name / "bin" / "python").absolute()


def python(name: str, environments: Path) -> Path:
    """Return the interpreter of an environment, installing it where it is missing or of other requirements.

    Raises BenchmarkError where its packages cannot be installed.
    """
    wanted = HERE / f"requirements-{name}.txt"
    folder = environments / name
    made = interpreter(name, environments)
    if (folder / DONE).exists() and (folder / DONE).read_bytes() == wanted.read_bytes():
        return made
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(made), "-m", "pip", "install", "--quiet", "-r", str(wanted)],
    ):
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            raise BenchmarkError(
                f"the environment of {name} could not be made: its reason is above; "
                "install what it asks for, or leave the peers out with --no-peers"
            )
    shutil.copy(wanted, folder / DONE)
    return made
