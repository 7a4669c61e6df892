"""One tensor that is still in its checkpoint's file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

CONVERT = (
    "where you trust it, load it by torch once and write model.state_dict() by safetensors.torch.save_file, "
    "then build that"
)


@dataclass(frozen=True)
class Tensor:
    """One tensor that is still in its file: `dtype` is torch's name; `read` returns a copy in memory, contiguous."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], "torch.Tensor"]
