"""How long an image takes, as `python -m benchmarks` measured it in the repository: docs/benchmarks.md.

A batch of 32 JPEGs of 640x480 through the whole request, on two processors.
"""

from typing import NamedTuple

from openclip_lambda.errors import ClientError

COMMAND, DATE = "python -m benchmarks", "2026-11-25"
MACHINE = "Intel Xeon (avx512_vnni, amx_int8), x86_64"
CPUS = 2
DEFAULT, RECIPE = "ViT-B-32", "openvino int8"  # the recipe is what a build for an x86_64 image takes


class Measured(NamedTuple):
    """A model: the numbers of a vector, and by recipe the milliseconds that CPUS processors take for an image."""

    dimensions: int
    milliseconds: dict[str, float]


MODELS = {
    "ViT-B-32": Measured(
        512,
        {
            "torch fp32": 35.974,
            "onnx fp32": 36.449,
            "onnx int8": 14.409,
            "openvino fp32": 32.684,
            "openvino int8": 11.167,
        },
    ),
    "ViT-B-16-SigLIP-i18n-256": Measured(
        768,
        {
            "torch fp32": 164.075,
            "onnx fp32": 177.813,
            "onnx int8": 81.563,
            "openvino fp32": 148.736,
            "openvino int8": 49.366,
        },
    ),
}

# MB that a deployment takes unless told, as docs/cost.md chooses them: one processor, and for these more.
ONE_PROCESSOR = 1769
MORE = {"ViT-B-16-SigLIP-i18n-256": {"torch fp32": 3008, "onnx int8": 3008, "openvino int8": 3008}}


def measured(model: str, recipe: str) -> tuple[int, float, int]:
    """Return the model's dimensions, milliseconds of one processor for an image, and a worker's MB. Raises ClientError.

    `model` may carry a pretrained tag, or the owner of its repository.
    """
    words = [model, model.partition("/")[0], model.rpartition("/")[2]]
    known = next((word for word in words if word in MODELS), None)
    if known is None:
        raise ClientError(
            f"{model} was not measured (measured: {', '.join(MODELS)}): build its bundle in the repository, run "
            "`python -m benchmarks.photographs <bundle>` there, and give --milliseconds: the milliseconds of `32 of "
            "640x480`, times the number of processors, divided by 32"
        )
    found = MODELS[known]
    if recipe not in found.milliseconds:
        raise ClientError(f"--recipe {recipe!r} was not measured: give one of {', '.join(found.milliseconds)}")
    return found.dimensions, CPUS * found.milliseconds[recipe], MORE.get(known, {}).get(recipe, ONE_PROCESSOR)
