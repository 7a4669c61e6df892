"""Block-wise 8-bit weights for an ONNX graph, and the graph optimised once at build instead of at every cold start."""

import logging
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime


@dataclass(frozen=True)
class Recipe:
    """How a graph's matrices are kept: `block` weights share a scale; `activations` says in how many bits they meet."""

    name: str
    block: int = 0  # 0: fp32, nothing is quantised
    activations: int = 32

    @property
    def accuracy_level(self) -> int:
        """MatMulNBits' own word for it: 4 computes in 8 bits, 0 leaves activations as they are."""
        return 4 if self.activations == 8 else 0


FP32 = Recipe("fp32")
# From the fastest to the most exact. Per-tensor dynamic quantisation is not among them: 0.97 on trained weights.
INT8 = (
    Recipe("8-bit weights in blocks of 128, 8-bit activations", 128, 8),
    Recipe("8-bit weights in blocks of 32, 8-bit activations", 32, 8),
    Recipe("8-bit weights in blocks of 128, fp32 activations", 128, 32),
    Recipe("8-bit weights in blocks of 32, fp32 activations", 32, 32),
)


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
        block_size=recipe.block, is_symmetric=True, bits=8, accuracy_level=recipe.accuracy_level
    )
    quantizer = MatMulNBitsQuantizer(onnx.load(source), algo_config=config)
    quantizer.process()
    _data(target).unlink(missing_ok=True)
    onnx.save_model(
        quantizer.model.model, target, save_as_external_data=True, location=_data(target).name, size_threshold=1024
    )


def _data(graph: Path) -> Path:
    return graph.with_suffix(".data")
