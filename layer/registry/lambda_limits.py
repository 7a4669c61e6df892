"""AWS Lambda's limits ("Lambda quotas" in AWS's documentation), and what of them is left for models."""

from collections.abc import Iterable

from layer.engines import ENGINES

LAYER_BYTES = 262_144_000  # of function and layers together, unzipped
IMAGE_BYTES = 10_000_000_000  # of an image, uncompressed
LAYERS = 5  # of one function
DIRECT_UPLOAD_BYTES = 50_000_000  # of one zip; a larger one goes by way of S3
SNAPSTART_TMP_BYTES = 512_000_000  # of /tmp, where SnapStart is on

BASE_IMAGE_BYTES = 700_000_000  # allowed for AWS's Python base image, which the packager does not see
SHAPES = {"layer": LAYER_BYTES, "image": IMAGE_BYTES - BASE_IMAGE_BYTES}  # what each package shape may take in all


def room(shape: str, engines: Iterable[str]) -> int:
    """Return how many bytes of models a package shape has room for, beside the code of these engines."""
    code = sum(ENGINES[engine].code_bytes for engine in engines)  # two engines share a little: on the safe side
    return SHAPES[shape] - code


def shapes(model_bytes: int, engine: str = "onnx") -> list[str]:
    """Name the package shapes ("layer", "image") that have room for weights of `model_bytes` beside the engine."""
    return [shape for shape in SHAPES if model_bytes <= room(shape, (engine,))]
