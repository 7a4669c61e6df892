"""`batch status --wait`: what is shown while a run goes on, and that Ctrl-C ends the looking alone."""

import json
from collections.abc import Callable

import pytest

from tests.unit.client.batch.conftest import MODEL, SOURCE, Account, Run


def between(monkeypatch: pytest.MonkeyPatch, *steps: Callable[[], None]) -> None:
    """Do one step after the other where the command would sleep."""
    left = iter(steps)
    monkeypatch.setattr("openclip_lambda.batch.commands.status.time.sleep", lambda _: next(left)())


def shard(account: Account, number: int) -> None:
    account.put(f"vectors/{MODEL}/run=first/{number:08d}.parquet")


def test_each_finished_shard_is_told_until_the_run_is_over(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def planned() -> None:
        account.plan("first", 2, 2000)

    def over() -> None:
        shard(account, 1)
        account.end()

    between(monkeypatch, planned, lambda: shard(account, 0), over)
    assert run("start", f"s3://{SOURCE}/2026/", "--run", "first", "--wait") == 1  # it was stopped from outside

    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if line.startswith("run first: ")]
    assert [line.partition("; ")[0] for line in lines] == [
        "run first: RUNNING, the source is being listed",
        "run first: RUNNING, 1 of 2 shards done",
        "run first: ABORTED, 2 of 2 shards done",
    ]
    assert "run first: ABORTED, 2 of 2 shards done; 2,000 images" in told.out
    assert "`batch resume` does what is missing" in told.out


def test_a_bucket_of_images_that_are_not_decoded_says_why_nothing_was_embedded(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def over() -> None:
        account.plan("first", 0, 0, not_decoded={".heic": 1200, ".tif": 1})
        account.end()

    between(monkeypatch, over)
    run("start", f"s3://{SOURCE}/2026/", "--run", "first", "--wait")
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "run first: ABORTED, 0 of 0 shards done; 0 images"
    assert told[2] == (
        "left out, since the bundle does not decode them: 1,200 .heic, 1 .tif: convert them to JPEG, PNG or WebP, or "
        'build the bundle with image_formats = ["heic"]'
    )
    run("status", "--run", "first", "--json")
    assert json.loads(capsys.readouterr().out)["not_decoded"] == {".heic": 1200, ".tif": 1}


def test_ctrl_c_ends_the_looking_and_not_the_run(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    between(monkeypatch, stop)
    assert run("start", f"s3://{SOURCE}/2026/", "--run", "first", "--wait", "--json") == 130
    told = capsys.readouterr()
    assert told.out == ""
    assert "the run goes on: `batch status --run first` shows it again" in told.err
    (execution,) = account.executions()
    assert execution["status"] == "RUNNING"
    assert execution["executionArn"] in told.err
    assert json.loads(execution["input"])["run"] == "first"
