"""The small engine: ONNX Runtime on graphs that were optimized at build, with their weights mapped into memory."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handler.engines.parallel_load import Started
from handler.engines.threads import thread_count
from handler.engines.two_tower import TwoTowerEngine
from handler.manifest import Manifest, ModelEntry
from handler.settings import Settings

if Path("/sys/devices/system/cpu/possible").exists():
    import onnxruntime
else:
    from handler.engines.cpuinfo_messages import filter_cpuinfo_messages

    with filter_cpuinfo_messages("onnxruntime"):
        import onnxruntime

log = logging.getLogger(__name__)

WIDE, UNSATURATED = ".wide.onnx", "f32, 8-bit products without saturation"


class OnnxEngine(TwoTowerEngine):
    """An exported model in ONNX Runtime."""

    def __init__(self, entry: ModelEntry, manifest: Manifest, settings: Settings) -> None:
        folder = manifest.bundle_dir / "models" / entry.slug / "onnx"
        threads = thread_count(settings)
        image, text = graphs(folder)
        super().__init__(
            entry, folder, lambda started: Tower(image, threads, started), lambda started: Tower(text, threads, started)
        )


class Tower:
    """One tower in a session of its own."""

    def __init__(self, path: Path, threads: int, started: Started) -> None:
        started()
        self.variant = UNSATURATED if path.name.endswith(WIDE) else "f32"
        self._session = session(path, threads)
        self.inputs = {port.name for port in self._session.get_inputs()}

    def __call__(self, feed: "Mapping[str, NDArray[Any]]") -> NDArray[np.float32]:
        """Run the tower on a batch, given by the names in `inputs`; returns what `two_tower.Tower` does."""
        vectors: NDArray[np.float32] = self._session.run(None, feed)[0]
        return vectors


def graphs(folder: Path) -> list[Path]:
    """Return the paths of the image and the text graph: the saturation-safe ones if this processor needs them.

    The folder has those, and probe.onnx, only if the recipe of a tower is int8 per token.
    """
    probe = folder / "probe.onnx"
    if not probe.exists() or multiplies_exactly(probe):
        return [folder / "image.onnx", folder / "text.onnx"]
    log.warning("8-bit products saturate on this processor (it has no VNNI): exact ones are used, which are slower")
    wide = [folder / f"image{WIDE}", folder / f"text{WIDE}"]
    return [path if path.exists() else folder / path.name.replace(".wide", "") for path in wide]


def multiplies_exactly(probe: Path) -> bool:
    """Run the VNNI probe: a product of 8-bit numbers whose sums of two products do not fit 16 bits."""
    numbers = np.full((2, 8), 255, np.uint8)
    return bool((session(probe, 1).run(None, {"numbers": numbers})[0] == 8 * 255 * 127).all())


def session(path: Path, threads: int) -> Any:
    """Load a graph that was optimized at build. Constant folding here rewrites the weights of a saturation-safe one."""
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_BASIC if path.name.endswith(WIDE) else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    # Threads may spin between the operations of a run, which saves a third of a caption's time. 100 us ends the
    # spinning soon after a run, because the other tower needs the cores.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "100")
    # Weights are allocated directly, and not in an arena that grows by doubling.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
