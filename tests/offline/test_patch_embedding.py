"""A patch embedding as it is exported gives torch's own numbers, and every other convolution is left alone."""

from typing import Any

import pytest
import torch
from torch import nn

from layer.export.patch_embedding import patches_as_product

PATCHES: list[tuple[dict[str, Any], tuple[int, int]]] = [
    ({"kernel_size": 16, "stride": 16, "bias": False}, (64, 64)),
    ({"kernel_size": 14, "stride": 14}, (70, 56)),
    ({"kernel_size": 16, "stride": 16}, (70, 49)),  # no multiple of the patch: what is left over is left out
    ({"kernel_size": (16, 8), "stride": (16, 8), "padding": "valid"}, (32, 40)),
]
OTHERS: list[dict[str, Any]] = [
    {"kernel_size": 4, "stride": 4},  # ConvNeXt's stem
    {"kernel_size": 16, "stride": 8},
    {"kernel_size": 16, "stride": 16, "padding": 8},
    {"kernel_size": 16, "stride": 16, "groups": 3},
    {"kernel_size": 8, "stride": 8, "dilation": 2},
]


@pytest.mark.parametrize(("shape", "size"), PATCHES)
def test_patches_are_embedded_as_torch_does_it_by_a_product(shape: dict[str, Any], size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    convolution, image = nn.Conv2d(3, 12, **shape).eval(), torch.randn(2, 3, *size)

    expected = convolution(image)
    with patches_as_product(convolution):
        found = convolution(image)
        program = torch.export.export(convolution, (image,))

    torch.testing.assert_close(found, expected)
    operations = {str(node.target) for node in program.graph.nodes}
    assert not any("conv" in operation for operation in operations), operations


@pytest.mark.parametrize("shape", OTHERS)
def test_what_cuts_no_patches_is_torchs_own(shape: dict[str, Any]) -> None:
    torch.manual_seed(0)
    convolution, image = nn.Conv2d(3, 12, **shape).eval(), torch.randn(2, 3, 64, 64)

    expected = convolution(image)
    with patches_as_product(convolution):
        found = convolution(image)

    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_torchs_own_is_back_afterwards() -> None:
    own, convolution = nn.Conv2d.forward, nn.Conv2d(3, 12, 16, 16)
    with patches_as_product(convolution):
        assert nn.Conv2d.forward is not own
    assert nn.Conv2d.forward is own
    assert list(convolution.state_dict()) == ["weight", "bias"]
