"""What a response of the API has to hold, item by item: no row is written that is not a result of this model."""

from collections.abc import Sequence
from typing import Any

from client.errors import InputError, ResponseError

MAX_FLOAT32 = (2 - 2**-23) * 2.0**127

Result = dict[str, Any] | InputError  # the fields of a row, or why this item has none


class Results:
    """Reads the responses of one run, which all have to come from one model with vectors of one length.

    Raises ResponseError where a response is not what the API answers; a single vector that is not finite is an
    InputError in the place of its result.
    """

    def __init__(self) -> None:
        self._model: Any = None
        self._width: int | None = None

    def embeddings(self, response: Any, count: int) -> list[Result]:
        """Read the response of /v1/embeddings."""
        return [self._embedding(item) for item in self._items(response, count)]

    def scores(self, response: Any, count: int, labels: Sequence[str]) -> list[Result]:
        """Read the response of /v1/classify."""
        return [_scores(item, labels) for item in self._items(response, count)]

    def _items(self, response: Any, count: int) -> list[dict[str, Any]]:
        data = response.get("data") if isinstance(response, dict) else None
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise ResponseError("the API answered without a list `data` of results: is it an embeddings API?", 200)
        if len(data) != count:
            raise ResponseError(
                f"the API answered {len(data):,} results to {count:,} items: none of them is taken", 200
            )
        model = response.get("model")
        if self._model is not None and model != self._model:
            raise ResponseError(
                f"the API now answers with the model {model!r}, before it was {self._model!r}: their vectors cannot be "
                "compared. Name one with --model",
                200,
            )
        self._model = model
        places = [item.get("index", place) for place, item in enumerate(data)]
        if any(type(place) is not int for place in places) or sorted(places) != list(range(count)):
            raise ResponseError("the API's results do not say which item each belongs to: none of them is taken", 200)
        return [item for _, item in sorted(zip(places, data, strict=True), key=lambda pair: pair[0])]

    def _embedding(self, item: dict[str, Any]) -> Result:
        vector = item.get("embedding")
        if not isinstance(vector, list) or not vector or not all(type(value) in (float, int) for value in vector):
            raise ResponseError("the API answered with an embedding that is no list of numbers", 200)
        if self._width not in (None, len(vector)):
            raise ResponseError(
                f"the API now answers with {len(vector):,} dimensions, before it was {self._width:,}: their vectors "
                "cannot be compared. Name a model with --model",
                200,
            )
        self._width = len(vector)
        if not all(map(_is_finite, vector)):
            return InputError("the API answered with an embedding that is not finite")
        return {"embedding": vector}


def _is_finite(value: float) -> bool:
    """Say whether float32 can hold a number: no NaN, no infinity, no integer of a thousand digits."""
    return -MAX_FLOAT32 <= value <= MAX_FLOAT32


def _scores(item: dict[str, Any], labels: Sequence[str]) -> Result:
    try:
        scores = {row["label"]: row["score"] for row in item["predictions"]}
    except (KeyError, TypeError) as error:
        raise ResponseError("the API answered without `predictions`: is it this project's API?", 200) from error
    if scores.keys() != set(labels) or not all(type(score) in (float, int) for score in scores.values()):
        raise ResponseError("the API answered with scores of other labels than those asked for", 200)
    if not all(map(_is_finite, scores.values())):
        return InputError("the API answered with a score that is not finite")
    return {"scores": {label: scores[label] for label in labels}}
