"""Block-wise 8-bit weights for an ONNX graph, and the graph optimised once at build instead of at every cold start."""

import logging
from pathlib import Path

import onnx
import onnxruntime

from layer.export.recipes import Recipe


def write_runtime_graph(fp32: Path, recipe: Recipe, target: Path) -> None:
    """Write `target` (and its .data) from an fp32 graph: quantised, then optimised as far as any host can use it."""
    quantised = fp32
    if recipe.block:
        quantised = target.with_suffix(".quantised.onnx")
        _quantise(fp32, recipe, quantised)
    options = onnxruntime.SessionOptions()
    # EXTENDED and not ALL: the layouts that ALL chooses fit the processor of the building machine alone.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _data(target).name)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    options.add_session_config_entry("session.disable_prepacking", "1")  # packed weights are the host's, not the file's
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(quantised), options, providers=["CPUExecutionProvider"])
    if recipe.block:
        quantised.unlink()
        _data(quantised).unlink()


def _quantise(source: Path, recipe: Recipe, target: Path) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    config = DefaultWeightOnlyQuantConfig(
        block_size=recipe.block, is_symmetric=True, bits=8, accuracy_level=4 if recipe.activations == 8 else 0
    )
    quantizer = MatMulNBitsQuantizer(onnx.load(source), algo_config=config)
    quantizer.process()
    _data(target).unlink(missing_ok=True)
    onnx.save_model(
        quantizer.model.model, target, save_as_external_data=True, location=_data(target).name, size_threshold=1024
    )


def _data(graph: Path) -> Path:
    return graph.with_suffix(".data")
