"""From which size on a JPEG is decoded at a reduced scale: the parity gate's photographs are just that large."""

from handler.imaging import reduced
from layer.export import photographs
from tests.contracts.agreement import agree

HANDLER, BUILDER = "handler/imaging/reduced.py", "layer/export/photographs.py"


def test_the_scales() -> None:
    agree(
        "the scales at which JPEGs are decoded",
        {HANDLER: sorted(reduced.SCALES), BUILDER: sorted(photographs.SCALES)},
    )


def test_the_smallest_image_that_is_decoded_at_a_scale() -> None:
    agree(
        "the least side, and the least ratio to the model's input, of a JPEG that was decoded at a reduced scale",
        {HANDLER: (reduced.MIN_SIDE, reduced.MIN_RATIO), BUILDER: (photographs.MIN_SIDE, photographs.MIN_RATIO)},
    )
