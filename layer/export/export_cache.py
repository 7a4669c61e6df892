"""Keep the last fp32 export of each model: other engines and precisions, and interrupted builds, continue from it."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from layer.bundle import build_cache
from layer.export.onnx_export import make
from layer.files.link import link_own, point_to
from layer.sources.fetch import Fetched
from layer.sources.hf_cache import place
from layer.spec import ModelSpec


def exported(model: ModelSpec, sources: Sequence[Fetched], cache: Path, own_samples: Path | None) -> Path:
    """Return the folder of the model's export, as `layer.export.onnx_export` writes it; export it if there is none.

    Raises ExportError with the exporter's reason.
    """
    whatever_engine = replace(model, engine="onnx", precision="fp32")
    digest = build_cache.fingerprint(whatever_engine, [source.locked() for source in sources], own_samples)
    folder = cache / "exported" / model.slug / digest
    if folder.is_dir():
        return folder
    shutil.rmtree(folder.parent, ignore_errors=True)  # of other weights or libraries, or cut off
    folder.parent.mkdir(parents=True)
    # A new name each time: the exporter of a killed build may still be writing into the last one.
    making = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))
    try:
        for source in sources:
            source.refuse_changed()
            place(source, making / "hub", link_own(cache, point_to))
        make(model, making / "hub", making, own_samples)
        shutil.rmtree(making / "hub")
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)  # after a failure: on a full disk, half an export would keep it full
    return folder
