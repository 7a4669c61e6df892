"""Every kind of bad input from eight clients at once, good requests among them: each is answered as if alone."""

import json
import os
import random
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clients.conftest import data_uri, drawn
from tests.clients.gateway import Gateway, serving
from tests.patience import SECONDS
from tests.unit.handler.test_bad_input import BAD_BODIES

CLIENTS = 8
REPEATS = int(os.environ.get("HOSTILE_REPEATS") or 5)  # of each kind; `make fuzz` sets 100
GOOD = [
    {"input": "a photo of a red circle"},
    {"input": ["一个蓝色的星星的照片", data_uri(drawn("red"))]},
    {"input": {"image": data_uri(drawn("blue"))}},
]


@pytest.fixture(scope="module")
def api(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The demo model, with the limits that the list of bad input was written for."""
    limits = {"MAX_ITEMS": "4", "MAX_BODY_BYTES": "30000", "MAX_IMAGE_PIXELS": "1000000"}
    environ = {f"OPENCLIP_{name}": value for name, value in limits.items()}
    with serving(bundle, tmp_path_factory.mktemp("hostile"), **environ) as gateway:
        yield gateway


def ask(api: Gateway, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{api.url}/v1/embeddings", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def vectors(answer: Any) -> Any:
    return np.array([row["embedding"] for row in answer["data"]])


def test_good_requests_among_hostile_ones_are_all_answered_right(api: Gateway) -> None:
    expected = []
    for body in GOOD:
        status, answer = ask(api, body)
        assert status == 200, answer
        expected.append(vectors(answer))
    bad: list[tuple[Any, ...]] = [("bad", *row) for row in BAD_BODIES for _ in range(REPEATS)]
    good: list[tuple[Any, ...]] = [("good", index % len(GOOD)) for index in range(len(bad) // 3)]
    work = [*bad, *good]
    random.Random(5).shuffle(work)  # noqa: S311 - an order, not a secret

    def one(task: tuple[Any, ...]) -> str:
        if task[0] == "bad":
            _, body, status, code, param = task
            found, answer = ask(api, body)
            error = answer.get("error", {})
            assert (found, error.get("code"), error.get("param")) == (status, code, param), (body, answer)
            return "refused"
        found, answer = ask(api, GOOD[task[1]])
        assert found == 200, answer
        np.testing.assert_allclose(vectors(answer), expected[task[1]], atol=1e-6)
        return "answered"

    with ThreadPoolExecutor(CLIENTS) as pool:
        outcomes = Counter(pool.map(one, work))
    print(dict(outcomes))
    assert outcomes == {"refused": len(bad), "answered": len(good)}
