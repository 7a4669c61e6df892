"""The quick engine on x86_64: OpenVINO, on towers whose weights are mapped into memory."""

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from handler.engines.host_kind import multiplies_by_avx512, saturates
from handler.engines.import_stubs import import_openvino
from handler.engines.mapped import Mapped, map_weights, release_pages
from handler.engines.openvino_variants import Variant, measured_in_bf16, variants_of
from handler.engines.parallel_load import Started
from handler.engines.prefetch import libraries, read_ahead
from handler.engines.threads import thread_count
from handler.engines.two_tower import TwoTowerEngine
from handler.manifest import MODALITIES, Manifest, ModelEntry
from handler.settings import Settings

if TYPE_CHECKING:
    from mmap import mmap

    from handler.engines.host_blob import HostBlob

log = logging.getLogger(__name__)

# This module is imported when the first model is loaded: the best moment to read the libraries ahead, once.
read_ahead(libraries("openvino", "libs/libopenvino.so*", "*.so", "libs/libopenvino_intel_cpu_plugin.so"))
openvino = import_openvino()


class OpenVinoEngine(TwoTowerEngine):
    """An exported model in OpenVINO."""

    def __init__(self, entry: ModelEntry, manifest: Manifest, settings: Settings) -> None:
        folder = manifest.bundle_dir / "models" / entry.slug / "openvino"
        core = openvino.Core()
        threads, export = thread_count(settings), entry.export or {}
        one_by_one = threading.Lock()  # so that only one tower at a time has its file and its copies in memory
        inexact = saturates()
        if inexact and any(export[tower]["activation_group"] for tower in MODALITIES):
            log.warning(
                "8-bit products saturate on this processor (it has no VNNI): fp32 ones are used, which are slower"
            )
        blobs = _host_blobs(entry, manifest)

        def variants(tower: str) -> list[Variant]:
            recipe = export[tower]  # _has_bf16 loads OpenVINO's plugin: after read_ahead began
            has_bf16 = measured_in_bf16(recipe) and _has_bf16(core)
            return variants_of(recipe, threads, has_bf16, inexact, multiplies_by_avx512())

        def load_image(started: Started) -> Tower:
            read_ahead([folder / "image.bin"])
            return Tower(core, folder / "image.xml", variants("image"), started, blobs["image"]).prepack(one_by_one)

        def load_text(started: Started) -> Tower:
            read_ahead([*self.tokenizer_files(), folder / "text.bin"])
            return Tower(core, folder / "text.xml", variants("text"), started, blobs["text"]).prepack(one_by_one)

        super().__init__(entry, folder, load_image, load_text)

    def compiled(self) -> dict[str, str]:
        """Return where the compiled graph of each loaded tower comes from: "host blob" or "at load"."""
        towers = {name: tower for name, tower in self.towers.items() if isinstance(tower, Tower)}
        return {name: "host blob" if tower.imported else "at load" for name, tower in towers.items()}


def _host_blobs(entry: ModelEntry, manifest: Manifest) -> "Mapping[str, HostBlob | None]":
    if not entry.host_blobs:
        return dict.fromkeys(MODALITIES)
    from handler.engines import host_blob  # late: few bundles have some

    return {tower: host_blob.find(manifest, entry, tower) for tower in MODALITIES}


