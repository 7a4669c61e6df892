"""The examples of docs/extending.md, each as it stands there, on a function."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handler.http import dispatch
from tests.documents import ROOT, marked
from tests.unit.fake_bundle import as_base64, encoded, image_bytes
from tests.unit.handler.extensions.own_code import Extended

KINDS = ("A route", "Authentication", "Preprocessing", "Metrics")  # in their order


@pytest.fixture(scope="module")
def examples() -> dict[str, str]:
    return dict(zip(KINDS, (block.text for block in marked(__file__, "docs/extending.md", "python")), strict=True))


def test_the_example_of_a_route_answers(tmp_path: Path, examples: dict[str, str]) -> None:
    function = Extended(tmp_path, examples["A route"])
    answer = dispatch.handle(
        function.service, function.event("POST", "/ext/rank", {"query": "ab", "texts": ["a", "c"]}), None
    )
    np.testing.assert_allclose(json.loads(answer["body"])["cosines"], [2**-0.5, 0], atol=1e-6)
    assert answer["headers"]["cache-control"] == "no-store"
    assert function.ask("POST", "/ext/rank", [])[1]["error"]["code"] == "invalid_value"


def test_the_example_of_an_authentication_refuses_strangers(tmp_path: Path, examples: dict[str, str]) -> None:
    function = Extended(tmp_path, examples["Authentication"])

    def status(headers: dict[str, str], **authorizer: Any) -> int:
        event = function.event("GET", "/v1/models", headers=headers)
        event["requestContext"]["authorizer"] = authorizer
        return int(dispatch.handle(function.service, event, None)["statusCode"])

    assert status({}) == 401
    assert status({"x-tenant-token": "guessed"}) == 403
    assert status({"x-tenant-token": "a long random token"}) == 200
    assert status({}, jwt={"claims": {"tenant": "shop"}, "scopes": None}) == 200
    assert status({}, jwt={"claims": {"sub": "somebody"}, "scopes": None}) == 401


def test_the_example_of_a_preprocessing_changes_the_vectors(tmp_path: Path, examples: dict[str, str]) -> None:
    function = Extended(tmp_path, examples["Preprocessing"])
    wide = Image.new("RGB", (24, 8), (0, 0, 255))
    wide.paste((255, 0, 0), (8, 0, 16, 8))  # a red square in the middle
    asked = {"input": [{"image": as_base64(encoded(wide, "PNG"))}, {"text": "ABB"}], "normalize": False}
    _, body = function.ask("POST", "/v1/embeddings", asked)
    found = [row["embedding"] for row in body["data"]]
    np.testing.assert_allclose(found, [[1, 0, 0, 1], [1, 2, 0, 0]], atol=1e-6)
    narrow = {"input": [{"image": as_base64(image_bytes(size=(3, 8)))}]}
    assert function.ask("POST", "/v1/embeddings", narrow)[1]["error"]["code"] == "image_too_narrow"
    assert function.extension.preprocessing == "square-1"


def test_the_example_of_metrics_writes_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], examples: dict[str, str]
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "openclip")
    shop = "\ndef authenticate(request: Request) -> str:\n    return request.headers['x-tenant']\n"
    function = Extended(tmp_path, examples["Metrics"] + shop)
    function.ask("GET", "/v1/models", headers={"x-tenant": "shop"})
    function.ask("GET", "/v1/models", headers={"x-tenant": "other"})
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["ShopRequests"], first["ShopErrors"]) == (1, 0)
    assert "ShopRequests" not in second


def test_what_the_document_says_may_be_imported_is_all_that_the_examples_and_the_template_import(
    examples: dict[str, str],
) -> None:
    template = (ROOT / "examples" / "project" / "handler_ext" / "__init__.py").read_text(encoding="utf-8")
    for text in (*examples.values(), template):
        assert set(re.findall(r"^(?:from|import) (handler[\w.]*)", text, re.MULTILINE)) == {"handler.extensions"}
