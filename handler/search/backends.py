"""Which product keeps an index: the place says it."""

from importlib import import_module

from handler.search.index import Index

S3_VECTORS = "s3vectors:"


def open_index(place: str) -> Index:
    """Return the index at `place`: a directory, `s3://bucket/prefix`, or `s3vectors:<bucket>/<index>`."""
    if place.startswith(S3_VECTORS):
        opened: Index = import_module("handler.search.s3vectors").S3VectorsIndex.open(place)
        return opened
    from handler.search.lance import LanceIndex

    return LanceIndex(place)
