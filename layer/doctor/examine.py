"""Examine what the doctor is pointed to: a directory, a saved image, a zip, a log, or a running function.

This reads in the process that calls it; the command line does so in a process of its own (`layer.doctor.own_process`).
"""

import os
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from layer.doctor.checks.bundle import bundle_problems, is_bundle
from layer.doctor.checks.order import directory_problems, image_findings, tar_problems, zip_problems
from layer.doctor.checks.symptoms import log_symptoms
from layer.doctor.guarded import guarded
from layer.doctor.limits import SECONDS, STANDARD_INPUT, Budget, LimitReached
from layer.doctor.readers.directory import of_directory, of_file
from layer.doctor.readers.image import read_image
from layer.doctor.readers.plain_tar import of_tar
from layer.doctor.readers.regular import open_regular
from layer.doctor.readers.streams import ERRORS, first_block
from layer.doctor.readers.wanted import POINTER
from layer.doctor.readers.zip_file import of_zip
from layer.errors import DoctorError
from layer.findings.finding import Finding, worst_first

MAX_OF_A_CODE = 20  # findings; the rest are counted


def examine(what: str, seconds: float = SECONDS) -> list[Finding]:
    """Return what is wrong, worst first. Raises DoctorError where there is nothing to examine."""
    return worst_first(findings(what, seconds))


def findings(what: str, seconds: float = SECONDS, name: str = "") -> Iterator[Finding]:
    """Yield each finding as it is made; `name` is written in them for a temporary file. Raises DoctorError."""
    seen: set[Finding] = set()
    counts: Counter[str] = Counter()
    for finding in _stopped(what, Budget(seconds), name or what):
        if finding in seen:
            continue
        counts[finding.code] += 1
        if counts[finding.code] <= MAX_OF_A_CODE:
            seen.add(finding)
            yield finding
    for code, count in counts.items():
        if count > MAX_OF_A_CODE:
            yield Finding(code, f"and {count - MAX_OF_A_CODE:,} places more")


def _stopped(what: str, budget: Budget, name: str) -> Iterator[Finding]:
    try:
        yield from guarded(_examine(what, budget, name))
    except LimitReached as error:
        yield Finding("too-much-to-examine", name, str(error))
    except OSError as error:  # a disk that fails, or a file that goes, while it is read
        yield Finding("unreadable", name, error.strerror or str(error))


def _examine(what: str, budget: Budget, name: str) -> Iterator[Finding]:
    path = Path(what)
    if what.startswith(("http://", "https://")):
        from layer.doctor.checks.address import address_problems  # late: only this needs urllib

        yield from address_problems(what, os.environ.get("OPENCLIP_API_KEY"))
    elif what == STANDARD_INPUT:
        yield from _known(log_symptoms(sys.stdin.buffer, "standard input", budget), "standard input")
    elif not os.path.lexists(what):
        raise DoctorError(f"{what} is not there: name a directory, an image, a zip, a log, or a function's address")
    elif path.is_dir():
        tree = of_directory(path, budget)
        yield from tree.problems
        yield from bundle_problems(tree, path) if is_bundle(tree) else _known(directory_problems(tree, path), name)
    else:
        with open_regular(what, name) as stream:
            yield from _file(path, stream, budget, name)


def _file(path: Path, stream: BinaryIO, budget: Budget, name: str) -> Iterator[Finding]:
    if stream.read(len(POINTER)) == POINTER:
        yield Finding("lfs-pointer", name)
        return
    if zipfile.is_zipfile(stream):
        yield from _known(zip_problems(of_zip(path, budget), name), name)
        return
    stream.seek(0)
    if _is_tar(stream, name, budget):
        image = read_image(path, budget)
        found = image_findings(image, name) if image else tar_problems(of_tar(path, budget.again()), name)
        yield from _known(found, name)
        return
    stream.seek(0)
    if (of_docker := path.name.startswith("Dockerfile")) or path.suffix == ".py":
        tree = of_file(path, "Dockerfile" if of_docker else path.name, budget)
        yield from _known(directory_problems(tree, path.parent, path.name), name)
        return
    yield from _known(log_symptoms(stream, name, budget), name)


def _is_tar(stream: BinaryIO, name: str, budget: Budget) -> bool:
    block = first_block(stream, name, budget)
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except ERRORS:
        return False
    return True


def _known(found: Iterator[Finding | None], name: str) -> Iterator[Finding]:
    """Yield the findings. If there are none and nothing was recognized, yield one that says so.

    `found` has None where something was recognized.
    """
    empty = True
    for finding in found:
        empty = False
        if finding is not None:
            yield finding
    if empty:
        yield Finding("nothing-known", name)
