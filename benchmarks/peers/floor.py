"""The least time of a tower's products with 8-bit weights: each shape in the library that is fastest at it.

ONNX Runtime, OpenVINO, and torch where it has a kernel for 8 bits, run nothing but the products, 8 bits in and out
where they can, one after the other with weights of its own, as in a tower. No engine can be faster, unless it computes
less.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from benchmarks.peers.products import Product

TRIED = 256  # rows and columns


def least_seconds(wanted: Sequence[Product], rounds: int = 5) -> float:
    """Return the seconds of all products: for each shape the shortest of all libraries and rounds."""
    libraries = (_in_onnx_runtime, _in_openvino, *([_in_torch] if torch_gains() else []))
    return sum(
        min(shortest(make(shape, number), rounds) for make in libraries) for shape, number in Counter(wanted).items()
    )


@cache
def torch_gains() -> bool:
    """Tell whether torch is faster in 8 bits than in fp32: without VNNI it is a plain loop, which sets no floor."""
    import torch

    whole, bytes_ = (torch.ones(TRIED, TRIED, dtype=kind) for kind in (torch.float32, torch.int8))
    return shortest(lambda: torch._int_mm(bytes_, bytes_), 3) < shortest(lambda: torch.mm(whole, whole), 3)


def shortest(run: Callable[[], object], rounds: int) -> float:
    """Return the shortest of so many runs in seconds, after one that is not counted: a limit has no bad luck."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def _chain(shape: Product, number: int) -> list[tuple[int, int]]:
    """Return so many products as a chain, each by its inner and outer size: there and back, the same operations."""
    return [(shape.inner, shape.columns) if at % 2 == 0 else (shape.columns, shape.inner) for at in range(number)]


def _in_torch(shape: Product, number: int) -> Callable[[], object]:
    import torch

    left = torch.ones(shape.rows, shape.inner, dtype=torch.int8)
    weights = [torch.ones(shape.inner, shape.columns, dtype=torch.int8) for _ in range(number)]
    return lambda: [torch._int_mm(left, right) for right in weights]


def _in_onnx_runtime(shape: Product, number: int) -> Callable[[], object]:
    import onnxruntime
    import torch
    from onnx import TensorProto, helper, numpy_helper

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    chain = _chain(shape, number)
    constants = [numpy_helper.from_array(np.float32(0.01), "s"), numpy_helper.from_array(np.uint8(128), "z")]
    constants += [numpy_helper.from_array(np.int8(0), "wz")]
    constants += [numpy_helper.from_array(np.ones(sizes, np.int8), f"w{at}") for at, sizes in enumerate(chain)]
    nodes = [
        helper.make_node("QLinearMatMul", [f"x{at}", "s", "z", f"w{at}", "s", "wz", "s", "z"], [f"x{at + 1}"])
        for at in range(number)
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, [shape.rows, width])
        for name, width in (("x0", shape.inner), (f"x{number}", chain[-1][1]))
    ]
    graph = helper.make_graph(nodes, "products", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {"x0": np.ones((shape.rows, shape.inner), np.uint8)}
    return lambda: session.run(None, feed)


def _in_openvino(shape: Product, number: int) -> Callable[[], object]:
    import openvino
    import torch
    from openvino import opset13 as operations

    def quantized(value: Any) -> Any:
        low, high = np.float32(0), np.float32(1)
        return operations.fake_quantize(value, low, high, low, high, 256)

    given = operations.parameter([shape.rows, shape.inner], np.float32)
    value = quantized(given)
    for inner, columns in _chain(shape, number):
        weights = operations.convert(operations.constant(np.ones((columns, inner), np.int8)), np.float32)
        scaled = operations.multiply(weights, operations.constant(np.full((columns, 1), 0.01, np.float32)))
        value = quantized(operations.matmul(value, scaled, False, True))
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    request = openvino.Core().compile_model(openvino.Model([value], [given]), "CPU", settings).create_infer_request()
    request.infer({0: np.ones((shape.rows, shape.inner), np.float32)})
    return lambda: request.infer(share_outputs=True)
