"""ONNX Runtime with its defaults, on open_clip's plain export: fp32, and what `quantize_dynamic` makes of it."""

from typing import TYPE_CHECKING, Any

from benchmarks.peers.contender import Setup
from benchmarks.peers.lean_inputs import LeanInputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OnnxRuntime:
    """Two graphs of one folder, each in a session."""

    def __init__(self, setup: Setup, folder: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = setup.threads
        options.log_severity_level = 3
        self._visual, self._textual = (
            onnxruntime.InferenceSession(
                str(setup.peers / folder / f"{tower}.onnx"), options, providers=["CPUExecutionProvider"]
            )
            for tower in ("visual", "textual")
        )
        self._inputs = LeanInputs(setup)

    def first(self, image: bytes, caption: str) -> None:
        """Embed an encoded image and a caption."""
        self._inputs.first(self, image, caption)

    def images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embed pixels."""
        return _run(self._visual, pixels)

    def captions(self, ids: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """Embed token ids."""
        return _run(self._textual, ids)


def _run(session: Any, batch: "NDArray[Any]") -> "NDArray[np.float32]":
    vectors: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: batch})[0]
    return vectors
