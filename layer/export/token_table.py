"""Take the token table out of a text graph, so that the runtime reads only the rows of a text's tokens."""

import shutil
from pathlib import Path

import numpy as np
import onnx

from layer.engines import Recipe

BLOCK = 32  # numbers of a row that share a scale
CHUNK = 8192  # rows that are held in memory at a time


def externalize_table(graph: Path) -> bool:
    """Rewrite `graph` to take the rows of its ids as input "rows"; the table goes to text.table.npy, float32.

    Returns False, and changes nothing, if the ids are not the direct input of a single table.
    """
    model = onnx.load(graph, load_external_data=False)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    lookups = [n for n in model.graph.node if n.op_type == "Gather" and n.input[1] == "ids" and n.input[0] in tensors]
    if len(lookups) != 1 or _uses(model.graph, lookups[0].input[0]) != 1:
        return False
    [lookup] = lookups
    table = tensors[lookup.input[0]]
    np.save(graph.parent / "text.table.npy", onnx.numpy_helper.to_array(table, str(graph.parent)))
    [ids] = [port for port in model.graph.input if port.name == "ids"]
    axes = [axis.dim_param or axis.dim_value for axis in ids.type.tensor_type.shape.dim]
    rows = onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, [*axes, table.dims[1]])
    model.graph.node.remove(lookup)
    model.graph.initializer.remove(table)
    has_positions = any(port.name == "positions" for port in model.graph.input)
    sizes_of = "positions" if has_positions else "ids"  # of the same sizes
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == lookup.output[0]:
                node.input[place] = "rows"
            elif name == "ids" and node.op_type == "Shape":
                node.input[place] = sizes_of
    if not _uses(model.graph, "ids"):
        model.graph.input.remove(ids)
    model.graph.input.append(rows)
    onnx.save(model, graph)
    return True


def write_table(source: Path, recipe: Recipe, folder: Path) -> None:
    """Write `source`, a float32 table, into `folder`: unchanged if the recipe does not quantize, else int8 by block."""
    if not recipe.block:
        shutil.copyfile(source, folder / "text.table.npy")
        return
    table = np.load(source, mmap_mode="r")
    count, width = table.shape
    block = BLOCK if width % BLOCK == 0 else width
    numbers = np.lib.format.open_memmap(folder / "text.table.npy", "w+", np.int8, (count, width))
    scales = np.lib.format.open_memmap(folder / "text.table.scales.npy", "w+", np.float32, (count, width // block))
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        blocks = table[part].reshape(-1, width // block, block)
        scales[part] = np.maximum(np.abs(blocks).max(axis=2) / 127, np.finfo(np.float32).tiny)
        numbers[part] = np.rint(blocks / scales[part][..., None]).reshape(-1, width)
    numbers.flush()
    scales.flush()


def _uses(graph: onnx.GraphProto, name: str) -> int:
    return sum(list(node.input).count(name) for node in graph.node)
