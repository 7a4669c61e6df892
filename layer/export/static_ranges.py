"""Static int8: a fixed range for the activations of a product, where it is nearly as exact as a range for each token.

With a fixed range, the runtime does not have to find the largest number of each token before it quantizes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from layer.engines import Recipe
from layer.export.calibration import products, run_each

MARGIN = 1.1  # a user's image may have larger activations than the samples


class Range(NamedTuple):
    """Activations are quantized from -`bound` to `bound`.

    `noise` is the power of the rounding error, as a multiple of that with a range for each token.
    """

    bound: float
    noise: float


def write_static_ranges(fp32: Path, inputs: Path) -> None:
    """Measure a graph on `inputs`, an .npz with an array for each input, and write its ranges to <fp32>.ranges.json."""
    found = {name: [range_.bound, range_.noise] for name, range_ in _measured(fp32, inputs)}
    _file(fp32).write_text(json.dumps(found), encoding="utf-8")


def read_static_ranges(fp32: Path, recipe: Recipe) -> dict[str, float]:
    """Return the bound, by name, of the activations for which the recipe has a fixed range; empty if it has none."""
    if not recipe.static_noise:
        return {}
    found: dict[str, list[float]] = json.loads(_file(fp32).read_text(encoding="utf-8"))
    return {name: bound for name, (bound, noise) in found.items() if noise <= recipe.static_noise}


def _file(fp32: Path) -> Path:
    return fp32.with_suffix(".ranges.json")


def _measured(fp32: Path, inputs: Path) -> Iterator[tuple[str, Range]]:
    """Yield the name and the range of the activations that enter each product.

    Steps of s = r / 127 add noise of s^2 / 12 to each number, so to a token x of d numbers d s^2 / (12 |x|^2) of its
    power. With one range r, and with each token's own largest number m, that is on average proportional to

        r^2 mean(1 / |x|^2)    and    mean(m^2 / |x|^2)
    """
    largest: dict[str, list[NDArray[np.float32]]] = {}
    power: dict[str, list[NDArray[np.float32]]] = {}
    for name, values in _activations(fp32, inputs):
        tokens = values.reshape(-1, values.shape[-1])
        largest.setdefault(name, []).append(np.abs(tokens).max(axis=1))
        power.setdefault(name, []).append(np.square(tokens).sum(axis=1))
    for name, found in largest.items():
        each, squares = np.concatenate(found).astype(np.float64), np.concatenate(power[name]).astype(np.float64)
        seen = squares > 0  # a token of zeros is exact in any steps
        if seen.any():
            bound = float(each.max()) * MARGIN
            noise = bound**2 * float((1 / squares[seen]).sum() / (each[seen] ** 2 / squares[seen]).sum())
            yield name, Range(bound, noise)


def _activations(fp32: Path, inputs: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Run the graph on each sample of `inputs`; yields the activations that enter each product, with their name."""
    model = onnx.load(fp32, load_external_data=False)
    names = list(products(model.graph))
    if not names:
        return
    given = {port.name for port in model.graph.input}
    shown = [name for name in names if name not in given]
    model.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in shown)
    probing = fp32.with_suffix(".activations.onnx")
    onnx.save(model, probing)
    try:
        for feed, computed in run_each(probing, shown, inputs):
            yield from zip(shown, computed, strict=True)
            yield from ((name, feed[name]) for name in names if name in given)
    finally:
        probing.unlink()
