"""OpenVINO with its defaults for latency: the converted model as it comes, and what NNCF quantized."""

from typing import TYPE_CHECKING, Any

from benchmarks.peers.contender import Setup
from benchmarks.peers.lean_inputs import LeanInputs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OpenVino:
    """Two models of one folder. With `static`, one is compiled for each size of batch when it is first seen."""

    def __init__(self, setup: Setup, folder: str, static: bool = False) -> None:
        import openvino

        core = openvino.Core()
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": setup.threads}
        self._visual, self._textual = (
            _Tower(core, str(setup.peers / folder / f"{tower}.xml"), settings, static)
            for tower in ("visual", "textual")
        )
        self._inputs = LeanInputs(setup)

    def first(self, image: bytes, caption: str) -> None:
        """Embed an encoded image and a caption."""
        self._inputs.first(self, image, caption)

    def images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embed pixels."""
        return self._visual(pixels)

    def captions(self, ids: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """Embed token ids."""
        return self._textual(ids)


class _Tower:
    def __init__(self, core: Any, path: str, settings: dict[str, Any], static: bool) -> None:
        self._core, self._path, self._settings, self._static = core, path, settings, static
        self._requests: dict[int, Any] = {}
        self._request(1)  # as it is loaded, not as it first runs

    def _request(self, batch: int) -> Any:
        size = batch if self._static else 0
        if size not in self._requests:
            model = self._core.read_model(self._path)
            if self._static:
                model.reshape([size, *list(model.inputs[0].partial_shape)[1:]])
            self._requests[size] = self._core.compile_model(model, "CPU", self._settings).create_infer_request()
        return self._requests[size]

    def __call__(self, batch: "NDArray[Any]") -> "NDArray[np.float32]":
        [vectors] = self._request(len(batch)).infer({0: batch}).values()
        found: NDArray[np.float32] = vectors
        return found
