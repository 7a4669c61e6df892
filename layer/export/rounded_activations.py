"""Round activations to 8 bits in the graph, on a processor on which OpenVINO does not do so at run time.

With weights in blocks, the CPU plugin rounds activations itself (DYNAMIC_QUANTIZATION_GROUP_SIZE), but on x86 without
VNNI it leaves them in fp32. There the parity gate would pass recipes that are less exact on other processors.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from layer.engines import Recipe

TINY = 1e-12


@contextmanager
def rounded(folder: Path, recipes: Mapping[str, Recipe]) -> Iterator[tuple[str, ...]]:
    """Within this block, towers in `folder` round their activations as their recipes say; then they are restored.

    Yields the towers that were changed. Others have recipes without 8-bit activations, or graphs that round already.
    """
    with ExitStack() as stack:
        taken = {tower: recipe.activation_group for tower, recipe in recipes.items() if recipe.activation_group}
        yield tuple(
            tower for tower, group in taken.items() if stack.enter_context(_rounded(folder / f"{tower}.xml", group))
        )


@contextmanager
def _rounded(path: Path, group: int) -> Iterator[bool]:
    import openvino

    model = openvino.Core().read_model(path)
    found = [node for node in model.get_ordered_ops() if _in_blocks(node)]
    if not found:
        yield False
        return
    for product in found:
        product.input(0).replace_source_output(round_in_groups(product.input_value(0), group))
    with TemporaryDirectory() as scratch:
        written = Path(scratch, path.name)
        openvino.save_model(model, written, compress_to_fp16=False)
        del model  # it maps the weights' file
        files = [path, path.with_suffix(".bin")]
        for file in files:
            shutil.move(file, Path(scratch, f"{file.name}.kept"))
            shutil.move(Path(scratch, file.name), file)
        try:
            yield True
        finally:
            for file in files:
                shutil.move(Path(scratch, f"{file.name}.kept"), file)


def _in_blocks(product: Any) -> bool:
    """Tell whether a node multiplies by a matrix of 8 bits with a scale for each block."""
    if product.get_type_name() != "MatMul":
        return False
    reshaped = product.input_value(1).get_node()
    if reshaped.get_type_name() != "Reshape":
        return False
    scaled = reshaped.input_value(0).get_node()
    return bool(scaled.get_type_name() == "Multiply" and scaled.input_value(0).get_node().get_type_name() == "Convert")


def round_in_groups(values: Any, group: int) -> Any:
    """Return `values` [..., C] in steps of 1/127 of each group's largest; the last group has what is left of C.

    They stay as they are where C is smaller than a group: the plugin does not round those. In and out: a node's output.
    """
    from openvino import opset13 as ops

    shape = values.get_partial_shape()
    rank, width = shape.rank.get_length(), shape[shape.rank.get_length() - 1].get_length()
    if width < group:
        return values
    missing = -width % group  # zeros, which are no group's largest
    full = ops.pad(values, np.zeros(rank, np.int64), np.array([*[0] * (rank - 1), missing]), "constant")
    same = [0] * (rank - 1)
    grouped = ops.reshape(full, ops.constant(np.array([*same, (width + missing) // group, group])), True)
    largest = ops.reduce_max(ops.abs(grouped), ops.constant(np.array([-1])), True)
    step = ops.multiply(ops.maximum(largest, ops.constant(np.float32(TINY))), ops.constant(np.float32(1 / 127)))
    steps = ops.multiply(ops.round(ops.divide(grouped, step), "half_to_even"), step)
    flat = ops.reshape(steps, ops.constant(np.array([*same, width + missing])), True)
    one = np.array([1])
    found = ops.slice(flat, np.array([0]), np.array([width]), one, np.array([rank - 1])) if missing else flat
    return found.output(0)
