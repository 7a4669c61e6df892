"""The interface of every contender, and what it loads from.

It imports nothing that a cold start would pay: `dataclasses` brings `inspect`.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Setup(NamedTuple):
    """The model that a contender runs, and the files that it may load. `threads` is how many processors it may use.

    `peers` holds the files that `prepare` made, `hub` is the cache with open_clip's weights, and `bundles` holds our
    bundles by engine and precision, as `onnx-int8`.
    """

    name: str
    tag: str
    peers: Path
    hub: Path
    bundles: Mapping[str, Path]
    threads: int

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Setup":
        """Return the object that `as_json` wrote."""
        paths = {"peers": Path(given["peers"]), "hub": Path(given["hub"])}
        return cls(**{**given, **paths, "bundles": {name: Path(path) for name, path in given["bundles"].items()}})

    def as_json(self) -> dict[str, Any]:
        """Return the object for JSON, in the form that `read` takes."""
        paths = {"peers": str(self.peers), "hub": str(self.hub)}
        return {**self._asdict(), **paths, "bundles": {name: str(path) for name, path in self.bundles.items()}}


class Towers(Protocol):
    """A contender whose towers are measured: pixels and token ids go in."""

    def first(self, image: bytes, caption: str) -> object:
        """Embed an encoded image and a caption, with all that a process needs for its first answer."""

    def images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embed normalized pixels, float32 [N, 3, H, W], as float32 [N, D]."""

    def captions(self, ids: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """Embed token ids, int64 [N, context length], as float32 [N, D]."""


class Requests(Protocol):
    """A contender that is measured through a whole request: encoded images and texts go in."""

    def request(self, images: Sequence[str], captions: Sequence[str]) -> Any:
        """Embed images in base64, then captions; returns an answer."""

    def vectors(self, answer: Any) -> list[list[float]]:
        """Return the embeddings of an answer, in the order of what was asked."""


class Entry(NamedTuple):
    """One row of the comparison: a class, `module:Class`, with its keyword arguments.

    `environment` names the requirements file of the environment that it runs in; without one it is the builder's.
    `models` are those that it can run (none: all), `why` says why not the others.
    """

    name: str
    place: str
    options: Mapping[str, Any] = {}
    environment: str = ""
    towers: bool = True
    requests: bool = False
    models: tuple[str, ...] = ()
    why: str = ""
    ours: bool = False

    def runs(self, model: str) -> bool:
        """Tell whether it can run a model of open_clip's registry."""
        return not self.models or model in self.models

    def create(self, setup: Setup) -> Any:
        """Import the class, and load the model with it: Towers, Requests or both."""
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(module), name)(setup, **self.options)
