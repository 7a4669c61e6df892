"""A fixed range for the activations that enter a product, where it is nearly as exact as a range for each token.

With a fixed range nothing has to be measured at run time: activations become integers where they are computed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from layer.engines import Recipe
from layer.export.calibration import products

MARGIN = 1.1  # an image of a user's may reach further than those that were measured


class Range(NamedTuple):
    """Activations are from -`reach` to `reach`; rounding is `noise` times as loud as with a range for each token."""

    reach: float
    noise: float


def write_static_ranges(fp32: Path, inputs: Path) -> None:
    """Measure a graph on `inputs`, an .npz as its ports, and write what is found to `fp32` with .ranges.json."""
    found = {name: [range_.reach, range_.noise] for name, range_ in _measured(fp32, inputs)}
    _file(fp32).write_text(json.dumps(found), encoding="utf-8")


def read_static_ranges(fp32: Path, recipe: Recipe) -> dict[str, float]:
    """Return the reach by name of the activations for which the recipe has a fixed range; none where it has no such."""
    if not recipe.static_noise:
        return {}
    found: dict[str, list[float]] = json.loads(_file(fp32).read_text(encoding="utf-8"))
    return {name: reach for name, (reach, noise) in found.items() if noise <= recipe.static_noise}


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
            reach = float(each.max()) * MARGIN
            noise = reach**2 * float((1 / squares[seen]).sum() / (each[seen] ** 2 / squares[seen]).sum())
            yield name, Range(reach, noise)


def _activations(fp32: Path, inputs: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Run the graph on each sample of `inputs`; yields what enters its products, by name."""
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
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.disable_prepacking", "1")  # a copy of every weight
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(probing), options, providers=["CPUExecutionProvider"])
        with np.load(inputs) as held:
            feeds = {port.name: held[port.name] for port in session.get_inputs()}
        for row in range(len(next(iter(feeds.values())))):
            feed = {name: values[row : row + 1] for name, values in feeds.items()}
            yield from zip(shown, session.run(shown, feed), strict=True)
            yield from ((name, feed[name]) for name in names if name in given)
    finally:
        probing.unlink()
