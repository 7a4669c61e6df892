"""Ours, by both measures: the engine's towers as the handler calls them, and `lambda_handler`."""

import base64
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks import event
from benchmarks.peers.contender import Setup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OurHandler:
    """The shipped handler on one bundle."""

    def __init__(self, setup: Setup, engine: str) -> None:
        os.environ["OPENCLIP_BUNDLE_DIR"] = str(setup.bundles[engine])
        os.environ["OPENCLIP_CACHE_DIR"] = os.environ["SCRATCH"]
        from handler.app import SERVICE, lambda_handler

        self._handle, self._service = lambda_handler, SERVICE

    def first(self, image: bytes, caption: str) -> None:
        """Answer the first request."""
        self.request([base64.b64encode(image).decode()], [caption])

    def request(self, images: Sequence[str], captions: Sequence[str]) -> str:
        """Embed images in base64, then captions, through `lambda_handler`; returns the answer's body."""
        answer = self._handle(event.embeddings(images, captions), None)
        if answer["statusCode"] != 200:
            raise RuntimeError(answer["body"])
        body_text: str = answer["body"]
        return body_text

    @staticmethod
    def vectors(answer: str) -> list[list[float]]:
        """Return the embeddings of an answer, which nobody waits for."""
        return [row["embedding"] for row in json.loads(answer)["data"]]

    def images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embed pixels in batches as large as the handler's."""
        import numpy as np

        from handler.engines.threads import thread_count
        from handler.imaging.batching import images_a_run

        engine, group = self._service.model(None).engine, images_a_run(thread_count(self._service.settings))
        return np.concatenate([engine.encode_images(pixels[at : at + group]) for at in range(0, len(pixels), group)])

    def captions(self, ids: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """Embed token ids."""
        return self._service.model(None).engine.encode_tokens(ids)
