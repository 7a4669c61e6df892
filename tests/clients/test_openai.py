"""The openai package, with another base URL and nothing else changed."""

import base64
import json
import urllib.request
from typing import Any

import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from openai import OpenAI

from tests.clients.conftest import MODEL, as_base64, data_uri, drawn
from tests.clients.gateway import KEY, Gateway
from tests.patience import SECONDS

TEXTS = ["a photo of a red circle", "一个蓝色的圆形的照片"]


def client(gateway: Gateway, key: str = KEY, **options: Any) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/v1", api_key=key, **{"max_retries": 0, **options})


def vectors(answer: Any) -> NDArray[np.float32]:
    assert [row.index for row in answer.data] == list(range(len(answer.data)))
    return np.array([row.embedding for row in answer.data], np.float32)


@pytest.fixture(scope="module")
def expected(gateway: Gateway) -> NDArray[np.float32]:
    """What the API says without any client: base64 decoded as its document says."""
    body = json.dumps({"input": TEXTS, "encoding_format": "base64"}).encode()
    request = urllib.request.Request(f"{gateway.url}/v1/embeddings", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        rows = json.load(answer)["data"]
    return np.stack([np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in rows])


def test_a_list_comes_back_as_floats_in_its_order_through_the_default_encoding(
    gateway: Gateway, expected: NDArray[np.float32]
) -> None:
    answer = client(gateway).embeddings.create(model=MODEL, input=TEXTS)

    np.testing.assert_array_equal(vectors(answer), expected)
    np.testing.assert_allclose(np.linalg.norm(vectors(answer), axis=1), 1, atol=1e-5)
    assert (answer.object, answer.model) == ("list", MODEL)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_both_encodings_are_the_same_numbers(gateway: Gateway, expected: NDArray[np.float32], encoding: Any) -> None:
    answer = client(gateway).embeddings.create(model=MODEL, input=TEXTS[0], encoding_format=encoding)
    row: Any = answer.data[0].embedding
    found = np.frombuffer(base64.b64decode(row), "<f4") if encoding == "base64" else np.array(row, np.float32)
    np.testing.assert_allclose(found, expected[0], atol=1e-6)


def test_images_go_through_extra_body_data_uris_and_jina_s_objects_alike(gateway: Gateway) -> None:
    red = drawn("red")
    ask = client(gateway).embeddings.create
    mixed: Any = [{"image": as_base64(red)}, {"image": data_uri(red)}, {"text": TEXTS[0]}]
    ways = [
        ask(model=MODEL, input=[as_base64(red)], extra_body={"modality": "image"}),
        ask(model=MODEL, input=[data_uri(red)]),
        ask(model=MODEL, input=mixed),
    ]
    images = [vectors(answer)[0] for answer in ways] + [vectors(ways[2])[1]]
    for image in images[1:]:
        np.testing.assert_allclose(image, images[0], atol=1e-6)
    red_text, blue_text = vectors(ask(model=MODEL, input=TEXTS))
    assert images[0] @ red_text > 0.3 > images[0] @ blue_text


def test_dimensions_are_taken_where_they_are_the_model_s_own(gateway: Gateway) -> None:
    ask = client(gateway).embeddings.create
    assert len(ask(model=MODEL, input="a", dimensions=64, user="someone").data[0].embedding) == 64
    with pytest.raises(openai.BadRequestError) as caught:
        ask(model=MODEL, input="a", dimensions=32)
    assert (caught.value.code, caught.value.param) == ("dimensions_not_supported", "dimensions")


def test_models_are_listed(gateway: Gateway) -> None:
    [model] = client(gateway).models.list()
    assert (model.id, model.object, model.owned_by) == (MODEL, "model", "openclip-lambda")
    facts = model.model_dump()
    assert (facts["embed_dim"], facts["image_size"], facts["modalities"]) == (64, [64, 64], ["text", "image"])
    assert facts["context_length"] == 32
    assert client(gateway).models.retrieve(model.id) == model  # whose id has a slash
    with pytest.raises(openai.NotFoundError) as caught:
        client(gateway).models.retrieve("text-embedding-3-small")
    assert caught.value.code == "model_not_found"


def test_a_bad_request_has_its_own_error_class_with_code_and_param(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client(gateway).embeddings.create(model=MODEL, input=["a", ""])
    assert (caught.value.status_code, caught.value.code, caught.value.param) == (400, "empty_input", "input[1]")
    assert caught.value.type == "invalid_request_error"


def test_responses_and_errors_have_the_id_of_their_request(gateway: Gateway) -> None:
    answer = client(gateway).embeddings.create(model=MODEL, input="a")
    with pytest.raises(openai.BadRequestError) as caught:
        client(gateway).embeddings.create(model=MODEL, input="")
    assert answer._request_id
    assert caught.value.request_id not in (None, answer._request_id)


def test_an_unknown_model_and_an_unknown_route_are_not_found(gateway: Gateway) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client(gateway).embeddings.create(model="text-embedding-3-small", input="a")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client(gateway).chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hello"}])


def test_an_image_that_is_too_large_or_no_image_says_so(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client(gateway).embeddings.create(model=MODEL, input=[data_uri(b"hello, I am a text")])
    assert (caught.value.code, caught.value.param) == ("not_an_image", "input[0]")
    with pytest.raises(openai.APIStatusError) as refused:
        client(gateway).embeddings.create(model=MODEL, input="a" * 6_100_000)  # Lambda lets it in
    assert (refused.value.status_code, refused.value.code) == (413, "body_too_large")


def test_credentials_that_are_missing_or_wrong_never_reach_the_function(guarded: Gateway) -> None:
    before = len(guarded.seen)
    with pytest.raises(openai.AuthenticationError):
        client(guarded).embeddings.create(model=MODEL, input="a", extra_headers={"Authorization": openai.Omit()})
    # What API Gateway's HTTP APIs answer where an authorizer says no is 403, and not 401.
    with pytest.raises(openai.PermissionDeniedError):
        client(guarded, "a-wrong-key").embeddings.create(model=MODEL, input="a")
    assert len(guarded.seen) == before
    assert len(client(guarded).embeddings.create(model=MODEL, input="a").data) == 1


def test_a_throttled_request_is_a_rate_limit_error_and_retries_bring_it_home(gateway: Gateway) -> None:
    gateway.throttle = 1
    with pytest.raises(openai.RateLimitError):
        client(gateway).embeddings.create(model=MODEL, input="a")
    gateway.throttle = 2
    answer = client(gateway, max_retries=3).embeddings.create(model=MODEL, input="a")
    assert (len(answer.data), gateway.throttle) == (1, 0)
