"""Other vendors' own clients, unmodified, with another base URL: each understands the other."""

import io
import json
import urllib.request
from typing import Any

import cohere
import httpx
import litellm
import numpy as np
import pytest
import voyageai
from cohere.errors import BadRequestError, NotFoundError
from huggingface_hub import InferenceClient
from openai import OpenAI
from openai.types import CreateEmbeddingResponse
from PIL import Image

from tests.clients.conftest import MODEL, as_base64, data_uri, drawn
from tests.clients.gateway import KEY, Gateway
from tests.patience import SECONDS

TEXTS = ["a photo of a red circle", "a photo of a blue star"]
TOO_LONG = "a red circle " * 60


def cohere_client(gateway: Gateway, key: str = KEY) -> Any:
    return cohere.ClientV2(key, base_url=gateway.url)


def voyage_client(gateway: Gateway) -> Any:
    return voyageai.Client(api_key=KEY, base_url=f"{gateway.url}/v1", max_retries=0)


def normalized(vectors: Any) -> Any:
    found = np.array(vectors, np.float64)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def test_cohere_embeds_texts_images_and_inputs_of_both(gateway: Gateway) -> None:
    embed = cohere_client(gateway).embed
    red = data_uri(drawn("red"))
    content = [{"type": "text", "text": TEXTS[0]}, {"type": "image_url", "image_url": {"url": red}}]

    texts = embed(model=MODEL, input_type="search_document", texts=TEXTS, embedding_types=["float"], truncate="END")
    images = embed(model=MODEL, input_type="image", images=[red], embedding_types=["float"])
    both = embed(model=MODEL, input_type="search_document", inputs=[{"content": content}], embedding_types=["float"])

    text, image = texts.embeddings.float_[0], images.embeddings.float_[0]
    np.testing.assert_allclose(both.embeddings.float_[0], normalized(np.add(text, image)), atol=1e-5)
    assert np.dot(text, image) > 0.3
    assert (texts.texts, texts.meta.billed_units.images) == (TEXTS, 0)
    assert (images.images[0].width, images.images[0].format) == (128, "png")


def test_cohere_s_embedding_types_are_of_the_same_vectors(gateway: Gateway) -> None:
    kinds = ["float", "int8", "uint8", "binary", "ubinary", "base64"]
    answer = cohere_client(gateway).embed(
        model=MODEL, input_type="search_query", texts=TEXTS, embedding_types=kinds, output_dimension=64
    )
    found = answer.embeddings
    vectors = np.array(found.float_)
    assert (normalized(found.int8) * vectors).sum(axis=1).min() > 0.999
    np.testing.assert_array_equal(np.array(found.uint8) - 128, found.int8)
    np.testing.assert_array_equal(np.unpackbits(np.array(found.ubinary, np.uint8), axis=1), vectors > 0)
    np.testing.assert_array_equal(np.array(found.binary) + 128, found.ubinary)


def test_cohere_raises_its_own_errors_with_our_code(gateway: Gateway) -> None:
    embed = cohere_client(gateway).embed
    with pytest.raises(BadRequestError) as caught:
        embed(model=MODEL, input_type="search_query", texts=["a", ""])
    assert caught.value.body["message"].startswith("empty_input: texts[1]")
    assert caught.value.body["id"]
    with pytest.raises(NotFoundError) as missing:
        embed(model="embed-v4.0", input_type="search_query", texts=["a"])
    assert missing.value.body["message"].startswith("model_not_found: ")


def test_cohere_s_truncate_cuts_either_end_or_refuses_in_its_own_error(gateway: Gateway) -> None:
    def embed(text: str, truncate: str) -> Any:
        asked = {"model": MODEL, "input_type": "search_query", "embedding_types": ["float"]}
        return cohere_client(gateway).embed(texts=[text], truncate=truncate, **asked).embeddings.float_[0]

    filler = " ".join(["word"] * 60)
    for first, last in (TEXTS, TEXTS[::-1]):
        for truncate in ("START", "END"):
            kept, lost = (last, first) if truncate == "START" else (first, last)
            both = [f"{first} {filler}", f"{filler} {last}"]
            of_kept = embed(both[1] if kept == last else both[0], truncate)
            np.testing.assert_allclose(embed(f"{first} {filler} {filler} {last}", truncate), of_kept, atol=1e-5)
            assert not np.allclose(of_kept, embed(f"{filler} {lost}", truncate), atol=1e-2)
    with pytest.raises(BadRequestError) as caught:
        embed(TOO_LONG, "NONE")
    assert caught.value.body["message"].startswith("text_too_long: texts[0]: it has ")
    np.testing.assert_allclose(embed(TEXTS[0], "NONE"), embed(TEXTS[0], "END"), atol=1e-6)


