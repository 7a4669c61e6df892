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

# Wider towers are not faster with it: 0.9x to 1.0x (docs/engines.md). Narrower ones were not measured.
NARROWEST, WIDEST = 256, 768
STEP = 16  # the plugin rounds no group of another number


def write_grouped(fp32: Path, recipe: Recipe, tower: Path) -> int:
    """Write the second graph beside `tower` (.xml), for its .bin; return how many activations share a scale.

    That is the length of the shortest row, because the plugin leaves shorter rows than a group in fp32, which is slow.
    Returns 0 and writes nothing if the recipe leaves no product a scale for each token, or if the second graph would
    not be faster: for other widths, and where widths differ, as in a tower with stages.
    """
    size = _width(fp32, recipe) if recipe.per_token else 0
    if not NARROWEST <= size <= WIDEST or size % STEP:
        return 0
    with TemporaryDirectory(dir=tower.parent, prefix=".grouped-") as scratch:
        made = Path(scratch, tower.name)
        write_ir(fp32, replace(recipe, block=ROW, per_token=False), made)
        share_weights(made, tower)
        made.replace(grouped_path(tower))
    return size


def _width(fp32: Path, recipe: Recipe) -> int:
    """Return the length that most rows have; 0 if one that has no fixed range is shorter, or if none is without."""
    graph = onnx.load(fp32, load_external_data=False).graph
    lengths = {tensor.name: tensor.dims[0] for tensor in graph.initializer if tensor.dims}
    rows = {name: lengths[nodes[0].input[1]] for name, nodes in products(graph).items()}
    left = rows.keys() - read_static_ranges(fp32, recipe).keys()
    if not left:
        return 0
    [(width, _)] = Counter(rows.values()).most_common(1)
    return int(width) if width <= min(rows[name] for name in left) else 0
