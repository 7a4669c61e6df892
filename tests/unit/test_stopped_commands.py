"""What the machine refuses becomes one line that names the place and the fix."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from console.os_errors import explain
from console.run import run
from tests.patience import SECONDS

ROOT = Path(__file__).parents[2]


def told(error: Exception, capsys: pytest.CaptureFixture[str]) -> str:
    def command() -> None:
        raise error

    assert run(command) == 1
    [line] = capsys.readouterr().err.splitlines()
    return line


def test_a_port_in_use_is_no_file() -> None:
    error = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    assert explain(error).startswith("the address: Address already in use: another program listens there already")


def test_a_library_that_finds_no_memory_is_not_missing(capsys: pytest.CaptureFixture[str]) -> None:
    words = "libtorch_cpu.so: failed to map segment from shared object"  # glibc's, under `ulimit -v`
    assert "the memory of this machine is used up (libtorch" in told(ImportError(words, name="_C"), capsys)


def test_a_part_of_a_package_that_cannot_be_imported_is_not_taken_for_a_package(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = told(ImportError("libgomp.so.1: cannot open shared object file", name="_C"), capsys)
    assert "_C cannot be imported (libgomp.so.1: cannot open shared object file)" in line


def test_the_first_of_many_files_that_could_not_be_copied_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """shutil tells of all at once, in one message of any length."""
    (tmp_path / "source").mkdir()
    for number in range(50):
        (tmp_path / "source" / f"file-{number:02}").touch()

    def full(_: str, target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    with pytest.raises(shutil.Error) as caught:
        shutil.copytree(tmp_path / "source", tmp_path / "target", copy_function=full)
    line = told(caught.value, capsys)

    assert re.match(rf"error: {tmp_path}/target/file-\d\d: No space left on device: the disk is full: free space", line)
    assert line.count("file-") == 1
    assert "source and target" in told(shutil.Error("source and target are the same file"), capsys)


def test_ctrl_c_while_python_runs_text_ends_with_the_status_too(tmp_path: Path) -> None:
    (tmp_path / "stopped.py").write_text(
        "import sys\nfrom console.run import run\n"
        "sys.exit(run(lambda: exec('import signal; signal.raise_signal(signal.SIGINT)')))\n"
    )
    environ = {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}

    ended = subprocess.run(
        [sys.executable, "-m", "stopped"], env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
    )

    assert (ended.returncode, ended.stderr) == (128 + signal.SIGINT, "stopped\n")


@pytest.mark.parametrize("module", ["layer.demo.tour", "benchmarks", "client", "handler.batch"])
def test_ctrl_c_while_a_command_is_imported_ends_it_in_one_line(module: str, tmp_path: Path) -> None:
    """The drawings of `make demo` import for seconds on a slow machine: it was a traceback of wherever they were."""
    slow = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(9)\n"
    (tmp_path / "numpy.py").write_text(slow)  # the first of what each of them imports
    (tmp_path / "httpx.py").write_text(slow)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (128 + signal.SIGINT, "stopped\n")
