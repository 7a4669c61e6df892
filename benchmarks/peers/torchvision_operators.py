"""torchvision where its binary is built for another torch than the one beside it: its image transforms alone.

`import torchvision` dies where the operators that it describes do not exist. Package registries pair a CUDA build of
torchvision with a CPU build of torch; the peers need its transforms only.
"""

from typing import Any

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[Any] = []  # a Library withdraws its schemas when it is garbage collected


def declare() -> None:
    """Declare the operators, without an implementation; where the binary fits, it declares them itself and must."""
    import importlib.util
    from pathlib import Path

    import torch

    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return
    try:
        torch.ops.load_library(str(next(Path(found.origin).parent.glob("_C*.so"))))
    except (OSError, StopIteration):
        library = torch.library.Library("torchvision", "DEF")
        for schema in SCHEMAS:
            library.define(schema)
        _declared.append(library)
