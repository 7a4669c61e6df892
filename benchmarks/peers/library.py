"""The base class of libraries that are measured through a whole request: images in base64 in, numbers out."""

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any


class Library(ABC):
    """A library that embeds opened images and texts, called as a server would call it."""

    @abstractmethod
    def embed_images(self, images: list[Any]) -> list[list[float]]:
        """Embed Pillow's images."""

    @abstractmethod
    def embed_captions(self, captions: list[str]) -> list[list[float]]:
        """Embed texts."""

    def request(self, images: Sequence[str], captions: Sequence[str]) -> list[list[float]]:
        """Embed images in base64, then captions."""
        from PIL import Image

        answer: list[list[float]] = []
        if images:
            answer += self.embed_images([Image.open(io.BytesIO(base64.b64decode(image))) for image in images])
        if captions:
            answer += self.embed_captions(list(captions))
        return answer

    def vectors(self, answer: list[list[float]]) -> list[list[float]]:
        """Return the embeddings of an answer, which are all of it."""
        return answer
