"""Search over a deployed collection: through the gateway, by text and image, and kept current by its own functions."""

import base64
import io
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from layer.demo.shapes import Thing, draw
from tests.e2e.collection import ARRIVAL_SECONDS, GOOD, SEARCHED, SOURCE, drawn
from tests.e2e.deployment import Deployment
from tests.e2e.test_batch import command

pytestmark = pytest.mark.parametrize("batch", SEARCHED, indirect=True)
ROOM = 5  # arrivals of test_batch.py, more or less


def shape(color: str, kind: str) -> bytes:
    """One of the shapes that the demo model knows, drawn as it has never seen it."""
    out = io.BytesIO()
    draw(np.random.default_rng(20261127), [Thing(color, kind)]).save(out, "PNG")
    return out.getvalue()


def image(data: bytes) -> dict[str, str]:
    return {"image": f"data:image/png;base64,{base64.b64encode(data).decode()}"}


def search(batch: Deployment, query: Any, **more: Any) -> dict[str, Any]:
    reply = batch.call("/v1/search", {"query": query, **more}, batch.bearer())
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json()
    return found


def keys(found: dict[str, Any]) -> list[str]:
    return [hit["key"] for hit in found["data"]]


def seconds_until(holds: Callable[[], bool]) -> float:
    """Wait until it holds; returns the seconds that it took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() < started + ARRIVAL_SECONDS, f"not within {ARRIVAL_SECONDS} s"
        time.sleep(1)
    return time.monotonic() - started


@pytest.fixture
def rebuilt(batch: Deployment) -> dict[str, Any]:
    """The collection with a finished run and an index of it; what the rebuild told."""
    stack = ("--stack", batch.name)
    command(batch, "start", f"s3://{SOURCE}/in/", *stack, "--run", "first", "--shard-size", "20")
    assert command(batch, "status", *stack, "--run", "first", "--wait")["status"] == "SUCCEEDED"
    told: dict[str, Any] = command(batch, "index", *stack)["answer"]
    return told


def test_an_image_is_found_through_the_gateway_by_whoever_has_the_key(
    batch: Deployment, rebuilt: dict[str, Any]
) -> None:
    assert GOOD - ROOM <= rebuilt["rows"] <= GOOD + ROOM
    assert batch.call("/v1/search", {"query": "a red circle"}).status == 401

    found = search(batch, image(drawn(50)), k=3, with_urls=True, with_vectors=True)

    best = found["data"][0]
    assert (best["bucket"], best["key"]) == (SOURCE, "in/050.png")
    assert best["score"] > 0.999
    assert best["metadata"]["width"] == best["metadata"]["height"] == 64
    assert "X-Amz-Signature" in best["url"]
    np.testing.assert_allclose(np.linalg.norm(best["vector"]), 1, atol=1e-5)
    assert keys(search(batch, image(drawn(50)), filter={"prefix": "in/06"}, k=1))[0].startswith("in/06")
    told = batch.call("/v1/index", headers=batch.bearer()).json()
    assert told["rows"] == rebuilt["rows"]


def test_what_arrives_is_found_by_text_and_what_is_deleted_is_not(batch: Deployment) -> None:
    s3 = batch.aws.client("s3")
    for name, thing in (("red-circle", ("red", "circle")), ("green-star", ("green", "star"))):
        s3.put_object(Bucket=SOURCE, Key=f"in/{name}.png", Body=shape(*thing))
    took = seconds_until(lambda: "in/red-circle.png" in keys(search(batch, "a red circle", k=1)))
    seconds_until(lambda: "in/green-star.png" in keys(search(batch, "一个绿色的星形", k=1)))
    mixed = [{"text": "a red circle"}, {"image": image(shape("green", "star"))["image"], "weight": -0.3}]
    assert keys(search(batch, mixed, k=1)) == ["in/red-circle.png"]

    s3.delete_object(Bucket=SOURCE, Key="in/red-circle.png")
    gone = seconds_until(lambda: "in/red-circle.png" not in keys(search(batch, "a red circle", k=1000)))

    print(f"found {took:.1f} s after it came, and gone {gone:.1f} s after it went")
    # The queue of failures demands TLS, and the emulator serves http: the function says itself what it sent back.
    told = [json.loads(line)["index_updates"] for line in batch.log_lines() if line.startswith('{"index_updates"')]
    assert sum(update["files"] for update in told) >= 2
    assert [update for update in told if update["returned"]] == []