def test_voyage_embeds_inputs_of_texts_and_images_as_one(gateway: Gateway) -> None:
    client = voyage_client(gateway)
    red = Image.open(io.BytesIO(drawn("red")))

    both = client.multimodal_embed([[TEXTS[0], red]], model=MODEL, input_type="document")
    each = client.multimodal_embed([[TEXTS[0]], [red]], model=MODEL)
    text = client.embed([TEXTS[0]], model=MODEL, input_type="query")

    np.testing.assert_allclose(both.embeddings[0], normalized(np.sum(each.embeddings, axis=0)), atol=1e-5)
    np.testing.assert_allclose(text.embeddings, each.embeddings[:1], atol=1e-5)
    assert (both.image_pixels, both.total_tokens) == (128 * 128, both.text_tokens + 30)


@pytest.mark.parametrize("kind", ["int8", "uint8", "binary", "ubinary"])
def test_voyage_s_output_types_come_through_its_own_decoder(gateway: Gateway, kind: str) -> None:
    client = voyage_client(gateway)
    expected = cohere_client(gateway).embed(model=MODEL, input_type="search_query", texts=TEXTS, embedding_types=[kind])
    found = client.embed(TEXTS, model=MODEL, output_dtype=kind)
    assert [list(row) for row in found.embeddings] == getattr(expected.embeddings, kind)


def test_voyage_raises_its_own_errors_with_our_code(gateway: Gateway) -> None:
    content = [{"type": "image_url", "image_url": "https://example.com/a.png"}]
    with pytest.raises(voyageai.error.InvalidRequestError, match=r"^url_not_supported: "):
        voyage_client(gateway).multimodal_embed([{"content": content}], model=MODEL)
    with pytest.raises(voyageai.error.InvalidRequestError, match=r"^text_too_long: "):
        voyage_client(gateway).embed(["a", TOO_LONG], model=MODEL, truncation=False)


def openai_vectors(gateway: Gateway, body: Any) -> Any:
    """Send a body as it is through openai's client, as vLLM's documents do."""
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0)
    answer = client.post("/embeddings", cast_to=CreateEmbeddingResponse, body={"model": MODEL, **body})
    return np.array([row.embedding for row in answer.data])


def test_content_parts_and_vllm_s_messages_come_through_openai_s_client(gateway: Gateway) -> None:
    red = data_uri(drawn("red"))
    content = [{"type": "image_url", "image_url": {"url": red}}, {"type": "text", "text": TEXTS[0]}]

    each = openai_vectors(gateway, {"input": content, "encoding_format": "float", "user": "someone"})
    both = openai_vectors(gateway, {"input": [{"text": TEXTS[0], "image": red}], "encoding_format": "float"})
    chat = openai_vectors(gateway, {"messages": [{"role": "user", "content": content}], "encoding_format": "float"})

    np.testing.assert_allclose(both[0], normalized(each.sum(axis=0)), atol=1e-5)
    np.testing.assert_allclose(chat, both, atol=1e-5)


@pytest.mark.parametrize("kind", ["int8", "uint8", "binary", "ubinary"])
def test_openai_s_client_hands_on_the_smaller_formats(gateway: Gateway, kind: str) -> None:
    expected = cohere_client(gateway).embed(model=MODEL, input_type="search_query", texts=TEXTS, embedding_types=[kind])
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0)
    answer = client.embeddings.create(model=MODEL, input=TEXTS, extra_body={"encoding_format": kind})
    assert [row.embedding for row in answer.data] == getattr(expected.embeddings, kind)


