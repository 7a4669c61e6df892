"""Routes of a user's own in `/openapi.json` and on `/docs`: listed, valid, and told as they are."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from handler.http import dispatch
from handler.search.openapi import document as search_document
from tests.unit.handler.extensions.own_code import Extended

ROUTES = """
import functools

def hello(request, service):
    '''Greet the caller <b>by name</b>.

    This part is for who reads the code.
    '''
    return {}

def silent(request, service):
    return {}

def long(request, service):
    pass

long.__doc__ = "word " * 100

routes = {
    ("GET", "/ext/a-b"): hello, ("POST", "/ext/a-b"): silent, ("GET", "/ext/a_b"): long,
    ("DELETE", "/ext/a.b"): functools.partial(silent), ("PUT", "/ext/a-b"): hello, ("PATCH", "/ext/a-b"): hello,
}
"""


@pytest.fixture
def function(tmp_path: Path) -> Extended:
    return Extended(tmp_path, ROUTES)


@pytest.fixture
def document(function: Extended) -> Any:
    return function.ask("GET", "/openapi.json")[1]


def test_each_route_is_listed_by_path_and_method_beside_ours(document: Any) -> None:
    own = {
        (path, method): operation["summary"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/ext/")
    }
    unnamed, greeting = "A route of the deployment's own", "Greet the caller <b>by name</b>"
    assert own == {
        ("/ext/a-b", "get"): greeting,
        ("/ext/a-b", "post"): unnamed,
        ("/ext/a-b", "put"): greeting,
        ("/ext/a-b", "patch"): greeting,
        ("/ext/a_b", "get"): unnamed,
        ("/ext/a.b", "delete"): unnamed,
    }
    assert "/v1/embeddings" in document["paths"]
    assert all("security" not in operation for operation in document["paths"]["/ext/a-b"].values())  # as the others


def test_the_document_is_valid(document: Any) -> None:
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    names = [one["operationId"] for one in operations if "operationId" in one]
    assert len(names) == len(set(names))
    assert all(one["responses"] for one in operations)
    for part in json.dumps(document).split('"$ref": "#/')[1:]:
        where = document
        for name in part.partition('"')[0].split("/"):
            where = where[name]
    for operation in operations:
        for content in operation.get("requestBody", {}).get("content", {}).values():
            jsonschema.Draft202012Validator.check_schema(content["schema"])


def test_the_page_of_the_document_has_them_too_and_their_words_are_no_markup(function: Extended) -> None:
    page = dispatch.handle(function.service, function.event("GET", "/docs"), None)["body"]
    assert "<code>/ext/a-b</code>" in page
    assert "Greet the caller &lt;b&gt;by name" in page


def test_the_document_of_a_search_has_them_too(function: Extended) -> None:
    service = function.service
    for beside_api in (True, False):
        found = search_document(service.entries(), service.settings, beside_api, service.extension)["paths"]
        assert {path for path in found if path.startswith("/ext/")} == {"/ext/a-b", "/ext/a_b", "/ext/a.b"}
