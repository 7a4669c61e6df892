"""open_clip itself in torch: fp32, which all others are compared with, and bf16."""

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.peers.contender import Setup
from benchmarks.peers.library import Library

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OpenClip(Library):
    """A model of the registry, its weights from the cache of our torch bundle. `half`: all of it in bf16."""

    def __init__(self, setup: Setup, half: bool = False) -> None:
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(setup.hub)}
        from layer.openclip import open_clip

        import torch  # isort: skip

        torch.set_num_threads(setup.threads)
        self._torch, self._type = torch, torch.bfloat16 if half else torch.float32
        model, _, self.transform = open_clip.create_model_and_transforms(setup.name, pretrained=setup.tag or None)
        self.model: Any = model.eval().to(self._type)
        self.tokenizer = open_clip.get_tokenizer(setup.name)

    def first(self, image: bytes, caption: str) -> None:
        """Embed an encoded image and a caption."""
        from PIL import Image

        self.images(self.pixels([Image.open(io.BytesIO(image))]))
        self.captions(self.ids([caption]))

    def pixels(self, images: Sequence[Any]) -> "NDArray[np.float32]":
        """Return what the image tower takes of Pillow's images."""
        pixels: NDArray[np.float32] = self._torch.stack([self.transform(image) for image in images]).numpy()
        return pixels

    def ids(self, captions: Sequence[str]) -> "NDArray[np.int64]":
        """Return what the text tower takes of captions."""
        ids: NDArray[np.int64] = self.tokenizer(list(captions)).numpy()
        return ids

    def images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embed pixels."""
        return self._run(self.model.encode_image, self._torch.from_numpy(pixels).to(self._type))

    def captions(self, ids: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """Embed token ids."""
        return self._run(self.model.encode_text, self._torch.from_numpy(ids))

    def _run(self, tower: Any, batch: Any) -> "NDArray[np.float32]":
        with self._torch.inference_mode():
            vectors: NDArray[np.float32] = tower(batch).float().numpy()
        return vectors

    def embed_images(self, images: list[Any]) -> list[list[float]]:
        """Embed Pillow's images."""
        vectors: list[list[float]] = self.images(self.pixels(images)).tolist()
        return vectors

    def embed_captions(self, captions: list[str]) -> list[list[float]]:
        """Embed texts."""
        vectors: list[list[float]] = self.captions(self.ids(captions)).tolist()
        return vectors
