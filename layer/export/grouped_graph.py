"""A second graph over a tower's weights, in which a group of activations shares a scale in the place of each token.

The weights are the same integers. OpenVINO's CPU plugin rounds such activations itself, in one operation with the
product. It does so with the instructions of AVX-512, so a processor with AMX keeps the first graph.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from layer.engines import ROW, Recipe
from layer.export.calibration import products
from layer.export.ir_file import grouped_path, share_weights
from layer.export.openvino_ir import write_ir
from layer.export.static_ranges import read_static_ranges

# Narrower towers take too little time. In wider ones the second graph is not faster: 0.9x to 1.0x (docs/engines.md).
NARROWEST, WIDEST = 256, 768


def write_grouped(fp32: Path, recipe: Recipe, tower: Path) -> int:
    """Write the second graph beside `tower` (.xml), for its .bin; return how many activations share a scale.

    That is the tower's width, because the plugin does not round rows that are shorter than a group. Returns 0 and
    writes nothing if the recipe leaves no product a scale for each token, or the width is not one that this is for.
    """
    size = _width(fp32, recipe) if recipe.per_token else 0
    if not NARROWEST <= size <= WIDEST:
        return 0
    with TemporaryDirectory(dir=tower.parent, prefix=".grouped-") as scratch:
        made = Path(scratch, tower.name)
        write_ir(fp32, replace(recipe, block=ROW, per_token=False), made)
        share_weights(made, tower)
        made.replace(grouped_path(tower))
    return size


def _width(fp32: Path, recipe: Recipe) -> int:
    """Return the length that most matrices' rows have; 0 if the activations of every product have a fixed range."""
    graph = onnx.load(fp32, load_external_data=False).graph
    entering = products(graph)
    if entering.keys() <= read_static_ranges(fp32, recipe).keys():
        return 0
    lengths = {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
    [(width, _)] = Counter(lengths[node.input[1]] for nodes in entering.values() for node in nodes).most_common(1)
    return int(width)
