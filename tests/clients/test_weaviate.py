"""Weaviate's multi2vec-clip module, by what its Go client sends and reads (modules/multi2vec-clip/clients)."""

import json
import urllib.error
import urllib.request
from typing import Any

import numpy as np
import pytest

from tests.clients.conftest import MODEL, as_base64, drawn
from tests.clients.gateway import KEY, Gateway
from tests.patience import SECONDS


def ask(gateway: Gateway, path: str, body: Any = None) -> tuple[int, Any]:
    """Ask as the client does: POST sends no content type."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(gateway.url + path, data)
    if data:
        request.add_header("Content-Type", "")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            content = answer.read()
            return answer.status, json.loads(content) if content else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_startup_waits_for_a_2xx_and_meta_is_an_object(gateway: Gateway) -> None:
    status, body = ask(gateway, "/.well-known/ready")
    assert (status, body) == (204, None)
    status, meta = ask(gateway, "/meta")
    assert (status, meta["model"], meta["embed_dim"]) == (200, MODEL, 64)


@pytest.mark.parametrize("nothing", [None, []])  # Go writes a nil slice as null
def test_texts_and_images_come_back_in_lists_of_their_own(gateway: Gateway, nothing: Any) -> None:
    red, blue = as_base64(drawn("red")), as_base64(drawn("blue"))

    both = ask(gateway, "/vectorize", {"texts": ["a photo of a red circle"], "images": [blue, red]})
    texts = ask(gateway, "/vectorize", {"texts": ["a photo of a red circle"], "images": nothing})
    images = ask(gateway, "/vectorize", {"texts": nothing, "images": [blue, red]})

    assert both[0] == texts[0] == images[0] == 200
    assert set(both[1]) == {"textVectors", "imageVectors"}
    assert (texts[1]["imageVectors"], images[1]["textVectors"]) == ([], [])
    np.testing.assert_allclose(both[1]["textVectors"], texts[1]["textVectors"], atol=1e-5)
    np.testing.assert_allclose(both[1]["imageVectors"], images[1]["imageVectors"], atol=1e-5)
    scores = np.array(both[1]["imageVectors"]) @ np.array(both[1]["textVectors"][0])
    assert int(np.argmax(scores)) == 1


def test_an_error_is_a_string_where_the_client_reads_a_string(gateway: Gateway) -> None:
    status, body = ask(gateway, "/vectorize", {"texts": [], "images": ["not an image"]})
    assert status > 399
    assert isinstance(body["error"], str)
    assert "images[0]" in body["error"]


def test_behind_a_key_its_url_has_the_key_in_its_path(guarded: Gateway) -> None:
    body = {"texts": ["a photo of a red circle"], "images": None}
    before = len(guarded.seen)
    assert ask(guarded, "/vectorize", body)[0] == 401
    assert ask(guarded, "/k/a-wrong-key/vectorize", body)[0] == 403
    assert len(guarded.seen) == before
    assert ask(guarded, f"/k/{KEY}/v1/models")[0] in (401, 404)  # the key's path opens nothing else

    assert ask(guarded, f"/k/{KEY}/.well-known/ready") == (204, None)
    assert ask(guarded, f"/k/{KEY}/.well-known/live") == (204, None)
    assert ask(guarded, f"/k/{KEY}/meta")[1]["model"] == MODEL
    status, answer = ask(guarded, f"/k/{KEY}/vectorize", body)
    assert (status, np.array(answer["textVectors"]).shape) == (200, (1, 64))
