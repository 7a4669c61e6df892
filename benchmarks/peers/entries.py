"""The rows of the comparison: our engines by both measures, and every peer with its settings."""

from benchmarks.peers.contender import Entry

HERE = "benchmarks.peers"
CLIP = ("ViT-B-32",)
OURS = (
    Entry("onnx int8", f"{HERE}.our_handler:OurHandler", {"engine": "onnx-int8"}, requests=True, ours=True),
    Entry("openvino int8", f"{HERE}.our_handler:OurHandler", {"engine": "openvino-int8"}, requests=True, ours=True),
)
REFERENCE = Entry("open_clip fp32", f"{HERE}.open_clip_torch:OpenClip", requests=True)
TOWERS = (
    REFERENCE,
    Entry("torch bf16", f"{HERE}.open_clip_torch:OpenClip", {"half": True}),
    Entry("transformers sdpa bf16", f"{HERE}.transformers_sdpa:Transformers"),
    Entry("ONNX Runtime fp32", f"{HERE}.onnx_runtime:OnnxRuntime", {"folder": "onnx"}),
    Entry("ONNX Runtime dynamic int8", f"{HERE}.onnx_runtime:OnnxRuntime", {"folder": "dynamic"}),
    Entry(
        "ONNX Runtime dynamic int8, per channel", f"{HERE}.onnx_runtime:OnnxRuntime", {"folder": "dynamic-per-channel"}
    ),
    Entry("OpenVINO", f"{HERE}.openvino_runtime:OpenVino", {"folder": "openvino"}),
    Entry("OpenVINO NNCF int8", f"{HERE}.openvino_runtime:OpenVino", {"folder": "nncf"}),
    Entry("OpenVINO NNCF int8, static shapes", f"{HERE}.openvino_runtime:OpenVino", {"folder": "nncf", "static": True}),
)
WHOLE = (
    Entry(
        "sentence-transformers",
        f"{HERE}.sentence_encoder:SentenceEncoder",
        environment="sentence-transformers",
        towers=False,
        requests=True,
    ),
    Entry(
        "infinity",
        f"{HERE}.infinity_engine:Infinity",
        environment="infinity",
        towers=False,
        requests=True,
        models=CLIP,
        why="it reads SigLIP's tokens from SentencePiece's file, which open_clip's repositories do not have",
    ),
    Entry(
        "modern-onnx-clip",
        f"{HERE}.modern_clip:ModernClip",
        {"folder": "onnx"},
        environment="modern-onnx-clip",
        towers=False,
        requests=True,
        models=CLIP,
        why="it normalizes the pixels of every model as CLIP's",
    ),
    Entry(
        "modern-onnx-clip int8",
        f"{HERE}.modern_clip:ModernClip",
        {"folder": "dynamic"},
        environment="modern-onnx-clip",
        towers=False,
        requests=True,
        models=CLIP,
        why="it normalizes the pixels of every model as CLIP's",
    ),
)
ENTRIES = (*OURS, *TOWERS, *WHOLE)
