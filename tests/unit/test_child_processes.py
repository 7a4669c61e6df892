"""A process that a command starts for itself, started by hand: it names the command to run."""

import os
import subprocess
import sys

import pytest

COMMANDS = {
    "benchmarks.child": "benchmarks",
    "benchmarks.memory_child": "benchmarks.memory",
    "benchmarks.start.child": "benchmarks.start_steps",
    "layer.doctor.worker": "layer doctor",
}


@pytest.mark.parametrize("module", COMMANDS)
def test_it_names_the_command_that_starts_it(module: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BENCH_")}
    done = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, check=False, env=environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: `python -m {COMMANDS[module]}` starts this process; run that\n"
