"""The health gate: what makes a new version go live, what stops it, and that CloudFormation hears of both."""

import io
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from handler.http import events
from tests.unit.fake_bundle import FakeFunction

FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:openclip"
VERSION = f"{FUNCTION}:7"
MANIFEST = "a" * 64


class Context:
    """Of Lambda: a minute is left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, its Lambda client stubbed."""
    for name, value in (("DEFAULT_REGION", "eu-west-1"), ("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(f"AWS_{name}", value)
    from infra.functions.rollout import index

    clients = {name: boto3.client(name) for name in ("lambda", "cloudformation")}
    monkeypatch.setattr(boto3, "client", lambda name, **_: clients[name])
    monkeypatch.setattr(index, "PAUSE_SECONDS", 0)
    with Stubber(clients["lambda"]) as stubber, Stubber(clients["cloudformation"]) as stacks:
        index.stub, index.stacks = stubber, stacks  # type: ignore[attr-defined]
        yield index


@pytest.fixture
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The signed address that CloudFormation waits at, and what was put there."""
    answers: list[dict[str, Any]] = []

    class Bucket(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/answer?signature=x", answers
    server.shutdown()
    server.server_close()


def reply(gate: Any, payload: Any, error: str | None = None) -> None:
    raw = json.dumps(payload).encode()
    response = {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(raw), len(raw))}
    expected = {"FunctionName": VERSION, "Payload": json.dumps(gate.HEALTH).encode()}
    gate.stub.add_response("invoke", {**response, **({"FunctionError": error} if error else {})}, expected)


def healthy(manifest: str = MANIFEST, status: int = 200, says: str = "ok") -> dict[str, Any]:
    return {"statusCode": status, "body": json.dumps({"status": says, "manifest_sha256": manifest})}


def run(
    gate: Any, where: tuple[str, list[dict[str, Any]]], kind: str = "Update", before: str = f"{FUNCTION}:6"
) -> dict[str, Any]:
    """Send CloudFormation's request, of version 7 after `before`, and return what it was answered."""
    address, answers = where
    gate.handler(
        {
            "RequestType": kind,
            "ResponseURL": address,
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Gate",
            "PhysicalResourceId": "rollout",
            "ResourceProperties": {"FunctionVersion": VERSION, "ManifestSha256": MANIFEST},
            **({"OldResourceProperties": {"FunctionVersion": before}} if kind == "Update" else {}),
        },
        Context(),
    )
    (answer,) = answers
    assert answer.items() >= {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "Gate"}.items()
    return answer


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_healthy_version_with_the_manifest_that_was_deployed_goes_live(
    gate: Any, cloudformation: Any, kind: str
) -> None:
    reply(gate, healthy())

    assert run(gate, cloudformation, kind)["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("payload", "error", "says"),
    [
        (healthy(status=503, says="error"), None, "answered 503"),
        (healthy(says="error"), None, "answered 200"),
        (healthy(manifest="b" * 64), None, "it serves manifest bbbb"),
        ({"errorType": "Runtime.ExitError"}, "Unhandled", "Runtime.ExitError"),
        (
            {"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1 Error: Task timed out after 29.00 seconds"},
            "Unhandled",
            "longer than the function's timeout: set direct_invokes=true, and timeout=900 or less",
        ),
        ({"error": {"code": "not_ready"}}, None, "answered None"),
    ],
)
def test_anything_else_stops_the_deployment_with_the_reason(
    gate: Any, cloudformation: Any, payload: Any, error: str | None, says: str
) -> None:
    reply(gate, payload, error)

    answer = run(gate, cloudformation)

    assert answer["Status"] == "FAILED"
    assert says in answer["Reason"]


# AWS Lambda, API reference, "Invoke", "Errors": where it says to wait and try again, and where only Lambda is to blame.
PASSING = (
    *("ResourceConflictException", "TooManyRequestsException", "SnapStartNotReadyException"),
    *("ENINotReadyException", "ResourceNotReadyException", "EC2ThrottledException", "ServiceException"),
    *("CodeArtifactUserPendingException", "CodeArtifactUserDeletedException", "SnapStartRegenerationFailureException"),
)


@pytest.mark.parametrize("code", PASSING)
def test_what_passes_by_itself_is_waited_for(gate: Any, cloudformation: Any, code: str) -> None:
    gate.stub.add_client_error("invoke", code)
    reply(gate, healthy())

    assert run(gate, cloudformation)["Status"] == "SUCCESS"


def test_a_refusal_that_does_not_pass_is_reported_at_once(gate: Any, cloudformation: Any) -> None:
    gate.stub.add_client_error("invoke", "AccessDeniedException")

    assert "AccessDeniedException" in run(gate, cloudformation)["Reason"]


def test_waiting_ends_before_the_time_of_the_function_does(
    gate: Any, cloudformation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_deadline", lambda _: time.monotonic() + 0.01)
    monkeypatch.setattr(gate, "PAUSE_SECONDS", 0.02)
    gate.stub.add_client_error("invoke", "ResourceConflictException")
    gate.stub.add_client_error("invoke", "ResourceConflictException")

    assert run(gate, cloudformation)["Status"] == "FAILED"


@pytest.mark.parametrize("failed", ["8", "10"])
def test_a_rollback_is_never_stopped(gate: Any, cloudformation: Any, failed: str) -> None:
    """CloudFormation sends an update with the old and the new properties exchanged, and nothing else tells of it."""
    assert run(gate, cloudformation, before=f"{FUNCTION}:{failed}")["Status"] == "SUCCESS"  # Lambda is not called


def of_a_stack(gate: Any, status: str) -> None:
    told = {"StackName": "openclip", "CreationTime": datetime.now(UTC), "StackStatus": status}
    gate.stacks.add_response("describe_stacks", {"Stacks": [told]}, {"StackName": "stack"})


def test_a_version_of_another_function_is_asked_whatever_its_number(gate: Any, cloudformation: Any) -> None:
    """A package of another shape is another function, whose versions begin at 1."""
    of_a_stack(gate, "UPDATE_IN_PROGRESS")
    reply(gate, healthy(manifest="b" * 64))

    assert run(gate, cloudformation, before=f"{FUNCTION}-of-before:9")["Status"] == "FAILED"


def test_a_rollback_to_a_package_of_another_shape_is_never_stopped(gate: Any, cloudformation: Any) -> None:
    """CloudFormation, DescribeStacks: the status while it rolls back. Lambda is not called."""
    of_a_stack(gate, "UPDATE_ROLLBACK_IN_PROGRESS")

    assert run(gate, cloudformation, before=f"{FUNCTION}-that-failed:1")["Status"] == "SUCCESS"


def test_where_the_stack_is_not_told_the_version_is_asked(gate: Any, cloudformation: Any) -> None:
    gate.stacks.add_client_error("describe_stacks", "AccessDenied")
    reply(gate, healthy())

    assert run(gate, cloudformation, before=f"{FUNCTION}-of-before:9")["Status"] == "SUCCESS"
    gate.stub.assert_no_pending_responses()


def test_destroying_the_stack_checks_nothing(gate: Any, cloudformation: Any) -> None:
    assert run(gate, cloudformation, "Delete")["Status"] == "SUCCESS"


def test_the_question_is_one_that_the_handler_takes_for_its_deep_health_check(gate: Any, tmp_path: Path) -> None:
    request = events.parse(gate.HEALTH, 1000)

    assert events.is_http(gate.HEALTH)
    assert (request.method, request.path, request.query) == ("GET", "/health", {"deep": "true"})
    assert "manifest_sha256" in json.loads(FakeFunction(tmp_path).invoke(gate.HEALTH)["body"])
