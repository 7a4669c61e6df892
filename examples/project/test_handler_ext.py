"""Tests of your own code, without a model: `python -m unittest` in this folder."""

import json
import unittest
from collections.abc import Sequence
from typing import Any

import handler_ext
import numpy as np
from handler.extensions import ApiError, Model, Request
from numpy.typing import NDArray


class StandIn:
    """Answers as the function does: the vector of a text says how often it has an a, b, c and d."""

    models = (Model("stand-in", 4, (64, 64), 32),)

    def embed(self, inputs: Sequence[str | bytes], model: str | None = None) -> NDArray[np.float32]:
        vectors = np.array([[str(text).count(letter) for letter in "abcd"] for text in inputs], np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    def read_json(self, request: Request) -> Any:
        return json.loads(request.body)


def post(body: Any) -> Request:
    text = json.dumps(body)
    return Request("POST", "/ext/rank", text=text, max_body_bytes=len(text))


class RankTest(unittest.TestCase):
    def test_the_nearest_text_comes_first(self) -> None:
        response = handler_ext.rank(post({"query": "aab", "texts": ["d", "ab", "aab"]}), StandIn())
        self.assertEqual(response.status, 200)
        assert isinstance(response.body, dict)
        self.assertEqual([row["text"] for row in response.body["ranked"]], ["aab", "ab", "d"])
        self.assertEqual(handler_ext.metrics(post({}), response), {"Ranked": 1})

    def test_another_body_is_refused(self) -> None:
        for body in ([], {"query": "a"}, {"query": 3, "texts": []}):
            with self.assertRaises(ApiError):
                handler_ext.rank(post(body), StandIn())


if __name__ == "__main__":
    unittest.main()