def _has_bf16(core: Any) -> bool:
    """Tell whether the processor itself has bfloat16."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class Tower:
    """One compiled tower. If this processor refuses a variant, or computes it inexactly, the next one is compiled.

    One call runs at a time: an infer request holds the inputs and outputs of one call. A second request would take
    memory for its own activations and save no time, because one call already uses all threads.
    """

    def __init__(
        self,
        core: Any,
        path: Path,
        configs: Sequence[Variant],
        started: Started,
        blob: "HostBlob | None" = None,
    ) -> None:
        self._core, self._path, self._on_start = core, path, started
        self._configs = list(configs)
        self._lock = threading.Lock()  # held for a whole call, which may replace the request
        self.taken = self._configs[0]  # the variant that runs
        self._weights: mmap | None = None  # mapped when the tower is compiled here; a host blob has its own mapping
        self._mapped: list[Mapped] = []  # kept as long as the tower: OpenVINO reads from it
        self._imported = self._import(blob) if blob else None
        self._request = self._imported or self._compile_next()
        self.inputs = {port.any_name for port in self._request.model_inputs}

    @property
    def variant(self) -> str:
        """How this processor computes it."""
        return self.taken.name

    @property
    def imported(self) -> bool:
        """Whether the tower runs from a host blob."""
        return self._imported is not None and self._request is self._imported

    def __call__(self, feed: "Mapping[str, NDArray[Any]]") -> NDArray[np.float32]:
        """Run the tower on a batch, given by the names in `inputs`; returns what `two_tower.Tower` does."""
        with self._lock:
            before = self._request, self.taken, list(self._configs)
            try:
                return self._run(feed)
            except Exception:
                self._request, self.taken, self._configs = before  # all variants failed: the input is the reason
                raise

    def _run(self, feed: "Mapping[str, NDArray[Any]]") -> NDArray[np.float32]:
        while True:
            try:
                found = self._request.infer(feed)  # copies: the next call overwrites nothing of what it returns
                _check_vnni(found)
            except RuntimeError as error:
                if not self._configs:
                    raise
                graph = self.taken.path(self._path).name
                log.warning("%s: this processor refuses a setting, the next is tried: %s", graph, error)
                self._request = self._compile_next()
            else:
                vectors: NDArray[np.float32] = found[0]
                return vectors

    def prepack(self, one_by_one: threading.Lock) -> "Tower":
        """Run once on zeros: the first run packs the weights for this processor. Returns the tower itself.

        It runs under `one_by_one`, so that the weights and copies of both towers are never in memory at the same time.
        """
        feed = {}
        for port in self._request.model_inputs:  # one item; 8 positions if their number is dynamic
            shape = [1, *(8 if size.is_dynamic else size.get_length() for size in list(port.partial_shape)[1:])]
            feed[port.any_name] = np.zeros(shape, port.element_type.to_dtype())
        with one_by_one, release_pages(self._mapped):
            self(feed)
        return self

    def _import(self, blob: "HostBlob") -> Any:
        """Import a host blob. Return an infer request; None if the blob is refused, and then no variant is used up."""
        from handler.engines import host_blob

        weights, settings = self._path.with_suffix(".bin"), [variant.settings for variant in self._configs]
        found = host_blob.take(blob, self._core, weights, settings, self._on_start)
        if found is None:
            return None
        self.taken = next(variant for variant in self._configs if variant.settings is found.config)
        self._mapped += found.mapped
        return found.request

    def _compile_next(self) -> Any:
        """Compile the next variant that OpenVINO accepts on this processor; returns an infer request.

        A variant may also turn out to be inexact at its first run, which then calls this again.
        """
        if self._weights is None:
            self._weights = map_weights(self._path.with_suffix(".bin"))
            self._mapped.append(self._weights)
        while True:
            self.taken = self._configs.pop(0)
            try:
                weights = openvino.Tensor(np.frombuffer(self._weights, np.uint8), shared_memory=True)
                model = self._core.read_model(self.taken.path(self._path).read_bytes(), weights)
                self._on_start()
                return self._core.compile_model(model, "CPU", self.taken.settings).create_infer_request()
            except RuntimeError as error:
                if not self._configs:
                    raise
                graph = self.taken.path(self._path).name
                log.warning("%s: this processor refuses %s, the next is tried: %s", graph, self.taken.name, error)


def _check_vnni(found: Any) -> None:
    """Raise RuntimeError if the tower's second output, a probe of integer products, shows that they saturate."""
    if len(found) > 1 and not (np.abs(found[1] - 1) < 1e-5).all():  # `np.allclose` takes a twentieth of a caption
        raise RuntimeError("its 8-bit products saturate: it has no VNNI")
