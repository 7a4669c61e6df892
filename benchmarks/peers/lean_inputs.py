"""Preprocessing and tokenizer for runtimes that bring none: the handler's own, which import little."""

import io
from typing import TYPE_CHECKING

from benchmarks.peers.contender import Setup, Towers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LeanInputs:
    """The handler's preprocessing and tokenizer, which need neither torch nor open_clip."""

    def __init__(self, setup: Setup) -> None:
        from handler.engines.tokenizer import Tokenizer
        from handler.imaging.preprocess import Preprocess
        from handler.manifest import load

        bundle = setup.bundles["onnx-int8"]
        entry = load(bundle).models[0]
        self._preprocess = Preprocess(entry.preprocess, entry.image_size)
        self._tokenize = Tokenizer(bundle / "models" / entry.slug / "onnx" / "tokenizer.json", entry.tokenizer)

    def first(self, towers: Towers, image: bytes, caption: str) -> None:
        """Embed an encoded image and a caption."""
        from PIL import Image

        towers.images(self._preprocess(Image.open(io.BytesIO(image)))[None])
        towers.captions(self._ids(caption))

    def _ids(self, caption: str) -> "NDArray[np.int64]":
        return self._tokenize([caption])
