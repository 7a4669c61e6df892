"""The protocol that all engines share, the choice of one by its name in the manifest, and the counting of tokens."""

from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from handler.errors import BundleError
from handler.manifest import Manifest, ModelEntry
from handler.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Each class by the module that defines it, imported when a model asks for it: torch takes seconds.
ENGINES = {
    "onnx": "handler.engines.onnx_engine:OnnxEngine",
    "openvino": "handler.engines.openvino_engine:OpenVinoEngine",
    "torch": "handler.engines.torch_engine:TorchEngine",
}


class Engine(Protocol):
    """Turns token ids and pixels into embeddings. Vectors come as the towers give them, not normalized."""

    def load(self, modalities: Collection[str]) -> None:
        """Load the towers of these modalities, `text` and `image`, that are not loaded yet."""

    def variants(self) -> dict[str, str]:
        """Return, by modality, how this processor computes each loaded tower; empty if there is only one way."""

    def tokenize(self, texts: Sequence[str], cut: str | None = None) -> "NDArray[np.int64]":
        """Return padded token ids, int64 [N, context_length]; `cut` is one of tokenizer.CUTS; None: as open_clip."""

    def encode_tokens(self, ids: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """Embed token ids [N, context_length] as float32 [N, D]."""

    def encode_images(self, pixels: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Embed normalized pixels, float32 [N, 3, H, W], as float32 [N, D]."""


def create_engine(entry: ModelEntry, manifest: Manifest, settings: Settings) -> Engine:
    """Create the engine that the manifest names for a model. Raises BundleError for an unknown engine."""
    place = ENGINES.get(entry.engine)
    if place is None:
        raise BundleError(
            f"{entry.id} needs engine {entry.engine!r}, and this handler has {', '.join(ENGINES)}: "
            "deploy the handler and the bundle of one version"
        )
    module, _, name = place.partition(":")
    engine: Engine = getattr(import_module(module), name)(entry, manifest, settings)
    return engine


def token_counts(ids: "NDArray[np.int64]", facts: Mapping[str, Any]) -> "NDArray[np.int64]":
    """Return how many tokens each text has, int64 [N], from its row of ids [N, context_length].

    `facts` is the manifest's `tokenizer`. Start and end tokens count, padding does not. SigLIP's end token is its
    padding token, so it does not count. Inside a text, the padding id counts: CLIP's is also the id of "!".
    """
    last = 1 if facts.get("mode") == "clips" else 0  # a class token, which follows the padding
    own = ids[:, : ids.shape[1] - last] != facts["pad_id"]
    first, behind = own.argmax(axis=1), own.shape[1] - own[:, ::-1].argmax(axis=1)
    counts: NDArray[np.int64] = (behind - first) * own.any(axis=1) + last
    return counts


def most_tokens(context_length: int, facts: Mapping[str, Any]) -> int:
    """Return the `token_counts` of a text that fills the model's context: one less if its end token is padding."""
    pad = facts["pad_id"]
    ends_as_padding = facts.get("eos_id") == pad or (facts.get("strip_sep_token", False) and pad == 0)
    return context_length - int(ends_as_padding)
