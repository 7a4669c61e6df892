"""What code of a user's own may rely on from release to release (docs/upgrading.md). Add here; never take away."""

import inspect

import pytest

from handler import extensions
from handler.errors import STATUS
from handler.extensions import ApiError, Model, Request, Response, Service, loading

FIELDS = {  # in their order: code may name them or not
    Model: ["id", "embed_dim", "image_size", "context_length"],
    Response: ["status", "body", "headers", "media_type"],
}


def test_what_may_be_imported() -> None:
    assert {"ApiError", "Model", "Request", "Response", "Service"} <= set(extensions.__all__)


def test_the_names_that_are_called_and_with_how_many_arguments() -> None:
    promised = {"authenticate": 1, "preprocess_image": 2, "preprocess_text": 2, "metrics": 2}
    assert promised.items() <= loading.HOOKS.items()
    assert {"DELETE", "GET", "PATCH", "POST", "PUT"} <= set(loading.METHODS)


@pytest.mark.parametrize("kind", FIELDS)
def test_the_fields_of_a_record(kind: type) -> None:
    assert list(kind._fields)[: len(FIELDS[kind])] == FIELDS[kind]  # type: ignore[attr-defined]


def test_what_a_request_has() -> None:
    request = Request("GET", "/ext/a", {"x-a": "1"}, {"q": "2"}, "{}", max_body_bytes=2)
    assert (request.method, request.path, request.headers, request.query) == ("GET", "/ext/a", {"x-a": "1"}, {"q": "2"})
    assert (request.body, request.media_type, dict(request.authorizer), request.principal) == (b"{}", "", {}, "")


def test_what_a_service_has() -> None:
    assert {"models", "embed", "read_json"} <= set(dir(Service))
    assert list(inspect.signature(Service.embed).parameters) == ["self", "inputs", "model"]
    assert list(inspect.signature(Service.read_json).parameters) == ["self", "request"]


def test_the_codes_with_which_code_of_one_s_own_may_refuse() -> None:
    promised = {"invalid_value": 400, "not_authenticated": 401, "not_permitted": 403, "object_not_found": 404}
    assert promised.items() <= STATUS.items()
    assert ApiError("not_permitted", "no").status == 403
