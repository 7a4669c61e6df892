"""`openclip-lambda batch` on AWS: real boto3 against an emulated account."""

import json
import re
import sys
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from openclip_lambda.batch import aws, results
from openclip_lambda.batch.places import Bucket
from openclip_lambda.batch.state_machine import Machine
from openclip_lambda.cli import main as cli

from tests.unit.client.batch.conftest import MODEL, OUTPUT, REGION, SOURCE, STACK, Account, Run
from tests.unit.client.batch.documents import ERRORS, ESTIMATE, STARTED, STATUS, check


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_run_is_started_with_what_the_planner_takes(
    account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--run", "first", "--since", "2026-01-31", "--shard-size", "20", "--json")
    assert run("start", f"s3://{SOURCE}/2026/", *asked) == 0

    (started,) = account.executions()
    assert json.loads(started["input"]) == {
        "run": "first",
        "source": f"s3://{SOURCE}/2026/",
        "since": "2026-01-31",
        "shard_size": 20,
    }
    found = told(capsys)
    assert found == {"run": "first", "how": "started", "status": "RUNNING", "execution": started["executionArn"]}
    check(found, STARTED)

    assert run("start", f"s3://{SOURCE}/2026/", "--run", "first") == 1
    assert "on its way since" in capsys.readouterr().err
    assert len(account.executions()) == 1


def test_a_part_of_the_source_and_a_name_by_the_time(account: Account, run: Run) -> None:
    assert run("start", f"s3://{SOURCE}/2026/january/") == 0
    asked = json.loads(account.executions()[0]["input"])
    assert asked["source"] == f"s3://{SOURCE}/2026/january/"
    assert re.fullmatch(r"[0-9]{8}-[0-9]{6}-[0-9]{3}", asked["run"])


def test_a_run_that_was_planned_keeps_its_plan_and_its_source(
    account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    account.plan("first", 4, 3500)
    assert run("start", f"s3://{SOURCE}/2026/", "--run", "first") == 0
    assert "was planned before, with 3,500 images" in capsys.readouterr().err
    account.end()
    assert run("start", f"s3://{SOURCE}/2026/may/", "--run", "first") == 1
    assert "run first is of s3://photos/2026/, not of s3://photos/2026/may/" in capsys.readouterr().err


def test_with_the_machine_alone_the_planner_checks_the_source(account: Account) -> None:
    words = ["batch", "start", "s3://photos/x/", "--machine", account.arn, "--bucket", OUTPUT]
    assert cli.main(words) == 0
    assert json.loads(account.executions()[0]["input"])["source"] == "s3://photos/x/"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("start", "s3://other/2026/"), "s3://photos/2026/: name that or a part of it"),
        (("start", "s3://photos/2025/"), "batch_source=photos/2025/"),
        (("start", "s3:///x"), "is no place in S3"),
        (("start", "s3://photos/2026/", "--run", "arrivals"), "not arrivals"),
        (("start", "s3://photos/2026/", "--run", "a/b"), "use letters"),
        (("start", "s3://photos/2026/", "--since", "yesterday"), "such as 2026-01-31"),
        (("start", "s3://photos/2026/", "--since", "2999-01-01"), "in the future"),
        (("start", "s3://photos/2026/", "--output", "x"), "--output is for a folder"),
        (("status",), "there is no run yet"),
        (("status", "--run", "none"), "there is no run none"),
        (("resume",), "`batch start` makes one"),
    ],
)
def test_what_cannot_be_meant_starts_nothing(
    arguments: tuple[str, ...], says: str, account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 1
    assert says in capsys.readouterr().err
    assert account.executions() == []


def test_a_stack_without_a_batch_and_one_that_is_not_there(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.deploy("other", Url="https://example.com")
    for stack, says in (("other", "-c batch_source=<bucket>/<prefix>"), ("none", "look at --stack")):
        assert cli.main(["batch", "status", "--stack", stack]) == 1
        assert says in capsys.readouterr().err
    assert cli.main(["batch", "status"]) == 1
    assert "give --stack" in capsys.readouterr().err
    assert cli.main(["batch", "status", "--machine", account.arn]) == 1
    assert "--machine needs --bucket" in capsys.readouterr().err


def test_status_counts_files_where_the_map_run_gives_no_counts(
    account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("start", f"s3://{SOURCE}/2026/", "--run", "first")
    capsys.readouterr()
    assert run("status", "--json") == 0
    found = told(capsys)
    assert found["counted_by"] == "nothing yet"
    check(found, STATUS)

    account.plan("first", 4, 3500)
    account.put(f"vectors/{MODEL}/run=first/00000000.parquet")
    account.put("vectors/model=fedcba987654/run=second/00000000.parquet")
    assert run("status", "--json") == 0
    found = told(capsys)
    check(found, STATUS)
    assert found["shards"] == {"total": 4, "done": 1, "running": 0, "failed": 0}
    assert found["images"] == {"total": 3500, "done": 875}
    assert found["counted_by"] == "Parquet files"
    assert found["dollars"] > 0
    assert run("status", "--once") == 0
    out = capsys.readouterr().out
    assert "1 of 4 shards done; about 875 of 3,500 images" in out
    assert "the map run gives no counts" in out


def test_a_run_that_was_ended_is_told_and_goes_on_under_its_name(
    account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("start", f"s3://{SOURCE}/2026/", "--run", "first", "--shard-size", "20")
    assert run("resume") == 1
    assert "on its way" in capsys.readouterr().err
    account.plan("first", 4, 3500)
    account.end()
    assert run("status", "--wait", "--json") == 1
    found = told(capsys)
    assert found["status"] == "ABORTED"
    check(found, STATUS)

    (first,) = account.executions()
    account.machines.start_execution(stateMachineArn=account.arn, name="by-hand", input='{"run": "second"}')
    assert run("resume", "--run", "first", "--json") == 0
    resumed = told(capsys)
    assert resumed["how"] == "started again"
    described = account.machines.describe_execution(executionArn=resumed["execution"])
    assert json.loads(described["input"]) == json.loads(first["input"])


def test_a_run_is_started_again_and_others_beside_it_within_a_second(
    account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    longest = "r" * 64
    for _ in range(5):
        assert run("start", f"s3://{SOURCE}/2026/", "--run", longest) == 0
        account.end()
    for _ in range(5):
        assert run("start", f"s3://{SOURCE}/2026/") == 0
    found = account.executions()
    assert len({item["name"] for item in found}) == len(found) == 10
    assert len({json.loads(item["input"])["run"] for item in found}) == 6
    assert all(len(item["name"]) <= 80 for item in found)  # StartExecution's limit


def test_runs_that_were_started_by_hand_are_found_by_their_input(account: Account, run: Run) -> None:
    account.machines.start_execution(stateMachineArn=account.arn, name="x", input='{"run": "mine"}')
    account.machines.start_execution(stateMachineArn=account.arn, name="y", input="[]")
    found = Machine(account.machines, account.arn).newest("mine")
    assert found
    assert (found.run, found.status, found.over) == ("mine", "RUNNING", False)
    assert run("status", "--run", "mine") == 0


def error_lines(*keys: str, code: str = "image_truncated") -> bytes:
    rows = [{"bucket": SOURCE, "key": key, "code": code, "message": "it ends early"} for key in keys]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_errors_are_counted_by_code_with_their_keys(
    account: Account, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    account.put(f"errors/{MODEL}/run=first/00000000.jsonl", error_lines("a.png", "b\n.png"))
    account.put(f"errors/{MODEL}/run=first/00000002.jsonl", error_lines("c.png") + error_lines("d", code="empty_input"))
    account.put(f"errors/{MODEL}/run=arrivals/0123.jsonl", error_lines("e.png"))
    assert run("errors", "--json", "--keys", "2") == 0
    found = told(capsys)
    check(found, ERRORS)
    assert (found["run"], found["total"]) == (None, 5)
    assert [(row["code"], row["images"]) for row in found["codes"]] == [("image_truncated", 4), ("empty_input", 1)]
    assert found["codes"][0]["keys"][0] == {"run": "arrivals", "bucket": SOURCE, "key": "e.png"}
    assert len(found["codes"][0]["keys"]) == 2

    account.plan("first", 3, 2500)
    assert run("errors", "--run", "first") == 0
    out = capsys.readouterr().out
    assert "4 images could not be embedded (run first" in out
    assert f"s3://{SOURCE}/b\\n.png" in out
    assert "e.png" not in out


def test_errors_of_an_older_bundle_do_not_count(account: Account, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    account.put("errors/model=000000000000/run=first/00000000.jsonl", error_lines("a.png"))
    place = Bucket(account.s3, OUTPUT)
    before = {"errors/model=000000000000/run=first/": 1.0}
    listed = place.entries
    place.entries = lambda prefix: (entry._replace(modified=before.get(prefix, 9.0)) for entry in listed(prefix))  # type: ignore[method-assign]
    account.put(f"vectors/{MODEL}/run=first/00000000.parquet")
    assert results.failures(place, "first", 1) == []


def test_a_bucket_is_estimated(account: Account, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        account.s3.put_object(Bucket=SOURCE, Key=f"2026/{number}.jpg", Body=b"1234")
    assert run("estimate", f"s3://{SOURCE}/2026/", "--json") == 0
    found = told(capsys)
    check(found, ESTIMATE)
    assert (found["images"], found["bytes"], found["counted"]) == (3, 12, True)
    assert found["dollars"] == pytest.approx(sum(line["dollars"] for line in found["lines"]))
    assert cli.main(["batch", "estimate", "s3://not-there"]) == 1
    assert "no such bucket" in capsys.readouterr().err


def test_credentials_that_are_missing_refused_or_old_are_told_with_the_fix(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["batch", "status", "--stack", STACK, "--profile", "none"]) == 1
    assert "aws configure list-profiles" in capsys.readouterr().err
    client = boto3.client("cloudformation", region_name=REGION)
    for code, says in (("AccessDenied", "may not call DescribeStacks"), ("ExpiredToken", "sign in again")):
        with Stubber(client) as stub:
            stub.add_client_error("describe_stacks", code, "why")
            monkeypatch.setattr(aws.Aws, "client", lambda self, service: client)
            assert cli.main(["batch", "status", "--stack", STACK]) == 1
        assert says in capsys.readouterr().err


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert cli.main(["batch", "estimate", "s3://photos"]) == 1
    assert "pip install 'openclip-lambda[batch]'" in capsys.readouterr().err
