"""Code of a user's own as a zip lays it out, beside the handler, under Lambda's real runtime client."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.functions.rollout.index import HEALTH
from layer.package import bytecode, pipeline, tree
from tests.conftest import build_demo
from tests.local.emulator import ROOT, Function, running
from tests.local.test_emulator import decoded, golden, least, vectors

INIT = """
from PIL import ImageOps
from handler.extensions import ApiError
from handler_ext.words import WORD

PREPROCESSING = "negative-1"


def hello(request, service):
    return {WORD: request.principal, "dimensions": service.embed(["a red circle"]).shape[1]}


def authenticate(request):
    if request.headers.get("x-who") is None:
        raise ApiError("not_authenticated", "say who you are")
    return request.headers["x-who"]


def preprocess_image(image, model):
    return ImageOps.invert(image.convert("RGB"))


routes = {("POST", "/ext/hello"): hello}
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("demo"), "onnx", "int8")


@pytest.fixture
def task(tmp_path: Path) -> Path:
    root = tmp_path / "task"
    tree.copy(ROOT / "handler", root / "handler", pipeline.NOT_SHIPPED)
    (root / "handler_ext").mkdir()
    (root / "handler_ext" / "__init__.py").write_text(INIT)
    (root / "handler_ext" / "words.py").write_text("WORD = 'hello'\n")
    bytecode.compile_tree(root / "handler_ext", "/var/task/handler_ext")
    return root


@pytest.fixture
def function(task: Path, bundle: Path, tmp_path: Path) -> Iterator[Function]:
    with running(bundle, tmp_path / "cache", {"AWS_LAMBDA_FUNCTION_NAME": "openclip"}, task) as started:
        yield started


def ask(function: Function, path: str, body: object, **headers: str) -> tuple[int, Any]:
    event = {
        "version": "2.0",
        "rawPath": path,
        "headers": {
            "content-type": "application/json",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        },
        "requestContext": {"http": {"method": "POST", "path": path}, "stage": "$default"},
        "body": json.dumps(body),
    }
    answer = function.invoke(event)
    return answer["statusCode"], json.loads(answer["body"])


def test_it_answers_refuses_and_preprocesses_in_the_runtime_and_the_health_gate_passes(
    function: Function, bundle: Path
) -> None:
    [model] = json.loads((bundle / "manifest.json").read_text())["models"]
    assert ask(function, "/ext/hello", {}, x_who="ada") == (200, {"hello": "ada", "dimensions": model["embed_dim"]})
    assert ask(function, "/v1/embeddings", {"input": "a"})[0] == 401

    gate = function.invoke(HEALTH)
    report = json.loads(gate["body"])
    assert (gate["statusCode"], report["ok"], report["extension"]["own_preprocessing"]) == (200, True, ["image"])
    assert report["models"][0]["min_image_cosine"] >= least(bundle)
    assert report["models"][0]["min_image_cosine_with_own_preprocessing"] < least(bundle)

    expected = golden(bundle)
    images = [{"image": image} for image in expected["images"]]
    negatives = vectors(ask(function, "/v1/embeddings", {"input": images}, x_who="ada")[1])
    lowest = float((negatives * decoded(expected["image_embeddings"])).sum(axis=1).min())
    assert lowest == pytest.approx(report["models"][0]["min_image_cosine_with_own_preprocessing"], abs=1e-4)


def test_code_that_cannot_be_imported_is_not_ready_with_the_reason(task: Path, bundle: Path, tmp_path: Path) -> None:
    shutil.rmtree(task / "handler_ext" / "__pycache__")
    (task / "handler_ext" / "__init__.py").write_text("import no_such_package\n")
    with running(bundle, tmp_path / "cache", {}, task) as function:
        answer = function.invoke(HEALTH)
        assert answer["statusCode"] == 503
        assert "imports no_such_package" in json.loads(answer["body"])["reason"]
        assert ask(function, "/ext/hello", {})[0] == 503
