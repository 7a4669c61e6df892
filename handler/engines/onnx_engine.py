"""The small engine: ONNX Runtime on graphs that were optimised at build, with their weights mapped into memory."""

import logging
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

log = logging.getLogger(__name__)


class OnnxEngine:
    """Any model that could be exported, at fp32 or with 8-bit weights. Neither torch nor open_clip is needed."""

    def __init__(self, entry: ModelEntry, manifest: Manifest, settings: Settings) -> None:
        folder = manifest.bundle_dir / "models" / entry.slug / "onnx"
        threads = thread_count(settings)
        image, text = graphs(folder)
        self._image, self._text, self._tokenizer = load_together(
            lambda: session(image, threads),
            lambda: session(text, threads),
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


def graphs(folder: Path) -> list[Path]:
    """Return the image and the text graph; wide ones, where there are some, on a processor that needs them."""
    probe = folder / "probe.onnx"
    if not probe.exists() or multiplies_exactly(probe):
        return [folder / "image.onnx", folder / "text.onnx"]
    log.warning("this processor's 8-bit products saturate (it has no VNNI): they are computed in two halves")
    wide = [folder / "image.wide.onnx", folder / "text.wide.onnx"]
    return [path if path.exists() else folder / path.name.replace(".wide", "") for path in wide]


def multiplies_exactly(probe: Path) -> bool:
    """Try a product of 8-bit numbers whose sums of two do not fit 16 bits."""
    numbers = np.full((2, 8), 255, np.uint8)
    return bool((session(probe, 1).run(None, {"numbers": numbers})[0] == 8 * 255 * 127).all())


def session(path: Path, threads: int) -> Any:
    """Load a graph that was optimised at build."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # done at build
    options.intra_op_num_threads = threads
    # Threads spin between a run's operations, a third of a caption's time, and not after it: other sessions' cores.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
