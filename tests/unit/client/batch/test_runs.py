"""Map runs and redrives, which no emulator has: answers are given, and held to botocore's model of the service."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from openclip_lambda.batch import progress
from openclip_lambda.batch.commands import status
from openclip_lambda.batch.places import Bucket
from openclip_lambda.batch.state_machine import Machine

from tests.unit.client.batch.conftest import OUTPUT, REGION, Account

COUNTS = dict.fromkeys(
    ("pending", "running", "succeeded", "failed", "timedOut", "aborted", "total", "resultsWritten"), 0
)
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:batch:first.20261127010203"
CHILD = "arn:aws:states:eu-west-1:123456789012:execution:batch/shards:0002"
MAP_RUN = "arn:aws:states:eu-west-1:123456789012:mapRun:batch/shards:0001"


def described(**facts: Any) -> dict[str, Any]:
    return {
        "executionArn": EXECUTION,
        "stateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:batch",
        "name": "first.20261127010203",
        "status": "FAILED",
        "startDate": datetime(2026, 11, 27, tzinfo=UTC),
        "stopDate": datetime(2026, 11, 27, 0, 1, 40, tzinfo=UTC),
        "input": '{"run": "first"}',
        **facts,
    }


@pytest.fixture
def stubbed(account: Account) -> Iterator[tuple[Machine, Stubber]]:
    """A machine whose answers are given, and held to botocore's model of the service."""
    client = boto3.client("stepfunctions", region_name=REGION)
    with Stubber(client) as stub:
        yield Machine(client, account.arn), stub


def latest(machine: Machine, stub: Stubber, **facts: Any) -> Any:
    looked_up(stub, **facts)
    return machine.newest("first")


def looked_up(stub: Stubber, **facts: Any) -> None:
    listed = {name: value for name, value in described().items() if name != "input"}
    stub.add_response("list_executions", {"executions": [listed]})
    stub.add_response("describe_execution", described(**facts), {"executionArn": EXECUTION})


def test_counts_rate_and_dollars_are_of_the_map_run(account: Account, stubbed: tuple[Machine, Stubber]) -> None:
    machine, stub = stubbed
    account.plan("first", 10, 10_000)
    found = latest(machine, stub, status="RUNNING")
    map_run = {"executionArn": EXECUTION, "mapRunArn": MAP_RUN}
    times = {"startDate": datetime.now(UTC), "stateMachineArn": machine.arn}
    stub.add_response("list_map_runs", {"mapRuns": [{**map_run, **times}]}, {"executionArn": EXECUTION})
    counts = {**COUNTS, "pending": 3, "running": 2, "succeeded": 4, "failed": 1, "total": 10}
    limits = {"maxConcurrency": 50, "toleratedFailurePercentage": 5.0, "toleratedFailureCount": 0}
    described_run = {
        **map_run,
        **limits,
        "status": "RUNNING",
        "startDate": datetime.now(UTC),
        "itemCounts": counts,
        "executionCounts": counts,
    }
    stub.add_response("describe_map_run", described_run, {"mapRunArn": MAP_RUN})
    stub.add_response("list_map_runs", {"mapRuns": [{**map_run, **times}]}, {"executionArn": EXECUTION})
    child = {name: value for name, value in described(executionArn=CHILD).items() if name != "input"}
    asked = {"mapRunArn": MAP_RUN, "statusFilter": "FAILED", "maxResults": 3}
    stub.add_response("list_executions", {"executions": [child]}, asked)
    cause = json.dumps({"errorMessage": "none of 20 images may be read", "errorType": "ShardError"})
    stub.add_response("describe_execution", described(error="ShardError", cause=cause), {"executionArn": CHILD})

    seen = progress.of_execution(machine, found, Bucket(account.s3, OUTPUT))

    assert seen.counted_by == "map run"
    assert seen.shards == (10, 4, 2, 1)
    assert (seen.images, seen.images_done, seen.seconds) == (10_000, 4000, 100.0)
    assert seen.rate == 40.0
    assert seen.left == 150.0
    assert status.lines(seen)[-1] == "a shard failed: ShardError: none of 20 images may be read"
    assert "0:01:40, 40.0 images a second, 0:02:30 left" in status.lines(seen)[1]


def definitions(machine: Machine, stub: Stubber, now: str, then: str) -> None:
    facts = {"name": "batch", "roleArn": "arn:aws:iam::123456789012:role/batch", "stateMachineArn": machine.arn}
    made = {"type": "STANDARD", "creationDate": datetime.now(UTC)}
    stub.add_response("describe_state_machine", {**facts, **made, "definition": now}, {"stateMachineArn": machine.arn})
    of = {**facts, "updateDate": datetime.now(UTC), "definition": then}
    stub.add_response("describe_state_machine_for_execution", of, {"executionArn": EXECUTION})


def started_again(stub: Stubber) -> None:
    looked_up(stub)  # whether it runs is asked once more
    stub.add_response("start_execution", {"executionArn": EXECUTION + "9", "startDate": datetime.now(UTC)})
    stub.add_response("describe_execution", described(status="RUNNING"), {"executionArn": EXECUTION + "9"})


@pytest.mark.parametrize("may_look", [True, False])
def test_a_run_that_step_functions_can_take_up_is_redriven(stubbed: tuple[Machine, Stubber], may_look: bool) -> None:
    machine, stub = stubbed
    found = latest(machine, stub, redriveStatus="REDRIVABLE")
    if may_look:
        definitions(machine, stub, '{"model": "0123456789ab"}', '{"model": "0123456789ab"}')
    else:
        stub.add_client_error("describe_state_machine", "AccessDeniedException")
    stub.add_response("redrive_execution", {"redriveDate": datetime.now(UTC)}, {"executionArn": EXECUTION})
    stub.add_response("describe_execution", described(status="RUNNING"), {"executionArn": EXECUTION})
    how, execution = machine.resume(found)
    assert (how, execution.status, execution.arn) == ("redriven", "RUNNING", EXECUTION)


def test_a_run_of_a_bundle_that_was_replaced_since_is_started_again(stubbed: tuple[Machine, Stubber]) -> None:
    machine, stub = stubbed
    found = latest(machine, stub, redriveStatus="REDRIVABLE")
    definitions(machine, stub, '{"model": "ba9876543210"}', '{"model": "0123456789ab"}')
    started_again(stub)
    assert machine.resume(found)[0] == "started again"


def test_one_that_it_cannot_take_up_any_more_is_started_again(stubbed: tuple[Machine, Stubber]) -> None:
    machine, stub = stubbed
    found = latest(machine, stub, redriveStatus="REDRIVABLE")
    definitions(machine, stub, "{}", "{}")
    stub.add_client_error("redrive_execution", "ExecutionNotRedrivable")
    started_again(stub)
    assert machine.resume(found)[0] == "started again"
