"""Recognize the convolution that cuts an image into patches: it can be computed as a product with a matrix."""

from torch import nn

MIN_PATCH = 8  # pixels: the stems of convolutional towers have smaller windows, and need the convolution's layout
COLORS = 3


def cuts_patches(convolution: nn.Conv2d) -> bool:
    """Tell whether this is the patch embedding of a vision transformer."""
    plain = convolution.groups == 1 and convolution.in_channels == COLORS and set(convolution.dilation) == {1}
    padded = convolution.padding not in ((0, 0), "valid")
    return (
        plain and not padded and convolution.kernel_size == convolution.stride and min(convolution.stride) >= MIN_PATCH
    )
