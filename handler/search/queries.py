"""From a search's queries to one vector of unit length."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handler.endpoints.embeddings import embed, unit
from handler.errors import ApiError, counted
from handler.schemas.fields import Item
from handler.search.records import Vector
from handler.search.schemas import Query
from handler.settings import Settings

if TYPE_CHECKING:
    from handler.models import LoadedModel

CANCELLED = 1e-4  # of the weights: a sum that is shorter says more about rounding than about the queries


def combined(queries: Sequence[Query], model: "LoadedModel", settings: Settings) -> tuple[Vector, int]:
    """Embed the queries, add their unit vectors up by weight, and scale the sum to unit length.

    Returns the vector, float32 [D], and the number of tokens. Raises ApiError invalid_vector, query_cancels_out, or
    what a text or an image cannot be embedded for.
    """
    for query in queries:
        if query.vector is not None:
            check_length(query.vector, model.entry.embed_dim, query.param)
    items = [Item(query.item.value, query.param) for query in queries if query.item is not None]
    embedded, tokens = embed(items, model, settings) if items else (np.empty((0, model.entry.embed_dim)), 0)
    vectors = iter(unit(np.asarray(embedded, np.float32)))
    total = np.zeros(model.entry.embed_dim, np.float64)
    for query in queries:
        total += query.weight * (next(vectors) if query.vector is None else scaled(query.vector)).astype(np.float64)
    if np.linalg.norm(total) <= CANCELLED * sum(abs(query.weight) for query in queries):
        raise ApiError(
            "query_cancels_out",
            "the weighted queries add up to nothing, which has no direction: change a weight, or leave one out",
            "query",
        )
    return scaled(total), tokens


def check_length(vector: Sequence[float], dimensions: int, param: str) -> None:
    """Raise ApiError invalid_vector for one of another length than the model's."""
    if len(vector) != dimensions:
        raise ApiError(
            "invalid_vector", f"{param} has {counted(len(vector), 'number')}: the model has {dimensions:,}", param
        )


def scaled(vector: Sequence[float] | NDArray[np.float64]) -> Vector:
    """Bring numbers that are not all 0 to unit length, also where their squares would not be numbers any more."""
    numbers = np.asarray(vector, np.float64)
    numbers = numbers / np.abs(numbers).max()
    return np.asarray(numbers / np.linalg.norm(numbers), np.float32)
