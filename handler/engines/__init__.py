"""The engines' shared protocol, and the choice of one by its name in the manifest."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from handler.errors import BundleError
from handler.manifest import Manifest, ModelEntry
from handler.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Engine(Protocol):
    """Turns token ids and pixels into embeddings. Vectors come as the towers give them, not normalised."""

    def tokenize(self, texts: Sequence[str]) -> "NDArray[np.int64]":
        """Return token ids: int64 [N, context_length], padded."""

    def encode_tokens(self, ids: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """Embed token ids [N, context_length] as float32 [N, D]."""

    def encode_images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embed normalised pixels, float32 [N, 3, H, W], as float32 [N, D]."""


def create_engine(entry: ModelEntry, manifest: Manifest, settings: Settings) -> Engine:
    """Load the model with the engine that the manifest names. Raises BundleError for an engine not known here."""
    if entry.engine == "torch":
        from handler.engines.torch_engine import TorchEngine  # late: torch and open_clip take seconds to import

        return TorchEngine(entry, manifest, settings)
    if entry.engine == "onnx":
        from handler.engines.onnx_engine import OnnxEngine

        return OnnxEngine(entry, manifest, settings)
    if entry.engine == "openvino":
        if "openvino" not in sys.modules:  # the first model of this engine
            from handler.engines.ahead import libraries, read_ahead

            read_ahead(libraries("openvino", "libs/libopenvino.so*", "*.so", "libs/libopenvino_intel_cpu_plugin.so"))
        from handler.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(entry, manifest, settings)
    raise BundleError(f"{entry.id} wants engine {entry.engine!r}, which this handler does not have: deploy both anew")
