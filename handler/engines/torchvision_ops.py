"""Import open_clip, also beside a torchvision whose binary was built for another torch.

Such a torchvision dies at import for want of its own operators. open_clip uses its transforms only, so the operators'
names are declared, without an implementation, and only where the binary did not load. (`layer/openclip.py` does
the same for the builder: the two packages share no code.)
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_kept: "list[torch.library.Library]" = []  # a Library takes its schemas along when it is collected


def import_open_clip() -> ModuleType:
    """Return the open_clip module. Raises what its import raises, but for torchvision's missing operators."""
    try:
        return importlib.import_module("open_clip")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    for name in list(sys.modules):
        if name.split(".")[0] in ("torchvision", "open_clip"):
            del sys.modules[name]  # half imported
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)
    return importlib.import_module("open_clip")
