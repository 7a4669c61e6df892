"""Towers in 8 bits as the handler runs them on this machine's processor."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handler.engines.host_kind import saturates
from handler.engines.openvino_engine import Tower, openvino
from handler.engines.openvino_variants import variants_of
from layer.engines import Recipe

GRAPH = "image.wide.onnx" if saturates() else "image.onnx"  # of those that are written for ONNX Runtime


def by_openvino(graph: Path, recipe: Recipe, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a tower of one input by the shipped engine's class, with the first settings that are exact here."""
    facts = {"recipe": recipe.name, "activation_group": recipe.activation_group}
    tower = Tower(openvino.Core(), graph, variants_of(facts, 1, has_bf16=False, inexact=saturates()), lambda: None)
    [name] = tower.inputs
    return tower({name: x})
