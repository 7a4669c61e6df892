"""The quick engine on x86_64: OpenVINO, on towers whose weights are mapped into memory."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from handler.engines.lengths import run_by_length
from handler.engines.threads import thread_count
from handler.engines.token_table import TokenTable, text_inputs
from handler.manifest import Manifest, ModelEntry
from handler.settings import Settings
from handler.tokenizer import Tokenizer

log = logging.getLogger(__name__)

GROUP = "DYNAMIC_QUANTIZATION_GROUP_SIZE"


class OpenVinoEngine:
    """Any model that could be exported, at fp32 or with 8-bit weights. Neither torch nor open_clip is needed."""

    def __init__(self, entry: ModelEntry, manifest: Manifest, settings: Settings) -> None:
        folder = manifest.bundle_dir / "models" / entry.slug / "openvino"
        self._export = entry.export or {}
        core = openvino.Core()
        ways = ways_to_run(self._export["activation_group"], thread_count(settings))
        with ThreadPoolExecutor(2) as pool:  # a large vocabulary takes as long to read as a tower
            tokenizer = pool.submit(Tokenizer, folder / "tokenizer.json", entry.tokenizer)
            text = pool.submit(Tower, core, folder / "text.xml", ways)
            self._image = Tower(core, folder / "image.xml", ways)
            self._text, self._tokenizer = text.result(), tokenizer.result()
        self._table = TokenTable(folder) if self._export["token_table"] else None

    def tokenize(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return open_clip's own token ids: int64 [N, context_length]."""
        return self._tokenizer(texts)

    def encode_tokens(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embed token ids [N, context_length] as float32 [N, D]."""
        if not self._export["causal_text"]:
            return self._embed_ids(ids)
        return run_by_length(ids, self._export["end_id"], self._embed_ids)

    def encode_images(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed normalised pixels, float32 [N, 3, H, W], as float32 [N, D]."""
        return self._image({"pixels": np.ascontiguousarray(pixels)})

    def _embed_ids(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._text(text_inputs(ids, self._table, self._text.inputs))


def ways_to_run(group: int, threads: int) -> list[dict[str, Any]]:
    """List OpenVINO's settings from the quickest to the one that every processor can run.

    `group` activations share a scale where they meet the weights in 8 bits; 0 leaves activations as they are.
    """
    common = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    groups = dict.fromkeys((group, 0))
    return [*({**common, GROUP: size} for size in groups), {"INFERENCE_PRECISION_HINT": "f32"}]


class Tower:
    """One compiled tower. A setting that this processor refuses gives way to the next, here or at its first use."""

    def __init__(self, core: Any, path: Path, ways: Sequence[Mapping[str, Any]]) -> None:
        self._core, self._path = core, path
        self._ways = list(ways)
        self._request = self._next()
        self.inputs = {port.any_name for port in self._request.model_inputs}

    def __call__(self, feed: "Mapping[str, NDArray[Any]]") -> NDArray[np.float32]:
        """Run the tower on a batch, given by the names in `inputs`; returns float32 [N, D]."""
        while True:
            try:
                vectors: NDArray[np.float32] = self._request.infer(feed)[0]
            except RuntimeError as error:
                if not self._ways:
                    raise
                log.warning("%s: this processor refuses a setting, the next is tried: %s", self._path.name, error)
                self._request = self._next()
            else:
                return vectors

    def _next(self) -> Any:
        while True:
            way = self._ways.pop(0)
            try:
                return self._core.compile_model(self._path, "CPU", way).create_infer_request()
            except RuntimeError as error:
                if not self._ways:
                    raise
                log.warning("%s: this processor refuses %s, the next is tried: %s", self._path.name, way, error)
