"""Refuse a build at its start if the disk has less space than the build certainly writes."""

from collections.abc import Sequence
from pathlib import Path

from layer.engines import ENGINES
from layer.errors import StorageError
from layer.files import disk_errors
from layer.registry import table
from layer.spec import ModelSpec

MIN_BYTES = 10_000_000  # even the demo model, the smallest there is, writes more


def refuse_too_little(models: Sequence[ModelSpec], cache: Path) -> None:
    """Raise StorageError if less is free than the fp32 weights, which an export writes first, will take."""
    needed = max(
        MIN_BYTES, *(_exported(model) for model in models if not (cache / "exported" / model.slug).exists()), 0
    )
    if disk_errors.free(cache) < needed:
        raise StorageError(
            f"No space left on device for this build: {disk_errors.space(cache)}, and at least {needed / 1e6:,.0f} MB "
            "are needed. Make room there, or name another --cache"
        )


def _exported(model: ModelSpec) -> int:
    """Return the bytes of a model's fp32 weights; 0 if they are not known, or if the model is not exported."""
    if ENGINES[model.engine].ships_checkpoint:
        return 0
    row = table.known(model.name) if model.pretrained else None
    return int(row["bytes"]["fp32"]) if row else 0
