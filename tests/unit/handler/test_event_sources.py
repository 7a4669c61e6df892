"""Events of services that read no response: an answer would be a success to them, and what they sent would be gone."""

import json
from pathlib import Path
from typing import Any

import pytest

from handler.errors import EventSourceError
from tests.unit.fake_bundle import FakeFunction

BODY = json.dumps({"input": "a"})
# The beginnings of the examples in docs.aws.amazon.com, Lambda: "Using Lambda with ..." each service.
EVENTS: dict[str, Any] = {
    "aws:sqs": {"Records": [{"messageId": "1", "body": BODY, "attributes": {}, "eventSource": "aws:sqs"}]},
    "aws:sns": {"Records": [{"EventVersion": "1.0", "EventSource": "aws:sns", "Sns": {"Message": BODY}}]},
    "aws:s3": {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}}]},
    "aws:kinesis": {"Records": [{"kinesis": {"data": "SGVsbG8="}, "eventSource": "aws:kinesis"}]},
    "aws:dynamodb": {"Records": [{"eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb"}]},
    "aws:kafka": {"eventSource": "aws:kafka", "records": {"mytopic-0": [{"value": "SGVsbG8="}]}},
    # EventBridge "Pipes sources": a batch is a JSON array, and also one of a single message.
    "aws:amq": [{"messageID": "1", "data": "SGVsbG8=", "eventSource": "aws:amq", "eventSourceARN": "arn:aws:mq:..."}],
    "aws.s3": {"version": "0", "detail-type": "Object Created", "source": "aws.s3", "detail": {}},
}
SCHEDULE = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
WARMER = {"source": "serverless-plugin-warmup"}  # of a plugin of the Serverless Framework, which keeps functions warm
SCHEDULER = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}"}


@pytest.mark.parametrize("source", EVENTS)
def test_the_invocation_fails_so_that_the_message_stays(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "openclip")  # else no line is written
    function = FakeFunction(tmp_path)
    with pytest.raises(EventSourceError, match=f"an event of '{source}', which reads no response: remove that trigger"):
        function.invoke(EVENTS[source])
    line = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (line["Code"], line["Rejected"]) == ("invalid_event", 1)
    assert function.invoke({"input": "a"})["object"] == "list"


@pytest.mark.parametrize(
    "event", [SCHEDULE, SCHEDULER, WARMER, {"Records": []}, {"Records": [7]}, {"Records": {"eventSource": "aws:x"}}]
)
def test_a_schedule_or_a_caller_s_mistake_is_answered(event: dict[str, Any], tmp_path: Path) -> None:
    assert FakeFunction(tmp_path).invoke(event)["error"]["code"] == "unknown_field"


@pytest.mark.parametrize("event", [[], [7], ["a red circle"], [{"input": "a"}], 7, "a red circle", None])
def test_a_caller_s_event_that_is_no_object_is_answered(event: Any, tmp_path: Path) -> None:
    assert FakeFunction(tmp_path).invoke(event)["error"]["code"] == "invalid_type"


# docs.aws.amazon.com: VPC Lattice "Lambda functions as targets" (both versions), API Gateway "WebSocket APIs"; and what
# is typed in the Lambda console by hand.
ENVELOPES: dict[str, dict[str, Any]] = {
    "lattice 1": {
        "raw_path": "/v1/embeddings",
        "method": "POST",
        "headers": {},
        "body": BODY,
        "is_base64_encoded": False,
    },
    "lattice 2": {
        "version": "2.0",
        "path": "/v1/embeddings",
        "method": "POST",
        "headers": {"content-type": ["application/json"]},
        "body": BODY,
        "requestContext": {"serviceArn": "arn:aws:vpc-lattice:eu-west-1:123456789012:service/svc-0a1b", "region": "eu"},
    },
    "socket": {
        "requestContext": {"routeKey": "$default", "eventType": "MESSAGE"},
        "body": BODY,
        "isBase64Encoded": False,
    },
    "half of 1.0": {"httpMethod": "POST", "path": "/v1/embeddings", "body": BODY},
    "half of 2.0": {"version": "2.0", "rawPath": "/v1/embeddings", "headers": {}, "body": BODY},
}


@pytest.mark.parametrize("sender", ENVELOPES)
def test_a_request_of_another_sender_is_told_who_may_send(sender: str, tmp_path: Path) -> None:
    error = FakeFunction(tmp_path).invoke(ENVELOPES[sender])["error"]
    assert error["code"] == "invalid_event"
    assert f"the event has {error['param']}, but is not a complete request of an HTTP API" in error["message"]
    assert error["param"] in ENVELOPES[sender]
