"""A Docker engine for the tests: the one that runs here, or one that is started for them where this user may.

`python -m tests.e2e.engine` says whether this machine can run the tests, by its exit status and one line.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = Path("build/e2e/dockerd.log")
START_SECONDS = 300
FIX = "start Docker; or, as root on Debian, `apt-get install docker.io`, and the tests start it themselves"


class EngineError(Exception):
    """No Docker engine, and why."""


def answers() -> bool:
    """Tell whether an engine runs here that this user may use."""
    return shutil.which("docker") is not None and _quiet("docker", "info") == 0


def can_start() -> bool:
    """Tell whether this process could start one."""
    return os.geteuid() == 0 and shutil.which("dockerd") is not None


@contextmanager
def running() -> Iterator[None]:
    """Hold a Docker engine: one that was there stays, one that was started here is stopped. Raises EngineError."""
    if answers():
        yield
        return
    if not can_start():
        raise EngineError(f"no Docker engine answers here: {FIX}")
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as log:
        daemon = subprocess.Popen(["dockerd"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_for(daemon)
        yield
    finally:
        daemon.terminate()
        daemon.wait(START_SECONDS)


def docker(*arguments: str, stdin: bytes = b"") -> str:
    """Run one docker command and return what it printed. Raises EngineError with what it complained of."""
    run = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=False)
    if run.returncode != 0:
        said = (run.stdout + run.stderr).decode(errors="replace").strip()
        raise EngineError(f"docker {' '.join(arguments)}\n{said}")
    return run.stdout.decode()


def _wait_for(daemon: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        if answers():
            return
        time.sleep(0.2)
    raise EngineError(f"dockerd did not start, see {LOG}:\n{LOG.read_text(errors='replace')[-2000:]}")


def _quiet(*command: str) -> int:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def _obstacle() -> str | None:
    """Say what keeps this machine from running the tests here; None where nothing does."""
    if not (answers() or can_start()):
        return f"no Docker engine answers here: {FIX}"
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        return "a base image is made by root with Debian's mmdebstrap: `apt-get install mmdebstrap`"
    return None


if __name__ == "__main__":
    sys.exit((obstacle := _obstacle()) and f"tests/e2e is left out: {obstacle}")
