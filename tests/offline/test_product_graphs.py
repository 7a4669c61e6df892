"""Products of an OpenVINO graph that are taken apart, or take in a scale: the graph computes what it did."""

from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from layer.export.query_scale import fold_scales
from layer.export.split_products import split_products

IN_F32 = {"INFERENCE_PRECISION_HINT": "f32"}


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("transposed", [True, False])
def test_a_product_that_is_split_becomes_one_for_each_part(biased: bool, transposed: bool) -> None:
    rng = np.random.default_rng(0)
    x = ops.parameter([-1, 5, 8], np.float32)
    matrix = rng.standard_normal((8, 12)).astype(np.float32)
    given = ops.constant(matrix.T.copy() if transposed else matrix)
    product = ops.matmul(x, given, False, transposed)
    if biased:
        product = ops.add(product, ops.constant(rng.standard_normal((1, 1, 12)).astype(np.float32)))
    parts = ops.split(product, ops.constant(-1), 3)
    model = openvino.Model([ops.result(parts.output(place)) for place in range(3)], [x])
    values = rng.standard_normal((2, 5, 8)).astype(np.float32)
    before = openvino.compile_model(model, "CPU", IN_F32)(values)
    expected = [before[place].copy() for place in range(3)]

    split_products(model)

    kinds = [node.get_type_name() for node in model.get_ops()]
    assert (kinds.count("MatMul"), kinds.count("Split")) == (3, 0)
    found = openvino.compile_model(model, "CPU", IN_F32)(values)
    for place in range(3):
        assert found[place] == pytest.approx(expected[place], abs=1e-5)


def product(x: Any, biased: bool = True, transposed: bool = True) -> Any:
    rng = np.random.default_rng(0)
    matrix = ops.constant(rng.standard_normal((12, 8) if transposed else (8, 12)).astype(np.float32))
    found = ops.matmul(x, matrix, False, transposed)
    return ops.add(found, ops.constant(rng.standard_normal(12).astype(np.float32))) if biased else found


def heads(made: Any) -> Any:
    """Split [N, 5, 12] as attention does: [N, 3, 5, 4]."""
    parts = ops.reshape(made, ops.constant(np.array([0, 5, 3, 4])), True)
    return ops.transpose(parts, ops.constant(np.array([0, 2, 1, 3])))


def scaled(made: Any, by: Any) -> Any:
    return ops.multiply(made, ops.constant(np.asarray(by, np.float32)))


def folded(x: Any, *outputs: Any) -> tuple[int, list[Any], list[Any]]:
    """Return how many multiplications are left, and what the graph computes before and after."""
    model = openvino.Model([ops.result(output) for output in outputs], [x])
    values = np.random.default_rng(1).standard_normal((2, 5, 8)).astype(np.float32)
    before = [array.copy() for array in openvino.compile_model(model, "CPU", IN_F32)(values).values()]
    fold_scales(model)
    after = list(openvino.compile_model(model, "CPU", IN_F32)(values).values())
    return sum(node.get_type_name() == "Multiply" for node in model.get_ops()), before, after


@pytest.fixture
def x() -> Any:
    return ops.parameter([-1, 5, 8], np.float32)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("scale", [0.125, [[[[0.125]]]], 80**-0.5], ids=["scalar", "of four axes", "no power of two"])
def test_a_scale_behind_the_split_into_heads_becomes_part_of_the_product(
    x: Any, biased: bool, transposed: bool, scale: Any
) -> None:
    left, before, after = folded(x, scaled(heads(product(x, biased, transposed)), scale))
    assert left == 0
    tolerance = 1e-6 if scale == 80**-0.5 else 0  # a power of two changes no digit
    np.testing.assert_allclose(after[0], before[0], rtol=0, atol=tolerance)


def test_a_product_that_something_else_reads_keeps_its_numbers(x: Any) -> None:
    one = product(x)
    assert folded(x, scaled(heads(one), 0.125), ops.relu(one))[0] == 1
    parts = heads(product(x))
    assert folded(x, scaled(parts, 0.125), ops.relu(parts))[0] == 1


def test_what_is_no_scale_of_a_product_stays(x: Any) -> None:
    assert folded(x, scaled(heads(product(x)), [0.1, 0.2, 0.3, 0.4]))[0] == 1
    assert folded(x, scaled(ops.relu(product(x)), 0.125))[0] == 1
    assert folded(x, scaled(x, 0.125))[0] == 1
    left, before, after = folded(x, scaled(product(x), [[[[0.125]]]]))  # adds an axis
    assert (left, before[0].shape, after[0].shape) == (1, (1, 2, 5, 12), (1, 2, 5, 12))
