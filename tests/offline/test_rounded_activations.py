"""The gate rounds activations to 8 bits where this processor would not, as others do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray
from openvino import opset13 as ops

from handler.engines.host_kind import saturates
from handler.engines.openvino_variants import variants_of
from layer.engines import PER_TOKEN, ROW, Recipe
from layer.export.openvino_ir import write_ir
from layer.export.rounded_activations import rounded

BLOCKS, CHANNELS = Recipe("blocks", 32, 8), 128
GROUPED = Recipe("rows", ROW, 8, 64)


def tokens(channels: int) -> NDArray[np.float32]:
    """Return tokens, of which some channels reach much farther than the others."""
    made = np.random.default_rng(5).standard_normal((3, 7, channels)).astype(np.float32)
    made[..., ::16] *= 30
    return made


@pytest.fixture(scope="module")
def values() -> NDArray[np.float32]:
    return tokens(CHANNELS)


def write_tower(folder: Path, recipe: Recipe, channels: int) -> Path:
    """Write one product with a matrix of 64 rows, as `text.xml`."""
    x = ops.parameter([-1, -1, channels], np.float32)
    matrix = np.random.default_rng(6).standard_normal((64, channels)).astype(np.float32)
    product = ops.matmul(x, ops.constant(matrix), False, True)
    openvino.save_model(openvino.Model([ops.result(product)], [x]), folder / "fp32.xml", compress_to_fp16=False)
    write_ir(folder / "fp32.xml", recipe, folder / "text.xml")
    return folder / "text.xml"


@pytest.fixture
def tower(tmp_path: Path) -> Path:
    """One product with a matrix in blocks, as `text.xml`."""
    return write_tower(tmp_path, BLOCKS, CHANNELS)


def run(path: Path, values: NDArray[np.float32], recipe: Mapping[str, Any]) -> NDArray[np.float32]:
    """Run a tower as the handler compiles it on this processor."""
    config = variants_of(recipe, 2, has_bf16=False, inexact=saturates())[0].settings
    found: NDArray[np.float32] = openvino.Core().compile_model(path, "CPU", config)(values)[0]
    return found


def off(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def by_numpy(values: NDArray[np.float32], group: int) -> NDArray[np.float32]:
    made = values.copy()
    for start in range(0, values.shape[-1], group):
        part = values[..., start : start + group]
        step = np.abs(part).max(axis=-1, keepdims=True) / np.float32(127)
        made[..., start : start + group] = np.rint(part / step) * step
    return made


def test_a_tower_rounds_as_numpy_does_and_is_put_back(tower: Path, values: NDArray[np.float32]) -> None:
    before = {file.name: file.read_bytes() for file in tower.parent.iterdir()}
    exact = {"activation_group": 0}
    expected = run(tower, by_numpy(values, 32), exact)
    assert off(run(tower, values, exact), expected) > 1e-3, "the rounding shows"

    with rounded(tower.parent, {"text": BLOCKS}) as towers:
        assert towers == ("text",)
        assert off(run(tower, values, exact), expected) < 1e-5
    assert {file.name: file.read_bytes() for file in tower.parent.iterdir()} == before


@pytest.mark.parametrize(
    ("recipe", "channels", "group"),
    [
        (BLOCKS, 128, 32),
        (GROUPED, 128, 64),
        (GROUPED, 160, 64),  # the last group has 32
        (GROUPED, 48, None),  # smaller than a group: not rounded
        (Recipe("blocks that do not divide a row", 128, 8), 160, 128),
    ],
    ids=["blocks", "rows", "shorter-last-group", "no-group", "no-block"],
)
def test_what_is_rounded_here_is_what_the_plugin_rounds(
    tmp_path: Path, recipe: Recipe, channels: int, group: int | None
) -> None:
    path, values, exact = write_tower(tmp_path, recipe, channels), tokens(channels), {"activation_group": 0}
    expected = run(path, values if group is None else by_numpy(values, group), exact)

    if not saturates():  # others have no such products
        assert off(run(path, values, {"activation_group": recipe.activation_group}), expected) < 1e-5
    with rounded(tmp_path, {"text": recipe}):
        assert off(run(path, values, exact), expected) < 1e-5


def test_fp32_activations_stay_what_they_are(tower: Path) -> None:
    before = tower.read_bytes()
    with rounded(tower.parent, {"text": Recipe("fp32 activations", 32)}) as towers:
        assert (towers, tower.read_bytes()) == ((), before)


def test_a_graph_that_rounds_by_itself_stays_what_it_is(tower: Path) -> None:
    write_ir(tower.with_name("fp32.xml"), PER_TOKEN, tower)
    before = tower.read_bytes()
    with rounded(tower.parent, {"text": PER_TOKEN}) as towers:
        assert (towers, tower.read_bytes()) == ((), before)
