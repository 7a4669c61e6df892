"""Name the vectors that a model makes: only those with equal digests may be compared.

The digest is of what goes into a build, and of the recipes that the parity gate chose. It is not of the built files,
whose last digits depend on the machine, nor of times and figures. So the same models.toml and models.lock give the same
digest on another machine, without `build/cache`, and beside other models; for another Python, architecture or package,
too, as long as the engine is the same.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from layer.bundle import build_cache
from layer.bundle.export_records import Export
from layer.bundle.records import ModelEntry
from layer.files.own_samples import files as own_samples_files
from layer.sources.lock import LockedSource
from layer.versions import installed

FACTS = (
    *("id", "name"),  # open_clip has the config of a name: two names may share their weights, and differ in GELU
    *("engine", "precision", "embed_dim", "image_size", "context_length", "preprocess", "tokenizer", "jpeg_decoding"),
)
WITHOUT_EFFECT = "huggingface_hub"  # it fetches files, whose hashes are known


def named(entry: ModelEntry, sources: Sequence[LockedSource], own_samples: Path | None) -> ModelEntry:
    """Return the entry with the name of its vectors. `own_samples` count: the ranges of int8 are measured on them."""
    known = asdict(entry)
    samples = own_samples_files(own_samples) if own_samples else []
    inputs = {
        "model": {name: known[name] for name in FACTS},
        "recipes": _recipes(entry.export),
        "files": sorted((name, file.sha256) for source in sources for name, file in source.files.items()),
        "versions": {
            package: (installed(package) or "").partition("+")[0]  # "2.13.0+cpu" computes as "2.13.0" does
            for package in build_cache.LIBRARIES
            if package != WITHOUT_EFFECT
        },
        "decoders": build_cache.decoder_pins(),
        "code": build_cache.code_digest(),
        "samples": sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in samples),
    }
    return replace(entry, vectors_sha256=hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest())


def _recipes(export: Export | None) -> list[Any]:
    """Return how each tower is stored. bfloat16 and second graphs are left out: hosts of one bundle differ, too."""
    return [(tower.recipe, tower.activation_group) for tower in (export.image, export.text)] if export else []
