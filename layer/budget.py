"""Which package shapes a model fits: AWS Lambda's limits, and what code takes of them before any model."""

LAYER_BYTES = 262_144_000  # function and layers together, unzipped: "Lambda quotas" in AWS's documentation
IMAGE_BYTES = 10_000_000_000  # an image, uncompressed

# The runtime's own code, unzipped, rounded up: ONNX Runtime, numpy, Pillow, tokenizers, ftfy and the handler.
LAYER_CODE_BYTES = 145_000_000
IMAGE_CODE_BYTES = 1_600_000_000  # the base image and, for the largest engine, torch with what open_clip needs


def shapes(model_bytes: int) -> list[str]:
    """Name the package shapes ("layer", "image") that have room for weights of `model_bytes` beside the code."""
    rooms = {"layer": LAYER_BYTES - LAYER_CODE_BYTES, "image": IMAGE_BYTES - IMAGE_CODE_BYTES}
    return [shape for shape, room in rooms.items() if model_bytes <= room]
