"""Run a child process whose last line of output is its measurements, as JSON."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError


def child_report(command: Sequence[str], environ: Mapping[str, str], cwd: Path, failed: str) -> dict[str, Any]:
    """Return the measurements. Raises BenchmarkError with `failed` if the child fails; its reason is on stderr."""
    done = subprocess.run(command, env=environ, cwd=cwd, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise BenchmarkError(f"{failed} (exit status {done.returncode}): its reason is above")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report
