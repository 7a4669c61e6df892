"""Imports where /sys describes no processor, as on Lambda's arm64: what is printed of that becomes a line of ours."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What the libraries that look for the list of processors print where there is none: cpuinfo, which ONNX Runtime and
# torch hold, ONNX Runtime of cpuinfo, and torch's oneDNN, with a path of its own build before it.
EXPECTED = re.compile(
    rb"Error in cpuinfo: failed to parse "
    rb"|onnxruntime cpuid_info warning: "
    rb"|onnxruntime warning: cpuinfo_initialize failed"
    rb"|\S+, \d+: Can't open MIDR_EL1 sysfs entry"
)

log = logging.getLogger(__name__)


@contextmanager
def cpuinfo_told(library: str) -> Iterator[None]:
    """Hold back what is printed inside, and write it out at the end, without the lines that are expected there."""
    held, stderr = os.memfd_create("stderr"), os.dup(2)
    os.dup2(held, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        _write_on(held, library)
        os.close(stderr)


def import_torch() -> Any:
    """Import torch and let it look for the processor at once, not in a request; returns the module."""
    with cpuinfo_told("torch"):
        import torch

        _ask_onednn(torch)
    # It needs the same list, and without it each process prints a warning at its first convolution of some shapes.
    torch.backends.nnpack.set_flags(False)
    return torch


def _ask_onednn(torch: Any) -> None:
    """Run the smallest convolution that is oneDNN's own: it looks for the processor when it is first used."""
    kernel = torch.zeros(1, 1, 4, 4)
    with torch.inference_mode():
        torch.nn.functional.conv2d(kernel, kernel)


def _write_on(held: int, library: str) -> None:
    with open(held, "rb") as file:
        file.seek(0)
        lines = file.readlines()
    others = [line for line in lines if not EXPECTED.match(line)]
    if others:
        os.write(2, b"".join(others))
    if len(others) < len(lines):
        log.info("/sys describes no processor to %s: expected on Lambda's arm64", library)
