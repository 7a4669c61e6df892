"""Examine in a separate process: if a foreign file makes it crash or hang, this process reports that."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layer.doctor.limits import ADDRESS_SECONDS, SECONDS, STANDARD_INPUT
from layer.errors import DoctorError
from layer.findings.finding import Finding, worst_first
from layer.findings.printable import printable

ROOT = Path(__file__).parents[2]
REPORT_SECONDS = 2  # of the seconds, for what this process has to do
DOCKER_SECONDS = 900
REFERENCE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,400}")


def examine(what: str, seconds: float = SECONDS) -> list[Finding]:
    """Return what is wrong, worst first. Raises DoctorError where there is nothing to examine."""
    if what == STANDARD_INPUT or os.path.lexists(what):
        return worst_first(_run(what, what, seconds))
    if what.startswith(("http://", "https://")):
        return worst_first(_run(what, what, max(seconds, ADDRESS_SECONDS)))
    if "://" in what:
        raise DoctorError(
            f"{printable(what)} is no address of a function, which begins with https://: of what is elsewhere, as in a "
            "bucket, examine a copy on this machine"
        )
    if not REFERENCE.fullmatch(what):
        raise DoctorError(
            f"{printable(what)} is not there: name a directory, an image, a zip, a log, or a function's address"
        )
    with saved(what) as archive:
        return worst_first(_run(str(archive), what, seconds))


@contextmanager
def saved(reference: str) -> Iterator[Path]:
    """Save an image of the local Docker engine into a file. Raises DoctorError with Docker's reason."""
    with tempfile.TemporaryDirectory(prefix="openclip-doctor-") as folder:
        path = Path(folder) / "image.tar"
        try:
            run = subprocess.run(
                ["docker", "save", "-o", str(path), "--", reference],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=DOCKER_SECONDS,
            )
        except OSError as error:
            raise DoctorError(
                f"{reference} is not a file or an address, and docker is not installed, which could know an image "
                "of that name"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise DoctorError(f"docker save {reference} took more than {DOCKER_SECONDS} seconds") from error
        if run.returncode != 0:
            raise DoctorError(f"{reference} is not a file, an address or an image: {printable(run.stderr.strip())}")
        yield path


def _run(what: str, name: str, seconds: float) -> Iterator[Finding]:
    command = [sys.executable, "-P", "-m", "layer.doctor.worker", what, name, str(seconds)]
    search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = {**os.environ, "PYTHONPATH": search}
    worker = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    reason = ""
    try:
        output, died_of = worker.communicate(timeout=max(seconds - REPORT_SECONDS, 1))
    except subprocess.TimeoutExpired:
        worker.kill()
        output, died_of = worker.communicate()
        reason = f"the {seconds:g} seconds of one examination are over"
    lines = [json.loads(line) for line in output.splitlines() if line.endswith(b"}")]
    for line in lines:
        if "refused" in line:
            raise DoctorError(printable(line["refused"]))
        if "code" in line:
            yield Finding(**line)
    if reason:
        yield Finding("too-much-to-examine", name, reason)
    elif not any("done" in line for line in lines):
        yield _broken_off(name, worker.returncode, died_of.decode("utf-8", "replace").strip())


def _broken_off(name: str, status: int, died_of: str) -> Finding:
    if status < 0 or "MemoryError" in died_of:
        return Finding("too-much-to-examine", name, f"reading it ended with status {status}, most likely for memory")
    return Finding("unreadable", name, died_of.rpartition("\n")[2] or f"reading it ended with status {status}")
