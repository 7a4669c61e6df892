"""OpenVINO's form of a tower: its intermediate representation, with 8-bit weights where the recipe says so."""

import logging
from pathlib import Path

import openvino

from layer.export.recipes import Recipe


def write_ir(fp32: Path, recipe: Recipe, target: Path) -> None:
    """Write `target` (.xml) and its .bin from an fp32 ONNX graph; nothing in it depends on this host's processor."""
    model = openvino.Core().read_model(fp32)
    if recipe.block:
        import nncf  # late: slow to import

        logging.getLogger("nncf").setLevel(logging.ERROR)
        model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(model, target, compress_to_fp16=False)
