"""The small engine: ONNX Runtime on graphs that were optimised at build, with their weights mapped into memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from handler.engines.lengths import run_by_length
from handler.engines.threads import thread_count
from handler.engines.together import load_together
from handler.engines.token_table import TokenTable, text_inputs
from handler.manifest import Manifest, ModelEntry
from handler.settings import Settings
from handler.tokenizer import Tokenizer


class OnnxEngine:
    """Any model that could be exported, at fp32 or with 8-bit weights. Neither torch nor open_clip is needed."""

    def __init__(self, entry: ModelEntry, manifest: Manifest, settings: Settings) -> None:
        folder = manifest.bundle_dir / "models" / entry.slug / "onnx"
        threads = thread_count(settings)
        self._image, self._text, self._tokenizer = load_together(
            lambda: _session(folder / "image.onnx", threads),
            lambda: _session(folder / "text.onnx", threads),
            lambda: Tokenizer(folder / "tokenizer.json", entry.tokenizer),
        )
        self._export = entry.export or {}
        self._table = TokenTable(folder) if self._export["token_table"] else None
        self._inputs = {port.name for port in self._text.get_inputs()}

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
        vectors: NDArray[np.float32] = self._image.run(None, {"pixels": pixels})[0]
        return vectors

    def _embed_ids(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        feed = text_inputs(ids, self._table, self._inputs)
        vectors: NDArray[np.float32] = self._text.run(None, feed)[0]
        return vectors


def _session(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # done at build
    options.intra_op_num_threads = threads
    # Two sessions whose idle threads spin take the same cores from each other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
