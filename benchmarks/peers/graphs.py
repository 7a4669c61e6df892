"""The plain export of both towers, and what ONNX Runtime's and OpenVINO's own tools make of it."""

import json
import shutil
from pathlib import Path
from typing import Any

TOWERS = ("visual", "textual")
VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"


def export(loaded: Any, name: str, folder: Path) -> None:
    """Export both towers as modern-onnx-clip's exporter does: the batch's size is free, the context is whole."""
    import open_clip
    import torch

    class Text(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = loaded.model

        def forward(self, ids: Any) -> Any:
            return self.model.encode_text(ids)

    size = loaded.model.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    ids = torch.from_numpy(loaded.ids(["a photo of a cat", "two dogs"]))
    torch.backends.mha.set_fastpath_enabled(False)
    for module, example, tower in (
        (loaded.model.visual, torch.zeros(2, 3, height, width), "visual"),
        (Text(), ids, "textual"),
    ):
        port = "image" if tower == "visual" else "text"
        with torch.no_grad():
            torch.onnx.export(
                module.eval(),
                (example,),
                str(folder / f"{tower}.onnx"),
                input_names=[port],
                output_names=["embedding"],
                dynamic_axes={port: {0: "batch"}, "embedding": {0: "batch"}},
                opset_version=17,
                dynamo=False,
            )
    facts = {"model_name": name, "image_size": height, "context_length": ids.shape[1]}
    (folder / "config.json").write_text(json.dumps(facts))
    shutil.copy(Path(open_clip.__file__).parent / VOCABULARY, folder)  # modern-onnx-clip downloads it otherwise


def quantize(source: Path, folder: Path, per_channel: bool = False) -> None:
    """Quantize weights as ONNX Runtime's documentation advises: `quant_pre_process`, then `quantize_dynamic`.

    Products, and the table of tokens.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    for tower in TOWERS:
        prepared = folder / f"prepared-{tower}.onnx"
        _pre_process(source / f"{tower}.onnx", prepared)
        quantize_dynamic(
            prepared,
            folder / f"{tower}.onnx",
            op_types_to_quantize=["MatMul", "Gemm", *(["Gather"] if tower == "textual" else [])],
            per_channel=per_channel,
            weight_type=QuantType.QInt8,
        )
        prepared.unlink()
    for name in ("config.json", VOCABULARY):
        if (source / name).exists():
            shutil.copy(source / name, folder)


def _pre_process(source: Path, prepared: Path) -> None:
    """Optimize a graph and infer its shapes: with symbols, where ONNX Runtime's inference can follow the export."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    try:
        quant_pre_process(str(source), str(prepared))
    except AssertionError:  # torch's export has a reshape whose rank it does not know
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)


def convert(source: Path, folder: Path) -> None:
    """Convert both towers to OpenVINO's form with its defaults, which keep weights in 16 bits."""
    import openvino

    for tower in TOWERS:
        openvino.save_model(openvino.convert_model(source / f"{tower}.onnx"), folder / f"{tower}.xml")
