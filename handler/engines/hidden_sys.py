"""Imports where /sys describes no processor, as on Lambda's arm64: what is printed of that becomes a line of ours."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

# Where ONNX Runtime's library for the processor's features finds no list of processors, and what ORT says of that.
EXPECTED = (
    b"Error in cpuinfo: failed to parse ",
    b"onnxruntime cpuid_info warning: ",
    b"onnxruntime warning: cpuinfo_initialize failed",
)

log = logging.getLogger(__name__)


@contextmanager
def cpuinfo_told() -> Iterator[None]:
    """Hold back what is printed inside, and write it out at the end, without the lines that are expected there."""
    held, stderr = os.memfd_create("stderr"), os.dup(2)
    os.dup2(held, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        _write_on(held)
        os.close(stderr)


def _write_on(held: int) -> None:
    with open(held, "rb") as file:
        file.seek(0)
        lines = file.readlines()
    others = [line for line in lines if not line.startswith(EXPECTED)]
    if others:
        os.write(2, b"".join(others))
    if len(others) < len(lines):
        log.info("/sys describes no processor, so onnxruntime knows few features of it: expected on Lambda's arm64")
