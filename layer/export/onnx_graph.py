"""Export a tower to ONNX: dynamic batch, weights in a file beside the graph, which is then read by memory mapping."""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from layer.errors import ExportError
from layer.export.attention import export_friendly_attention
from layer.export.patch_embedding import patches_as_product
from layer.export.towers import CausalTextTower, ImageTower, TextTower, is_causal

INPUTS = {"image": "pixels", "text": "ids"}
MAX_BATCH = 4096


def export_fp32(model: Any, image_size: tuple[int, int], context_length: int, folder: Path) -> None:
    """Write image.onnx and text.onnx with their weights in fp32."""
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    _export(ImageTower(model), torch.zeros(2, 3, *image_size), {0: batch}, folder, "image")
    # Two different ids above 0: a traced argmax must not meet a row that is all the same.
    ids = torch.arange(2 * context_length).reshape(2, context_length) % 97 + 1
    if is_causal(model):
        length = torch.export.Dim("length", min=2, max=context_length)
        _export(CausalTextTower(model), ids[:, : context_length - 1], {0: batch, 1: length}, folder, "text")
    else:
        _export(TextTower(model), ids, {0: batch}, folder, "text")


def _export(tower: torch.nn.Module, example: torch.Tensor, dynamic: dict[int, Any], folder: Path, name: str) -> None:
    with warnings.catch_warnings(), export_friendly_attention(), patches_as_product(tower):
        warnings.simplefilter("ignore")  # of torch's exporter about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                tower.eval(),
                (example,),
                dynamo=True,
                external_data=True,
                dynamic_shapes=(dynamic,),
                input_names=[INPUTS[name]],
                output_names=["vectors"],  # "embedding" is what the exporter calls the table
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            cause = error.__cause__ or error  # its own message is an essay, without the reason in its last line
            reason = str(cause).strip().partition("\n")[0]
            raise ExportError(f"the {name} tower: {type(cause).__name__}: {reason}") from error
    assert program is not None  # noqa: S101 - with dynamo it is
    program.save(str(folder / f"{name}.onnx"), external_data=True)