def test_litellm_embeds_as_openai_with_its_habits_and_through_the_router_of_its_proxy(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: Any = {"api_base": f"{gateway.url}/v1", "api_key": KEY}
    model = f"openai/{MODEL}"
    expected = openai_vectors(gateway, {"input": TEXTS, "encoding_format": "float"})

    plain = litellm.embedding(model=model, input=TEXTS, **where)
    monkeypatch.setattr(litellm, "drop_params", True)
    sized = {"dimensions": 64, "allowed_openai_params": ["dimensions"]}  # which it drops for no model, or refuses
    dropped = litellm.embedding(model=model, input=TEXTS, user="someone", **sized, **where)
    extra = litellm.embedding(model=model, input=TEXTS, extra_body={"modality": "text", "input_type": "query"}, **where)
    router = litellm.Router(model_list=[{"model_name": "clip", "litellm_params": {"model": model, **where}}])
    routed = router.embedding(model="clip", input=TEXTS, user="someone", metadata={"team": "search"})

    for answer in (plain, dropped, extra, routed):
        np.testing.assert_allclose([row["embedding"] for row in answer.data], expected, atol=1e-5)


def test_litellm_raises_its_own_error(gateway: Gateway) -> None:
    where: Any = {"api_base": f"{gateway.url}/v1", "api_key": KEY, "max_retries": 0}
    with pytest.raises(litellm.BadRequestError, match="is an empty string"):
        litellm.embedding(model=f"openai/{MODEL}", input=["a", ""], **where)


def test_hugging_face_s_client_asks_tei_s_route(gateway: Gateway) -> None:
    expected = openai_vectors(gateway, {"input": TEXTS[:1], "encoding_format": "float"})
    for address in (f"{gateway.url}/embed", gateway.url, f"{gateway.url}/"):
        client = InferenceClient(model=address, token=KEY)
        found = client.feature_extraction(TEXTS[0], normalize=True, truncate=True, encoding_format="float")
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_jina_s_published_request(gateway: Gateway) -> None:
    body = {
        "model": MODEL,
        "task": "text-matching",
        "normalized": True,
        "embedding_type": "float",
        "input": [{"text": TEXTS[0]}, {"image": as_base64(drawn("red"))}],
    }
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"{gateway.url}/v1/embeddings", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        answer = json.load(response)
    text, image = np.array([row["embedding"] for row in answer["data"]])
    assert text @ image > 0.3
    assert answer["usage"]["total_tokens"] > 0


def test_jina_s_fields_come_through_openai_s_client(gateway: Gateway) -> None:
    client = OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0)
    expected = openai_vectors(gateway, {"input": TEXTS, "encoding_format": "float"})
    asked: Any = {"model": MODEL, "input": TEXTS}
    for extra in ({"task": "retrieval.query"}, {"late_chunking": False, "embedding_type": "float"}):
        answer = client.embeddings.create(**asked, extra_body=extra)
        np.testing.assert_allclose([row.embedding for row in answer.data], expected, atol=1e-5)


def test_immich_s_forms_as_its_server_sends_them(gateway: Gateway) -> None:
    assert httpx.get(f"{gateway.url}/ping", timeout=SECONDS).text == "pong"
    url, red = f"{gateway.url}/predict", drawn("red")
    visual = {"entries": (None, json.dumps({"clip": {"visual": {"modelName": MODEL}}}))}
    textual = {"clip": {"textual": {"modelName": MODEL, "options": {"language": "en"}}}}

    image = httpx.post(url, files={**visual, "image": ("blob", red, "application/octet-stream")}, timeout=SECONDS)
    text = httpx.post(url, files={"entries": (None, json.dumps(textual)), "text": (None, TEXTS[0])}, timeout=SECONDS)

    assert (image.json()["imageHeight"], image.json()["imageWidth"]) == (128, 128)
    vectors = np.array([json.loads(answer.json()["clip"]) for answer in (image, text)])
    expected = openai_vectors(gateway, {"input": [data_uri(red), TEXTS[0]], "encoding_format": "float"})
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
