"""Keep computed embeddings in the cache: the same images are not embedded again by the same model."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from layer.quality.embedding import Embedded

MAX_FILES = 24  # the oldest are removed


def cached(cache: Path, digest: str, compute: Callable[[], Embedded]) -> Embedded:
    """Return the embeddings that are kept under `digest` (64 hex digits), or compute and keep them."""
    folder = cache / "quality"
    path = folder / f"{digest}.npz"
    try:
        with np.load(path, allow_pickle=False) as found:
            refused = {
                kind: {int(place): reason for place, reason in rows.items()}
                for kind, rows in json.loads(str(found["refused"])).items()
            }
            embedded = Embedded(found["images"], found["texts"], refused)
        os.utime(path)
        return embedded
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # one of no bytes is EOFError
        pass
    embedded = compute()
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{digest}.{os.getpid()}.npz"
    try:
        np.savez(aside, images=embedded.images, texts=embedded.texts, refused=json.dumps(embedded.refused))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    for older in sorted(folder.glob("[0-9a-f]*.npz"), key=lambda one: one.stat().st_mtime)[:-MAX_FILES]:
        older.unlink(missing_ok=True)
    return embedded
