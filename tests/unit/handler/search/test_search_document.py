"""`/openapi.json` of the search: valid, complete, and its examples are answered as it says."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from handler.errors import STATUS
from handler.messages import MODEL_PATH
from handler.search.routes import table
from handler.search.settings import SearchSettings
from tests.unit.search_world import SearchFunction


@pytest.fixture
def function(tmp_path: Path) -> SearchFunction:
    return SearchFunction(tmp_path / "bundle", str(tmp_path / "index"))


@pytest.fixture
def document(function: SearchFunction) -> Any:
    return function.get("/openapi.json")[1]


def test_it_describes_the_routes_and_no_other(function: SearchFunction, document: Any) -> None:
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert described == {(path, method) for path, methods in function.table.routes.items() for method in methods}
    assert {"/v1/search", "/v1/index", "/v1/models", MODEL_PATH, "/health", "/openapi.json"} == set(document["paths"])
    codes = document["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"]
    assert codes == sorted(STATUS)


def test_every_reference_leads_somewhere(document: Any) -> None:
    text = json.dumps(document)
    for part in text.split('"$ref": "#/')[1:]:
        where = document
        for name in part.partition('"')[0].split("/"):
            where = where[name]
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_its_examples_are_answered_as_it_says(function: SearchFunction, document: Any) -> None:
    schemas = document["components"]["schemas"]
    answers = {"/v1/index": "IndexChanged", "/v1/search": "SearchResponse"}
    asked = 0
    for path in ("/v1/index", "/v1/search", "/v1/index"):  # something must be in the index
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        rule = content["schema"]["$ref"].rpartition("/")[2]
        for example in content["examples"].values():
            jsonschema.validate(example["value"], schemas[rule])
            status, body = function.http("POST", path, json.dumps(example["value"]).encode())
            assert status == 200, body
            jsonschema.validate(body, schemas[answers[path]])
            asked += 1
    assert asked == 7
    jsonschema.validate(function.get("/v1/index")[1], schemas["IndexResponse"])


def test_beside_the_api_it_describes_both(function: SearchFunction) -> None:
    both = table(SearchSettings("unused"), beside_api=True)
    function.table = both
    paths = function.get("/openapi.json")[1]["paths"]
    assert {"/v1/search", "/v1/index", "/v1/embeddings", "/v1/classify", "/health"} <= set(paths)
    described = {(path, method.upper()) for path, methods in paths.items() for method in methods}
    assert described == {
        (path, method) for path, methods in both.routes.items() for method in methods if path not in ("/", "/docs")
    }
