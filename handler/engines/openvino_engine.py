"""The quick engine on x86_64: OpenVINO, on towers whose weights are mapped into memory."""

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handler.engines.import_stubs import import_openvino
from handler.engines.mapped import map_weights, release_pages
from handler.engines.parallel_load import Started
from handler.engines.prefetch import libraries, read_ahead
from handler.engines.threads import thread_count
from handler.engines.two_tower import TwoTowerEngine
from handler.manifest import Manifest, ModelEntry
from handler.settings import Settings

log = logging.getLogger(__name__)

# Importing this module is the first model's start, so the disk is asked for the libraries now, and not again.
read_ahead(libraries("openvino", "libs/libopenvino.so*", "*.so", "libs/libopenvino_intel_cpu_plugin.so"))
openvino = import_openvino()

GROUP = "DYNAMIC_QUANTIZATION_GROUP_SIZE"


class OpenVinoEngine(TwoTowerEngine):
    """An exported model in OpenVINO."""

    def __init__(self, entry: ModelEntry, manifest: Manifest, settings: Settings) -> None:
        folder = manifest.bundle_dir / "models" / entry.slug / "openvino"
        core = openvino.Core()
        threads, export = thread_count(settings), entry.export or {}
        image, text = (compile_configs(export[tower]["activation_group"], threads) for tower in ("image", "text"))
        one_by_one = threading.Lock()  # never are both in memory twice

        def load_image(started: Started) -> Tower:
            read_ahead([folder / "image.bin"])
            return Tower(core, folder / "image.xml", image, started).prepack(one_by_one)

        def load_text(started: Started) -> Tower:
            read_ahead([*self.tokenizer_files(), folder / "text.bin"])
            return Tower(core, folder / "text.xml", text, started).prepack(one_by_one)

        super().__init__(entry, folder, load_image, load_text)


def compile_configs(group: int, threads: int) -> list[dict[str, Any]]:
    """List OpenVINO's settings, from the fastest to the one that every processor can run.

    First: activations in 8 bits, `group` of them sharing a scale (0 leaves them as they are). Second: fp32 activations
    and no product of integers, for a processor without VNNI. Third: the same without any other setting, in case one of
    those is what a processor refuses.
    """
    common = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    common["SNIPPETS_MODE"] = "DISABLE"  # fused attention takes a quarter of the compilation, and gains little
    exact = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO"}  # no product of integers
    return [{**common, GROUP: group}, {**common, **exact, GROUP: 0}, exact]


class Tower:
    """One compiled tower. A setting that this processor refuses, or is inexact with, gives way to the next.

    One call at a time: an infer request holds one call's inputs and outputs. Further requests would hold activations of
    their own and save no time, since one already keeps all of the model's threads busy.
    """

    def __init__(self, core: Any, path: Path, configs: Sequence[Mapping[str, Any]], started: Started) -> None:
        self._core, self._path, self._on_start = core, path, started
        self._configs = list(configs)
        self._lock = threading.Lock()  # held for a whole call, which may replace the request
        self._weights = map_weights(path.with_suffix(".bin"))
        self._request = self._compile_next()
        self.inputs = {port.any_name for port in self._request.model_inputs}

    def __call__(self, feed: "Mapping[str, NDArray[Any]]") -> NDArray[np.float32]:
        """Run the tower on a batch, given by the names in `inputs`; returns float32 [N, D]."""
        with self._lock:
            before = self._request, list(self._configs)
            try:
                return self._run(feed)
            except Exception:
                self._request, self._configs = before  # no setting could do it, so that none is to blame
                raise

    def _run(self, feed: "Mapping[str, NDArray[Any]]") -> NDArray[np.float32]:
        while True:
            try:
                found = self._request.infer(feed)  # copies: the next call overwrites nothing of what it returns
                _check_vnni(found)
            except RuntimeError as error:
                if not self._configs:
                    raise
                log.warning("%s: this processor refuses a setting, the next is tried: %s", self._path.name, error)
                self._request = self._compile_next()
            else:
                vectors: NDArray[np.float32] = found[0]
                return vectors

    def prepack(self, one_by_one: threading.Lock) -> "Tower":
        """Run once on zeros: the first run packs the weights for this processor. Returns the tower itself.

        Under `one_by_one`, so that the two towers' weights and their copies are never in memory together.
        """
        feed = {}
        for port in self._request.model_inputs:  # one item, of 8 positions where any number will do
            shape = [1, *(8 if size.is_dynamic else size.get_length() for size in list(port.partial_shape)[1:])]
            feed[port.any_name] = np.zeros(shape, port.element_type.to_dtype())
        with one_by_one, release_pages(self._weights):
            self(feed)
        return self

    def _compile_next(self) -> Any:
        """Compile with the next setting that this processor takes; returns an infer request.

        A setting may be refused here (RuntimeError by OpenVINO), or prove inexact at the first run, which calls this
        again.
        """
        while True:
            config = self._configs.pop(0)
            try:
                weights = openvino.Tensor(np.frombuffer(self._weights, np.uint8), shared_memory=True)
                model = self._core.read_model(self._path.read_bytes(), weights)
                self._on_start()
                return self._core.compile_model(model, "CPU", config).create_infer_request()
            except RuntimeError as error:
                if not self._configs:
                    raise
                log.warning("%s: this processor refuses %s, the next is tried: %s", self._path.name, config, error)


def _check_vnni(found: Any) -> None:
    """Raise RuntimeError where a tower's products of integers, if it has such, came out wrong."""
    if len(found) > 1 and not (np.abs(found[1] - 1) < 1e-5).all():  # `np.allclose` takes a twentieth of a caption
        raise RuntimeError("its 8-bit products saturate: it has no VNNI")
