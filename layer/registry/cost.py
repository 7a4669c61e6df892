"""What one image costs on Lambda, estimated from two models that were measured (docs/benchmarks.md), int8, one vCPU.

A tower's time grows with its operations. How many milliseconds a billion of them take was measured at 9 and at 47
billion. Between the two it is interpolated; beyond them it stays the same.
"""

from dataclasses import dataclass

import numpy as np

from layer.naming import memory as limits

MB_PER_VCPU = 1769  # AWS Lambda's documentation, "Configure Lambda function memory"
# As client/src/openclip_lambda/batch/prices.py has them; a test compares the two.
DOLLARS_PER_GB_SECOND = 0.0000166667
DOLLARS_PER_MILLION_REQUESTS = 0.20
# By engine: billions of operations of an image, and milliseconds on one vCPU. docs/benchmarks.json, `warm_on_one`.
MEASURED = {"onnx": ((8.818, 37.63), (46.82, 162.0)), "openvino": ((8.818, 26.72), (46.82, 87.50))}
# MB at the peak beside the weights in 8 bits: docs/benchmarks.json has 351 MB beside 164, and 1,209 beside 400.
BASE_MEMORY, MEMORY_OF_WEIGHTS = 100, 2.8


@dataclass(frozen=True)
class Cost:
    """Of one image: milliseconds, and dollars for a million requests of one. `memory` is the setting in MB."""

    milliseconds: float
    dollars: float
    memory: int


def dollars_per_million(seconds: float, memory: int) -> float:
    """Return what a million requests of `seconds` cost at a setting in MB: a GB of Lambda is 1,024 MB."""
    return seconds * memory / 1024 * DOLLARS_PER_GB_SECOND * 1e6 + DOLLARS_PER_MILLION_REQUESTS


def estimate(image_gflops: float, int8_bytes: int, engine: str) -> Cost | None:
    """Return what one image takes; None where no function has the memory."""
    points = MEASURED[engine]
    per_billion = np.interp(image_gflops, [size for size, _ in points], [time / size for size, time in points])
    milliseconds = float(image_gflops * per_billion)
    memory = max(MB_PER_VCPU, round(BASE_MEMORY + MEMORY_OF_WEIGHTS * int8_bytes / 1e6))
    if memory > limits.MAX_MB:
        return None
    seconds = milliseconds / 1000 * MB_PER_VCPU / memory  # more memory buys more of a processor
    return Cost(seconds * 1000, dollars_per_million(seconds, memory), memory)
