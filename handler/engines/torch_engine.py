"""The reference engine: open_clip itself, loaded offline from the cache, without copying its weights twice."""

import os
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers.models import BPE

from handler.engines import cpuinfo_messages, hf_cache
from handler.engines.import_open_clip import import_open_clip
from handler.engines.text_cleaning import CLEAN
from handler.engines.threads import thread_count
from handler.errors import BundleError
from handler.manifest import Manifest, ModelEntry
from handler.settings import Settings


class TorchEngine:
    """Any OpenCLIP model, as open_clip runs it."""

    def __init__(self, entry: ModelEntry, manifest: Manifest, settings: Settings) -> None:
        hf_cache.prepare(manifest, settings)  # first, so that its errors do not come after seconds of imports
        # numpy has read this value (handler/offline.py). torch's own OpenBLAS, on arm64, is to use torch's threads.
        os.environ.pop("OPENBLAS_NUM_THREADS", None)
        if not Path("/sys/devices/system/cpu/possible").exists():
            cpuinfo_messages.import_torch()
        open_clip = import_open_clip(manifest.models)
        import torch

        torch.set_num_threads(thread_count(settings))
        with hf_cache.held(manifest, settings):
            self._tokenizer = _load_tokenizer(open_clip, entry)
            self._model = _load_model(open_clip, entry)
        self._tokenizer_facts = entry.tokenizer
        self._tokenizing = threading.Lock()  # transformers sets padding and truncation on a tokenizer for each call
        self._running = threading.Lock()  # one call uses all threads; a second one would only take more memory

    def load(self, modalities: Collection[str]) -> None:
        """Do nothing: open_clip creates both towers together, in `__init__`."""

    def variants(self) -> dict[str, str]:
        """Return nothing: there is only one way."""
        return {}

    def token_facts(self) -> dict[str, Any]:
        """Return facts that the manifest has of exported tokenizers only, in the manifest's form."""
        return token_facts(self._tokenizer)

    def tokenize(self, texts: Sequence[str], cut: str | None = None) -> NDArray[np.int64]:
        """Return open_clip's own token ids: int64 [N, context_length]."""
        with self._tokenizing:
            if cut is not None:
                from handler.engines.truncation import by_open_clip

                return by_open_clip(self._tokenizer, texts, cut, self._tokenizer_facts)
            ids: NDArray[np.int64] = self._tokenizer(list(texts)).numpy()
        return ids

    def encode_tokens(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embed token ids [N, context_length] as float32 [N, D]."""
        return self._run(self._model.encode_text, ids)

    def encode_images(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed normalized pixels, float32 [N, 3, H, W], as float32 [N, D]."""
        return self._run(self._model.encode_image, pixels)

    def _run(self, tower: Any, values: "NDArray[Any]") -> NDArray[np.float32]:
        import torch

        with self._running, torch.inference_mode():
            embeddings: NDArray[np.float32] = tower(torch.from_numpy(values)).numpy()
        return embeddings


def token_facts(tokenizer: Any) -> dict[str, Any]:
    """Return `eos_id`, the end token; nothing for SimpleTokenizer, which does not pad with it."""
    return {"eos_id": tokenizer.tokenizer.eos_token_id} if hasattr(tokenizer, "tokenizer") else {}


def _load_tokenizer(open_clip: Any, entry: ModelEntry) -> Any:
    tokenizer = open_clip.get_tokenizer(entry.name)
    # If open_clip cannot read a name or a config, it returns its default tokenizer, which gives other ids.
    wanted = {"hf": open_clip.tokenizer.HFTokenizer, "simple": open_clip.tokenizer.SimpleTokenizer}
    if not isinstance(tokenizer, wanted[entry.tokenizer["kind"]]):
        raise BundleError(
            f"open_clip gave {entry.id} a {type(tokenizer).__name__}, the bundle was built with a tokenizer of kind "
            f"{entry.tokenizer['kind']!r}: run `python -m layer verify`"
        )
    tokenizer.clean_fn = CLEAN[entry.tokenizer["clean"]]  # the same, at a bounded cost
    if entry.tokenizer["kind"] == "simple":
        tokenizer.bpe = _bpe(tokenizer)
    return tokenizer


def _bpe(tokenizer: Any) -> Callable[[str], str]:
    """Return a function that gives the same results as SimpleTokenizer's `bpe`, in linear time and bounded memory.

    The original takes quadratic time, seconds for a word of 10,000 letters, and caches every word that it ever saw.
    """
    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)
    model = BPE(vocab=tokenizer.encoder, merges=merges, end_of_word_suffix="</w>")
    specials = dict(tokenizer.cache)  # before the first word
    return lambda word: specials.get(word) or " ".join(piece.value for piece in model.tokenize(word))


def _load_model(open_clip: Any, entry: ModelEntry) -> Any:
    from handler.engines.skip_weight_init import skip_weight_init  # late: it imports torch

    with skip_weight_init():
        # Not create_model: missing weights must be an error, never a model with random weights.
        model = open_clip.create_model_from_pretrained(entry.name, pretrained=entry.pretrained, return_transform=False)
    return model.float().eval()
