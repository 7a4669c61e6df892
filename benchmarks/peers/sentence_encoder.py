"""sentence-transformers, on the folder that transformers loads."""

import os
from typing import Any

from benchmarks.peers import torchvision_operators
from benchmarks.peers.contender import Setup
from benchmarks.peers.library import Library


class SentenceEncoder(Library):
    """`SentenceTransformer` with its defaults on a CPU."""

    def __init__(self, setup: Setup) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        import torch

        torchvision_operators.declare()
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(setup.threads)
        self._model = SentenceTransformer(str(setup.peers / "transformers"), device="cpu")

    def embed_images(self, images: list[Any]) -> list[list[float]]:
        """Embed Pillow's images."""
        vectors: list[list[float]] = self._model.encode(images).tolist()
        return vectors

    def embed_captions(self, captions: list[str]) -> list[list[float]]:
        """Embed texts."""
        vectors: list[list[float]] = self._model.encode(captions).tolist()
        return vectors
