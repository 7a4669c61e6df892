"""One execution environment: when it loads, what it says when it cannot, and that requests share one load."""

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import handler.models
from handler.engines.host_kind import processor
from handler.errors import BundleError
from handler.http import dispatch
from handler.service import Service
from tests.unit.fake_bundle import (
    EMBED_DIM,
    FIRST,
    SECOND,
    FakeFunction,
    LetterEngine,
    Loader,
    data_uri,
    image_bytes,
    write,
)


@pytest.fixture
def function(tmp_path: Path) -> FakeFunction:
    return FakeFunction(tmp_path / "bundle")


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    """Let Service.start load with this instead of an engine."""
    fake = Loader()
    monkeypatch.setattr(handler.models.Models.__init__, "__defaults__", (fake, None))
    return fake


def environ(bundle_dir: Path, **more: str) -> dict[str, str]:
    return {"OPENCLIP_BUNDLE_DIR": str(bundle_dir), **more}


def health(service: Service, query: str = "") -> tuple[int, dict[str, Any]]:
    event = {"rawPath": "/health", "rawQueryString": query, "requestContext": {"http": {"method": "GET"}}}
    answer = dispatch.handle(service, event, None)
    return answer["statusCode"], json.loads(answer["body"])


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("did not happen within 5 s")


def test_two_concurrent_first_requests_share_one_load(function: FakeFunction) -> None:
    function.loader.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(function.post, {"input": text}) for text in "ab"]
        wait_until(lambda: bool(function.loader.loads))
        assert not any(answer.done() for answer in answers)
        function.loader.gate.set()
        found = [answer.result(10)[1]["data"][0]["embedding"] for answer in answers]

    assert function.loader.loads == [FIRST]
    assert found == [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]


def test_on_demand_loads_in_the_background_and_the_first_request_joins(loader: Loader, tmp_path: Path) -> None:
    loader.gate.clear()
    service = Service.start(environ(write(tmp_path), AWS_LAMBDA_INITIALIZATION_TYPE="on-demand"))
    wait_until(lambda: bool(loader.loads))
    assert health(service)[1]["loaded"] == []
    assert health(service)[1]["cold_start_seconds"] is None

    loader.gate.set()
    assert len(dispatch.handle(service, {"input": "a"}, None)["data"][0]["embedding"]) == EMBED_DIM
    assert loader.loads == [FIRST]


@pytest.mark.parametrize("initialization", ["snap-start", "provisioned-concurrency"])
def test_where_init_may_be_long_every_model_is_loaded_and_primed_in_it(
    loader: Loader, tmp_path: Path, initialization: str
) -> None:
    service = Service.start(environ(write(tmp_path), AWS_LAMBDA_INITIALIZATION_TYPE=initialization))
    assert health(service)[1]["loaded"] == [FIRST, SECOND]
    assert len(loader.engine.text_batches) == len(loader.engine.image_batches) == 2


def test_health_tells_what_runs_here(loader: Loader, tmp_path: Path) -> None:
    begun = time.monotonic()
    service = Service.start(environ(write(tmp_path), AWS_LAMBDA_INITIALIZATION_TYPE="snap-start"))
    status, report = health(service)

    seconds = report.pop("cold_start_seconds")  # rounded to milliseconds
    assert 0 <= seconds <= time.monotonic() - begun + 0.001
    assert status == 200
    digest, known = service.models.manifest.sha256, {"engine": "torch", "precision": "fp32"}
    assert report == {
        "status": "ok",
        "reason": None,
        "manifest_sha256": digest,
        "engine": "torch",
        "models": [{"id": name, **known, "vectors_sha256": digest} for name in (FIRST, SECOND)],
        "processor": processor(),
        "loaded": [FIRST, SECOND],
    }


def test_models_are_listed_as_openai_lists_them(function: FakeFunction) -> None:
    status, body = function.get("/v1/models")
    assert (status, body["object"], [row["id"] for row in body["data"]]) == (200, "list", [FIRST, SECOND])
    assert body["data"][0] == {
        "id": FIRST,
        "object": "model",
        "created": 1795464000,  # 2026-11-23T20:00:00Z, when the bundle was built
        "owned_by": "tests",
        "embed_dim": EMBED_DIM,
        "context_length": 16,
        "image_size": [8, 8],
        "modalities": ["text", "image"],
        "image_formats": ["image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp"],
    }
    assert function.loader.loads == []


def broken(tmp_path: Path, how: str) -> dict[str, str]:
    bundle = write(tmp_path / "bundle")
    if how == "no bundle":
        return environ(tmp_path / "nowhere")
    if how == "file missing":
        (bundle / "weights").unlink()
    if how == "file changed":
        (bundle / "weights").write_bytes(b"123")
    if how == "manifest broken":
        (bundle / "manifest.json").write_text("{")
    return environ(bundle, **({"OPENCLIP_CACHE_MODE": "teleport"} if how == "settings" else {}))


