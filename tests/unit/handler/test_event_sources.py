"""Events of services that read no response: an answer would be a success to them, and what they sent would be gone."""

import json
from pathlib import Path
from typing import Any

import pytest

from handler.errors import EventSourceError
from tests.unit.fake_bundle import FakeFunction

BODY = json.dumps({"input": "a"})
# The beginnings of the examples in docs.aws.amazon.com, Lambda: "Using Lambda with ..." each service.
EVENTS: dict[str, dict[str, Any]] = {
    "aws:sqs": {"Records": [{"messageId": "1", "body": BODY, "attributes": {}, "eventSource": "aws:sqs"}]},
    "aws:sns": {"Records": [{"EventVersion": "1.0", "EventSource": "aws:sns", "Sns": {"Message": BODY}}]},
    "aws:s3": {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}}]},
    "aws:kinesis": {"Records": [{"kinesis": {"data": "SGVsbG8="}, "eventSource": "aws:kinesis"}]},
    "aws:dynamodb": {"Records": [{"eventID": "1", "eventName": "INSERT", "eventSource": "aws:dynamodb"}]},
    "aws:kafka": {"eventSource": "aws:kafka", "records": {"mytopic-0": [{"value": "SGVsbG8="}]}},
    "aws.s3": {"version": "0", "detail-type": "Object Created", "source": "aws.s3", "detail": {}},
}
SCHEDULE = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
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
    "event", [SCHEDULE, SCHEDULER, {"Records": []}, {"Records": [7]}, {"Records": {"eventSource": "aws:x"}}]
)
def test_a_schedule_or_a_caller_s_mistake_is_answered(event: dict[str, Any], tmp_path: Path) -> None:
    assert FakeFunction(tmp_path).invoke(event)["error"]["code"] == "unknown_field"
