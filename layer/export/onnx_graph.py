"""Export a tower to ONNX: dynamic batch, weights in a file beside the graph, which is then read by memory mapping."""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from layer.errors import ExportError
from layer.export.attention import export_friendly_attention
from layer.export.patch_embedding import patches_as_product
from layer.export.towers import CausalTextTower, ImageTower, TextTower, inputs_of, is_causal

MAX_BATCH = MAX_ROW = 4096


def export_fp32(model: Any, image_size: tuple[int, int], context_length: int, folder: Path) -> None:
    """Write image.onnx and text.onnx with their weights in fp32."""
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    pixels = torch.zeros(2, 3, *image_size)
    _export(ImageTower(model), {"pixels": pixels}, {"pixels": {0: batch}}, folder, "image")
    # Two different ids above 0: a traced argmax must not meet a row that is all the same.
    ids = torch.arange(2 * context_length).reshape(2, context_length) % 97 + 1
    if not is_causal(model):
        _export(TextTower(model), {"ids": ids}, {"ids": {0: batch}}, folder, "text")
        return
    row = torch.export.Dim("length", min=2, max=max(MAX_ROW, 4 * context_length))  # of several texts
    texts = torch.export.Dim("texts", min=1, max=MAX_ROW)
    given = inputs_of(ids, None)
    given["ends"] = given["ends"].expand(2, 3)
    tokens, ends = {0: batch, 1: row}, {0: batch, 1: texts}
    sizes = {"ids": tokens, "positions": tokens, "mask": {0: batch, 2: row, 3: row}, "ends": ends}
    _export(CausalTextTower(model), given, sizes, folder, "text")


def _export(
    tower: torch.nn.Module, example: dict[str, torch.Tensor], sizes: dict[str, Any], folder: Path, name: str
) -> None:
    with warnings.catch_warnings(), export_friendly_attention(), patches_as_product(tower):
        warnings.simplefilter("ignore")  # of torch's exporter about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                tower.eval(),
                tuple(example.values()),
                dynamo=True,
                external_data=True,
                dynamic_shapes=tuple(sizes.values()),
                input_names=list(example),
                output_names=["vectors"],  # "embedding" is what the exporter calls the table
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            cause = error.__cause__ or error  # its own message is an essay, without the reason in its last line
            reason = str(cause).strip().partition("\n")[0]
            raise ExportError(
                f"the {name} tower cannot be exported to ONNX ({type(cause).__name__}: {reason}): "
                'set engine = "torch" for this model in models.toml'
            ) from error
    assert program is not None  # noqa: S101 - with dynamo it is
    program.save(str(folder / f"{name}.onnx"), external_data=True)
