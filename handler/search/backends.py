"""Open an index: its place says which product stores it."""

import threading
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from handler.search.index import S3_VECTORS, Index
from handler.search.records import ANY

if TYPE_CHECKING:
    from handler.search.rebuild import Progress, Rebuilt


def open_index(place: str) -> Index:
    """Return the index at `place`: a directory, `s3://bucket/prefix`, or `s3vectors:<bucket>/<index>`."""
    if place.startswith(S3_VECTORS):
        opened: Index = import_module("handler.search.s3vectors").S3VectorsIndex.open(place)
        return opened
    from handler.search.lance import LanceIndex

    return LanceIndex(place)


def import_ahead(place: str, at_init: bool) -> None:
    """Import what keeps the index while nobody waits: `at_init`, where it may be long, else beside the model's load."""
    if place.startswith(S3_VECTORS):
        return
    if at_init:
        import_module("lancedb")
    else:
        threading.Thread(target=import_module, args=("lancedb",), name="openclip-import", daemon=True).start()


def rebuild_index(
    vectors: str,
    place: str,
    manifest: str = "",
    settings: Mapping[str, Any] = ANY,
    progress: "Progress" = lambda *_: None,
) -> "Rebuilt":
    """Make the index at `place` anew from the batches at `vectors`, a directory or `s3://bucket[/prefix]`.

    `manifest` chooses a bundle, by the beginning of its hash, and `settings` one of several kinds. Raises SourceError,
    ApiError.
    """
    from handler.search.source import Source

    if place.startswith(S3_VECTORS):
        from handler.search.fill import fill
        from handler.search.s3vectors import S3VectorsIndex

        return fill(Source(vectors), S3VectorsIndex.open(place), manifest, progress, settings)
    from handler.search.lance import LanceIndex
    from handler.search.rebuild import rebuild

    return rebuild(Source(vectors), LanceIndex(place), manifest, progress, settings)
