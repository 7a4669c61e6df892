"""Check responses of the API item by item, so that only results of one model are written."""

import base64
import binascii
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openclip_lambda.counts import counted
from openclip_lambda.errors import InputError, ResponseError
from openclip_lambda.exchange import FULL

Result = dict[str, Any] | InputError  # the fields of a row, or why this item has none
MAX_FLOAT32 = float(np.finfo(np.float32).max)
NO_NUMBERS = "the API answered with an embedding that is no list of numbers"


class Results:
    """Reads the responses of one run, which all have to come from one model with vectors of one length.

    `model` is its id, `manifest` names its vectors where the API tells it, `full` counts the texts that fill the
    model's context, as far as the API names them: what they have beyond it was not read. Several threads may use one.
    Raises ResponseError where a response is not what the API answers; a single vector that is not finite is an
    InputError in the place of its result.
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.manifest: str | None = None
        self.full = 0
        self._width: int | None = None
        self._lock = threading.Lock()

    def embeddings(self, response: Any, count: int) -> list[Result]:
        """Read the response of /v1/embeddings, as lists of numbers or as base64 of little-endian float32."""
        found = [self._embedding(item) for item in self._items(response, count)]
        with self._lock:
            self.full += full_texts(response)
        return found

    def scores(self, response: Any, count: int, labels: Sequence[str]) -> list[Result]:
        """Read the response of /v1/classify."""
        found = [_scores(item, labels) for item in self._items(response, count)]
        with self._lock:
            self.full = max(self.full, full_texts(response))  # each request has the same labels
        return found

    def expect(self, model: Any, manifest: str | None, width: int | None) -> None:
        """Compare a response with earlier ones. Raises ResponseError if it is from another model or bundle."""
        with self._lock:
            self._same("the model", model, self.model)
            self._same("the bundle", manifest, self.manifest)
            if width is not None and self._width not in (None, width):
                raise ResponseError(
                    f"the API now answers with {counted(width, 'dimension')}, before it was {self._width:,}: their "
                    "vectors cannot be compared. Name a model with --model",
                    200,
                )
            self.model = self.model if model is None else model
            self.manifest = self.manifest or manifest
            self._width = self._width or width

    def _same(self, what: str, now: Any, before: Any) -> None:
        if before is not None and now is not None and now != before:
            fix = "Name one with --model" if what == "the model" else "Begin again"
            raise ResponseError(
                f"the API now answers with {what} {now!r}, before it was {before!r}: their vectors cannot be compared. "
                f"{fix}",
                200,
            )

    def _items(self, response: Any, count: int) -> list[dict[str, Any]]:
        data = response.get("data") if isinstance(response, dict) else None
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise ResponseError("the API answered without a list `data` of results: is it an embeddings API?", 200)
        if len(data) != count:
            raise ResponseError(
                f"the API answered {counted(len(data), 'result')} to {counted(count, 'item')}: none of them is taken",
                200,
            )
        self.expect(response.get("model"), response.get("manifest_sha256"), None)
        places = [item.get("index", place) for place, item in enumerate(data)]
        if any(type(place) is not int for place in places) or sorted(places) != list(range(count)):
            raise ResponseError("the API's results do not say which item each belongs to: none of them is taken", 200)
        return [item for _, item in sorted(zip(places, data, strict=True), key=lambda pair: pair[0])]

    def _embedding(self, item: dict[str, Any]) -> Result:
        vector = to_vector(item.get("embedding"))
        self.expect(None, None, len(vector))
        if not np.isfinite(vector).all():
            return InputError("the API answered with an embedding that is not finite")
        return {"embedding": vector}


def full_texts(response: Any) -> int:
    """Return how many texts of a request the API named as filling the model's context."""
    count = response.get(FULL) if isinstance(response, dict) else None
    return count if type(count) is int else 0


def full_note(count: int) -> str:
    """Say that so many texts fill the model's context."""
    return f"{counted(count, 'text')} reached the model's context length: tokens beyond it were not read"


def to_vector(value: Any) -> NDArray[np.float32]:
    """Return an embedding as float32 [D]; infinite where float32 cannot hold a number. Raises ResponseError."""
    if isinstance(value, str):
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ResponseError(NO_NUMBERS, 200) from error
        if not raw or len(raw) % 4:
            raise ResponseError(NO_NUMBERS, 200)
        return np.frombuffer(raw, "<f4").astype(np.float32)
    if not isinstance(value, list) or not value or not all(type(number) in (float, int) for number in value):
        raise ResponseError(NO_NUMBERS, 200)
    finite = all(map(_is_finite, value))
    return np.array(value if finite else [np.inf] * len(value), np.float32)


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
