"""Why a process of the build ended, as the build says it."""

import signal
import subprocess
import sys

import pytest

from layer.bundle import sandbox

LAST_WORDS = (
    "import os, sys; print('terminating: bad allocation', file=sys.stderr, flush=True); os.kill(os.getpid(), {})"
)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (signal.SIGKILL, "it was killed by signal 9, as a system does that runs out of memory"),
        (signal.SIGSEGV, f"it crashed with signal 11 ({signal.strsignal(11)}): terminating: bad allocation"),
        (signal.SIGABRT, f"it crashed with signal 6 ({signal.strsignal(6)}): terminating: bad allocation"),
    ],
)
def test_a_crash_is_not_put_down_to_memory(number: signal.Signals, says: str) -> None:
    command = [sys.executable, "-c", LAST_WORDS.format(int(number))]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert sandbox.reason(run) == says
