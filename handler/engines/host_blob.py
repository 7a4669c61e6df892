"""Host blobs: towers that OpenVINO has compiled for one kind of host, and that hosts of that kind import.

A blob is OpenVINO's graph after all of its passes, without the weights, which stay in the tower's own file. If a blob
cannot be used, for whatever reason, the tower is compiled as if there were none.
"""

import ctypes
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from handler.engines.host_kind import processor
from handler.engines.mapped import Mapped, map_weights
from handler.manifest import HOST_BLOB, Manifest, ModelEntry

log = logging.getLogger(__name__)

THREADS = "INFERENCE_NUM_THREADS"  # the one setting that may differ from that of the blob
WEIGHTLESS = {"CACHE_MODE": "OPTIMIZE_SIZE"}


class HostBlob(NamedTuple):
    """A blob of the manifest. Its sha256, version of OpenVINO and settings have to be the same here."""

    path: Path
    sha256: str
    openvino: str
    settings: Mapping[str, str]


class Imported(NamedTuple):
    """An infer request, its settings, and the mappings whose pages may be released while its weights are packed."""

    request: Any
    config: Mapping[str, Any]
    mapped: Sequence[Mapped]


def find(manifest: Manifest, entry: ModelEntry, tower: str) -> HostBlob | None:
    """Return the tower's blob for this kind of host; None, and a line in the log, if the bundle has none."""
    kind = processor()
    path = f"models/{entry.slug}/openvino/{tower}.{kind}{HOST_BLOB}"
    for made in entry.host_blobs:
        if kind and (made["tower"], made["processor"]) == (tower, kind):
            digest = next((file.sha256 for file in manifest.files if file.path == path), "")
            return HostBlob(manifest.bundle_dir / path, digest, made["openvino"], made["settings"])
    log.info("%s has no host blob for its %s tower and this host (%s): it is compiled", entry.id, tower, kind)
    return None


def take(
    blob: HostBlob, core: Any, weights: Path, configs: Sequence[Mapping[str, Any]], started: Callable[[], None]
) -> Imported | None:
    """Import a blob with that one of `configs` that it was made with; None, and a line in the log, if that fails.

    `weights` is the tower's .bin, which OpenVINO maps itself. `started` is called before the native part.
    """
    try:
        return _take(blob, core, weights, configs, started)
    except Exception as error:  # noqa: BLE001 - a blob is never needed
        reason = " ".join(str(error).split()) or type(error).__name__
        log.warning("%s is not used, the tower is compiled: %s", blob.path.name, reason)
        return None


def _take(
    blob: HostBlob, core: Any, weights: Path, configs: Sequence[Mapping[str, Any]], started: Callable[[], None]
) -> Imported:
    import openvino

    if blob.openvino != openvino.__version__:
        raise ValueError(f"it was made by OpenVINO {blob.openvino}, this is {openvino.__version__}")
    config = next((one for one in configs if settings(one) == blob.settings), None)
    if config is None:
        raise ValueError("it was made with other settings than this version has for this host")
    content = map_weights(blob.path)
    if hashlib.sha256(content).hexdigest() != blob.sha256:  # before OpenVINO reads a byte of it
        raise ValueError("it is not the file that was built: its sha256 is another")
    tensor = openvino.Tensor(np.frombuffer(content, np.uint8), shared_memory=True)
    started()
    compiled = core.import_model(tensor, "CPU", {**config, **WEIGHTLESS, "WEIGHTS_PATH": str(weights)})
    return Imported(compiled.create_infer_request(), config, (content, MappedByOpenVino(weights)))


def settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings of a tower that a blob depends on, as the manifest has them."""
    return {name: str(value) for name, value in config.items() if name != THREADS}


class MappedByOpenVino:
    """A file of weights that OpenVINO has mapped into this process, read-only, for as long as its tower exists."""

    def __init__(self, path: Path) -> None:
        self._path = os.path.realpath(path)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

    def madvise(self, advice: int) -> None:
        """Advise the system about the file's pages, as mmap.madvise does; does nothing if it is not mapped."""
        for start, size in self._ranges():
            self._libc.madvise(start, size, advice)

    def _ranges(self) -> Iterator[tuple[int, int]]:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as lines:  # noqa: PTH123
            told = [line.split(maxsplit=5) for line in lines if self._path in line]
        for place, modes, *_, path in told:
            if path.rstrip("\n") == self._path and modes.startswith("r-"):  # a writable mapping would lose its changes
                start, _, end = place.partition("-")
                yield int(start, 16), int(end, 16) - int(start, 16)
