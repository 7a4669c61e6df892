"""infinity's engine in this process, without its HTTP server: faster than through it."""

import asyncio
import os
from collections.abc import Awaitable
from typing import Any

from benchmarks.peers import torchvision_operators
from benchmarks.peers.contender import Setup
from benchmarks.peers.library import Library


class Infinity(Library):
    """`AsyncEmbeddingEngine` on a CPU; nothing is warmed up, so that the first request comes soon."""

    def __init__(self, setup: Setup) -> None:
        os.environ |= {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
        import torch

        torchvision_operators.declare()
        from infinity_emb import AsyncEmbeddingEngine, EngineArgs

        torch.set_num_threads(setup.threads)
        self._loop = asyncio.new_event_loop()
        settings = EngineArgs(
            model_name_or_path=str(setup.peers / "transformers"),
            engine="torch",
            device="cpu",
            model_warmup=False,
            compile=False,
            bettertransformer=False,
        )
        self._engine = AsyncEmbeddingEngine.from_args(settings)
        self._loop.run_until_complete(self._engine.astart())

    def embed_images(self, images: list[Any]) -> list[list[float]]:
        """Embed Pillow's images."""
        return self._waited(self._engine.image_embed(images=images))

    def embed_captions(self, captions: list[str]) -> list[list[float]]:
        """Embed texts."""
        return self._waited(self._engine.embed(sentences=captions))

    def _waited(self, answer: Awaitable[Any]) -> list[list[float]]:
        vectors, _ = self._loop.run_until_complete(answer)
        return [vector.tolist() for vector in vectors]
