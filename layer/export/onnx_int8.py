"""An ONNX graph in 8 bits as a recipe has it, and optimized once at build instead of at every cold start."""

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from layer.engines import Recipe
from layer.export.fused_attention import fuse_attention, read_shapes
from layer.export.per_token_int8 import per_token_matmul, write_saturation_safe, write_vnni_probe
from layer.export.static_ranges import read_static_ranges


def write_runtime_graph(fp32: Path, recipe: Recipe, target: Path) -> None:
    """Write `target` (and its .data) from an fp32 graph: quantized, then optimized as far as any host can use it.

    Beside products in integers a second graph is written, for processors that saturate.
    """
    quantized = fp32
    if recipe.block:
        quantized = target.with_suffix(".quantized.onnx")
        _quantize(fp32, recipe, quantized)
    options = onnxruntime.SessionOptions()
    # EXTENDED and not ALL: the layouts that ALL chooses fit the processor of the building machine alone.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _data(target).name)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    options.add_session_config_entry("session.disable_prepacking", "1")  # packed weights are the host's, not the file's
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(quantized), options, providers=["CPUExecutionProvider"])
    if recipe.block:
        quantized.unlink()
        _data(quantized).unlink()
    model = onnx.load(target, load_external_data=False)
    if fuse_attention(model, read_shapes(onnx.load(fp32, load_external_data=False))):
        onnx.save(model, target)
    if recipe.per_token:
        write_saturation_safe(target, target.with_suffix(".wide.onnx"))
        write_vnni_probe(target.with_name("probe.onnx"))


def _quantize(source: Path, recipe: Recipe, target: Path) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    config = DefaultWeightOnlyQuantConfig(
        block_size=recipe.block, is_symmetric=True, bits=8, accuracy_level=4 if recipe.activations == 8 else 0
    )
    model = onnx.load(source)
    _split_gemm(model.graph)
    if recipe.per_token:
        per_token_matmul(model, read_static_ranges(source, recipe))
    quantizer = MatMulNBitsQuantizer(model, algo_config=config)
    quantizer.process()
    _data(target).unlink(missing_ok=True)
    onnx.save_model(
        quantizer.model.model, target, save_as_external_data=True, location=_data(target).name, size_threshold=1024
    )


def _split_gemm(graph: onnx.GraphProto) -> None:
    """Make each linear layer of pooled vectors a product and a sum: the quantizer takes no Gemm."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        settings = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
        settings |= {field.name: onnx.helper.get_attribute_value(field) for field in node.attribute}
        plain = (settings["alpha"], settings["beta"], settings["transA"]) == (1.0, 1.0, 0)
        if node.op_type != "Gemm" or node.input[1] not in weights or not plain:
            nodes.append(node)
            continue
        matrix = onnx.numpy_helper.to_array(weights[node.input[1]])
        nodes += _product_and_sum(node, f"{node.output[0]}.matrix")
        stored = np.ascontiguousarray(matrix.T if settings["transB"] else matrix)
        graph.initializer.append(onnx.numpy_helper.from_array(stored, f"{node.output[0]}.matrix"))
    del graph.node[:]
    graph.node.extend(nodes)


def _product_and_sum(gemm: onnx.NodeProto, matrix: str) -> list[onnx.NodeProto]:
    bias = [name for name in gemm.input[2:] if name]
    product = f"{gemm.output[0]}.product" if bias else gemm.output[0]
    nodes = [onnx.helper.make_node("MatMul", [gemm.input[0], matrix], [product], name=f"{gemm.name}.product")]
    if bias:
        nodes.append(onnx.helper.make_node("Add", [product, *bias], [gemm.output[0]], name=f"{gemm.name}.sum"))
    return nodes


def _data(graph: Path) -> Path:
    return graph.with_suffix(".data")
