"""NNCF's static 8-bit quantization for transformers, in NNCF's own environment; argv: the peers' folder, the output."""

import sys
from pathlib import Path


def main() -> None:
    """Quantize both towers, with activations measured on the calibration's inputs."""
    import nncf
    import numpy as np
    import openvino

    peers, folder = (Path(name) for name in sys.argv[1:])
    for tower, inputs in (("visual", "pixels"), ("textual", "ids")):
        given = np.load(peers / "inputs" / f"calibration-{inputs}.npy", mmap_mode="r")
        quantized = nncf.quantize(
            openvino.convert_model(peers / "onnx" / f"{tower}.onnx"),
            nncf.Dataset([np.array(given[at : at + 1]) for at in range(len(given))]),
            subset_size=len(given),
            model_type=nncf.ModelType.TRANSFORMER,
        )
        openvino.save_model(quantized, folder / f"{tower}.xml")
