"""Replace what libraries print when /sys describes no processor, as on Lambda's arm64, by one line in the log."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What is printed when /sys has no list of processors: by cpuinfo, a library inside ONNX Runtime and torch; by ONNX
# Runtime about cpuinfo; and by torch's oneDNN, whose line begins with a source path of its build.
EXPECTED = re.compile(
    rb"Error in cpuinfo: failed to parse "
    rb"|onnxruntime cpuid_info warning: "
    rb"|onnxruntime warning: cpuinfo_initialize failed"
    rb"|\S+, \d+: Can't open MIDR_EL1 sysfs entry"
)

log = logging.getLogger(__name__)


@contextmanager
def filter_cpuinfo_messages(library: str) -> Iterator[None]:
    """Collect what is printed to stderr inside, and print it at the end, without the lines that match EXPECTED."""
    held, stderr = os.memfd_create("stderr"), os.dup(2)
    os.dup2(held, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        _write_on(held, library)
        os.close(stderr)


def import_torch() -> Any:
    """Import torch, and have it identify the processor now and not during a request; return the module."""
    with filter_cpuinfo_messages("torch"):
        import torch

        _ask_onednn(torch)
    # NNPACK needs the same list. Without it, each process prints a warning at its first convolution of some shapes.
    torch.backends.nnpack.set_flags(False)
    return torch


def _ask_onednn(torch: Any) -> None:
    """Run the smallest convolution that oneDNN computes: oneDNN identifies the processor when it is first used."""
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
