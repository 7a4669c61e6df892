"""Floating-point operations: how many one image takes, and the most that this machine computes in a second."""

import statistics
import time

SIDE = 2048
ROUNDS = 7  # the first is not counted


def matrix_peak() -> float:
    """Measure torch's product of two square matrices; returns float32 operations a second, on all processors."""
    import torch

    left, right = torch.rand(2, SIDE, SIDE)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        torch.mm(left, right)
        times.append(time.perf_counter() - start)
    return 2 * SIDE**3 / statistics.median(times[1:])


def image_operations(name: str) -> int:
    """Count the floating-point operations of the image tower on one image, as torch counts them on no device."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from layer.openclip import open_clip

    with torch.device("meta"), torch.no_grad():
        model = open_clip.create_model(name, load_weights=False, device="meta").eval().requires_grad_(False)
        size = model.visual.image_size
        height, width = (size, size) if isinstance(size, int) else size
        with FlopCounterMode(display=False) as counter:
            model.encode_image(torch.zeros(1, 3, height, width, device="meta"))
    return int(counter.get_total_flops())
