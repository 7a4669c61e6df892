"""transformers in bf16, with torch's fused attention: CLIPModel and SiglipModel, from a folder that `prepare` wrote."""

import io
import os
from typing import TYPE_CHECKING, Any

from benchmarks.peers import torchvision_operators
from benchmarks.peers.contender import Setup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Transformers:
    """The model and its processor as their documentation loads them."""

    def __init__(self, setup: Setup) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        import torch

        torchvision_operators.declare()
        from transformers import AutoModel, AutoProcessor

        torch.set_num_threads(setup.threads)
        folder = setup.peers / "transformers"
        self._torch = torch
        self._model: Any = AutoModel.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa").eval()
        self._processor = AutoProcessor.from_pretrained(folder)
        self._causal = self._model.config.model_type == "clip"

    def first(self, image: bytes, caption: str) -> None:
        """Embed an encoded image and a caption."""
        from PIL import Image

        self.images(self._processor(images=[Image.open(io.BytesIO(image))], return_tensors="np")["pixel_values"])
        padding = {"padding": True} if self._causal else {"padding": "max_length", "max_length": 64}
        self.captions(self._processor(text=[caption], return_tensors="np", **padding)["input_ids"])

    def images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embed pixels."""
        with self._torch.inference_mode():
            values = self._torch.from_numpy(pixels).to(self._torch.bfloat16)
            return _vectors(self._model.get_image_features(pixel_values=values))

    def captions(self, ids: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """Embed token ids: CLIP's no further than the longest, as its processor pads; SigLIP has all of them attend."""
        if self._causal:
            ids = ids[:, : ids.argmax(axis=1).max() + 1]  # the end of a text has the largest id
        with self._torch.inference_mode():
            return _vectors(self._model.get_text_features(input_ids=self._torch.from_numpy(ids)))


def _vectors(output: Any) -> "NDArray[np.float32]":
    found: NDArray[np.float32] = getattr(output, "pooler_output", output).float().numpy()
    return found
