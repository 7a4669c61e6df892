"""A field of a JSON body that stands in the query string counts or is refused: it never changes nothing in silence."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fake_bundle import FIRST, SECOND, FakeFunction, as_base64, image_bytes

EMBEDDINGS = "/v1/embeddings"
IMAGE = as_base64(image_bytes())
OWN, CHAT = {"input": "abc"}, {"messages": [{"role": "user", "content": "abc"}]}
JINA, VOYAGE = {"input": "abc", "task": "x"}, {"input": "abc", "truncation": True}
COHERE = {"texts": ["abc"], "input_type": "search_query"}
OPTIONS = ["model", "encoding_format", "dimensions", "normalize", "exif_orientation"]
ELSEWHERE: list[tuple[str, dict[str, Any], list[str]]] = [
    (EMBEDDINGS, OWN, ["modality", "input", "input_type", "user", "drop_params"]),
    (EMBEDDINGS, CHAT, ["messages", "add_special_tokens", "user"]),
    (EMBEDDINGS, JINA, [*OPTIONS, "embedding_type", "normalized", "task", "truncate"]),
    (EMBEDDINGS, VOYAGE, [*OPTIONS, "output_dimension", "output_dtype", "truncation", "input_type"]),
    ("/v1/classify", {"input": IMAGE, "labels": ["a"]}, ["template", "model", "exif_orientation", "labels"]),
    ("/v1/similarity", {"images": [IMAGE], "texts": ["a"]}, ["model", "exif_orientation", "texts"]),
    ("/v1/multimodalembeddings", {"inputs": [{"content": [{"type": "text", "text": "a"}]}]}, ["output_dtype"]),
    ("/v2/embed", COHERE, ["model", "truncate", "embedding_types", "output_dimension"]),
    ("/embed", {"inputs": "abc"}, ["normalize", "truncate", "truncation_direction", "dimensions"]),
    ("/", {"inputs": "abc"}, ["normalize"]),
    ("/vectorize", {"texts": ["abc"]}, ["images"]),
]


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle")


def ask(function: FakeFunction, path: str, body: Any, query: str) -> tuple[int, Any]:
    return function.http("POST", path, json.dumps(body).encode(), query=query)


@pytest.mark.parametrize(("path", "body", "names"), ELSEWHERE)
def test_a_field_of_the_body_is_refused_where_the_query_string_does_not_count(
    function: FakeFunction, path: str, body: dict[str, Any], names: list[str]
) -> None:
    for name in names:
        status, answer = ask(function, path, body, f"{name}=true")
        assert (status, "unknown_field" in str(answer), f"`{name}`" in str(answer)) == (400, True, True), answer
    assert not function.loader.engine.text_batches


@pytest.mark.parametrize("body", [OWN, CHAT])
def test_an_option_counts_where_the_body_leaves_it_out(function: FakeFunction, body: dict[str, Any]) -> None:
    def answer(query: str, **more: Any) -> Any:
        return ask(function, EMBEDDINGS, {**body, **more}, query)[1]

    assert answer("normalize=false")["data"][0]["embedding"] == [1, 1, 1, 0]
    assert answer("normalize=false", normalize=True)["data"][0]["embedding"][0] == pytest.approx(3**-0.5)
    assert answer(f"model={SECOND}")["model"] == SECOND
    assert answer(f"model={SECOND}", model=FIRST)["model"] == FIRST
    assert answer("encoding_format=ubinary")["data"][0]["embedding"] == [0b11100000]
    assert answer("dimensions=32")["error"]["code"] == "dimensions_not_supported"
    assert answer("exif_orientation=perhaps")["error"]["param"] == "exif_orientation"


@pytest.mark.parametrize(("path", "body"), [(path, body) for path, body, _ in ELSEWHERE])
def test_what_proxies_and_clients_add_is_not_looked_at(function: FakeFunction, path: str, body: dict[str, Any]) -> None:
    """Azure's client of openai sends `api-version` with every request."""
    assert ask(function, path, body, "api-version=2024-10-21&utm_source=x&gclid=1")[0] == 200


def test_an_option_beside_an_image_has_to_be_known(function: FakeFunction) -> None:
    status, answer = function.http("POST", EMBEDDINGS, image_bytes(), "image/png", "normalise=false")
    assert (status, answer["error"]["code"]) == (400, "unknown_field")
    assert "'normalize'" in answer["error"]["message"]
