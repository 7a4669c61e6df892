"""A vision transformer's patch embedding as a product: a convolution whose windows do not overlap is one.

No quantizer takes a convolution. As a product its weights shrink to 8 bits too (ViT-B-32: 9.4 MB to 2.4 MB) and it runs
in integers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import nn
from torch.nn import functional

from layer.registry.patches import cuts_patches

MATRIX = "patch_matrix"

_convolution = nn.Conv2d.forward


@contextmanager
def patches_as_product(tower: nn.Module) -> Iterator[None]:
    """Within this block the convolution by which `tower` cuts an image into patches is computed as a product."""
    cutting = [module for module in tower.modules() if isinstance(module, nn.Conv2d) and cuts_patches(module)]
    for module in cutting:  # as a parameter: a graph that reshapes the weights has no matrix for a quantizer
        module.register_parameter(MATRIX, nn.Parameter(module.weight.detach().flatten(1), requires_grad=False))
    try:
        with mock.patch.object(nn.Conv2d, "forward", _conv2d):
            yield
    finally:
        for module in cutting:
            delattr(module, MATRIX)


def _conv2d(self: nn.Conv2d, image: torch.Tensor) -> torch.Tensor:
    """Do what `nn.Conv2d.forward` does, [N, 3, H, W] to [N, D, H / P, W / P]; what cuts no patches is left to that."""
    if not hasattr(self, MATRIX) or image.dim() != 4:
        return _convolution(self, image)
    height, width = self.kernel_size
    rows, columns = image.shape[2] // height, image.shape[3] // width
    image = image[:, :, : rows * height, : columns * width]  # as the convolution does, which leaves the rest out
    patches = image.unflatten(3, (columns, width)).unflatten(2, (rows, height)).permute(0, 2, 4, 1, 3, 5).flatten(3)
    embedded: torch.Tensor = functional.linear(patches.flatten(1, 2), getattr(self, MATRIX), self.bias)
    channels_first: torch.Tensor = embedded.transpose(1, 2).unflatten(2, (rows, columns))
    return channels_first
