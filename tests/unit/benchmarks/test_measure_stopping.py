"""Two signals in a row, as a terminal that is closed sends them, end a measuring with the status of an interruption."""

import subprocess
import sys
from pathlib import Path

from tests.patience import SECONDS

ROOT = Path(__file__).parents[3]
INTERRUPTED_TWICE = """
import os, signal
from benchmarks.measure.stopping import stopping
try:
    with stopping(ends_process=True):
        os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGHUP)
    raise SystemExit(130) from None
"""


def test_a_second_signal_does_not_end_a_process_that_is_ending() -> None:
    run = subprocess.run([sys.executable, "-c", INTERRUPTED_TWICE], cwd=ROOT, check=False, timeout=SECONDS)
    assert run.returncode == 130
