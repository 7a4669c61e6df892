"""AWS Lambda's limits ("Lambda quotas" in AWS's documentation), and the room that they leave for models."""

from collections.abc import Iterable
from dataclasses import dataclass

from layer.engines import ENGINES

LAYER_BYTES = 262_144_000  # of function and layers together, unzipped
IMAGE_BYTES = 10_000_000_000  # of an image, uncompressed
DIRECT_UPLOAD_BYTES = 50_000_000  # of one zip; a larger one goes by way of S3
SNAPSTART_TMP_BYTES = 512_000_000  # of /tmp, where SnapStart is on

BASE_IMAGE_BYTES = 700_000_000  # allowed for AWS's Python base image, which the packager does not see


@dataclass(frozen=True)
class Shape:
    """A package shape. `room` is what Lambda allows for code and models, in bytes, unzipped; `of` names the limit."""

    room: int
    of: str
    on_base_image: bool = False  # built on AWS's image, and its bytecode compiled then
    advice: str | None = None  # what to write in models.toml where there is not enough room


SHAPES = {
    "layer": Shape(
        LAYER_BYTES,
        "a function and its layers together",
        advice='package = "image" in [target]: images take up to 10 GB',
    ),
    "image": Shape(IMAGE_BYTES - BASE_IMAGE_BYTES, "an image beside its base", on_base_image=True),
}


def room(shape: str, engines: Iterable[str]) -> int:
    """Return how many bytes of models a package shape has room for, beside the code of these engines."""
    code = sum(ENGINES[engine].code_bytes for engine in engines)  # two engines share a little: on the safe side
    return SHAPES[shape].room - code


def shapes(model_bytes: int, engine: str = "onnx") -> list[str]:
    """Name the package shapes ("layer", "image") that have room for weights of `model_bytes` beside the engine."""
    return [shape for shape in SHAPES if model_bytes <= room(shape, (engine,))]