@pytest.mark.parametrize(
    ("how", "fix"),
    [
        ("no bundle", "python -m layer build"),
        ("file missing", "weights is missing"),
        ("file changed", "weights has 3 bytes"),
        ("manifest broken", "is damaged"),
        ("settings", "OPENCLIP_CACHE_MODE"),
    ],
)
def test_a_start_that_failed_says_why_on_every_route_and_in_the_log(
    tmp_path: Path, how: str, fix: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service.start(broken(tmp_path, how))

    assert fix in caplog.text
    for status, reason in (
        (health(service)[0], health(service)[1]["reason"]),
        (health(service, "deep=true")[0], health(service, "deep=true")[1]["reason"]),
    ):
        assert status == 503
        assert fix in reason
    error = dispatch.handle(service, {"input": "a"}, None)["error"]
    assert (error["code"], error["type"]) == ("not_ready", "server_error")
    assert fix in error["message"]


def test_a_load_that_failed_in_the_background_is_reported_by_health_and_tried_again(
    loader: Loader, tmp_path: Path
) -> None:
    loader.error = BundleError("weights are for another model")
    service = Service.start(environ(write(tmp_path)))
    wait_until(lambda: health(service)[0] == 503)
    assert health(service)[1]["reason"] == "weights are for another model"
    assert dispatch.handle(service, {"input": "a"}, None)["error"]["code"] == "not_ready"

    loader.error = None
    assert "data" in dispatch.handle(service, {"input": "a"}, None)
    assert health(service)[0] == 200


def test_a_load_that_failed_at_init_is_reported_by_health(loader: Loader, tmp_path: Path) -> None:
    loader.error = RuntimeError("Missing key(s) in state_dict")
    service = Service.start(environ(write(tmp_path), AWS_LAMBDA_INITIALIZATION_TYPE="snap-start"))
    status, report = health(service)
    assert (status, report["reason"]) == (503, "RuntimeError: Missing key(s) in state_dict")


def test_health_tells_how_this_processor_computes_what_is_loaded(
    function: FakeFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "variants" not in function.get("/health")[1]["models"][0]
    monkeypatch.setattr(LetterEngine, "variants", lambda _: {"text": "f32"})
    function.get("/health", "deep=true")
    assert function.get("/health")[1]["models"][0]["variants"] == {"text": "f32"}


def test_deep_health_is_503_and_names_the_file_when_the_bundle_was_changed(
    function: FakeFunction,
) -> None:
    assert function.get("/health", "deep=true")[0] == 200
    (function.service.settings.bundle_dir / "weights").write_bytes(b"54321")
    status, report = function.get("/health", "deep=true")
    assert (status, report["status"], report["ok"]) == (503, "error", False)
    assert "weights has sha256 20f3765880a5c269b747e1e906054a4b" in report["changed_files"][0]


class Invocation:
    aws_request_id = "11111111-2222-3333-4444-555555555555"


def test_an_unexpected_error_is_500_with_the_request_id_and_no_input_in_answer_or_log(
    function: FakeFunction, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "my private caption"

    def fail(ids: object) -> None:
        raise RuntimeError(f"cannot embed {secret}")

    function.post({"input": "a"})
    encode_tokens = function.loader.engine.encode_tokens
    function.loader.engine.encode_tokens = fail  # type: ignore[method-assign, assignment]
    with caplog.at_level(logging.INFO):
        answer = dispatch.handle(function.service, {"input": secret}, Invocation())
        http = function.post({"input": secret})
    function.loader.engine.encode_tokens = encode_tokens  # type: ignore[method-assign]

    error = answer["error"]
    assert (error["code"], error["type"], http[0]) == ("internal_error", "server_error", 500)
    assert Invocation.aws_request_id in error["message"]
    assert Invocation.aws_request_id in caplog.text
    assert "RuntimeError" in caplog.text
    assert secret not in caplog.text + json.dumps(answer) + json.dumps(http)
    assert "Traceback" not in json.dumps(answer) + json.dumps(http)
    assert function.post({"input": "a"})[0] == 200


def test_a_vector_that_is_not_finite_is_an_error_and_never_an_answer(function: FakeFunction) -> None:
    function.post({"input": "a"})
    encode_images = function.loader.engine.encode_images
    function.loader.engine.encode_images = lambda pixels: encode_images(pixels) * float("nan")  # type: ignore[method-assign]
    assert function.post({"input": data_uri(image_bytes())})[1]["error"]["code"] == "internal_error"
