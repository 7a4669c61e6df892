"""`make measure` against the emulated account: figures that are marked as the emulator's, and nothing left behind.

The whole flow and some interruptions are with the real CDK CLI and package. All phases are interrupted with a small
stack (small_cdk.py), which is deployed in seconds and has one resource of each kind.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e import emulated_cdk, small_cdk
from tests.e2e.aws import ROOT, Aws
from tests.e2e.builds import Builds, manifest_sha256
from tests.e2e.engine import docker

PREFIX = "openclip-measure-"
FEW = ["--starts", "1", "--requests", "1", "--seconds", "0.5", "--concurrency", "2"]
SECONDS = 600  # of one run, on a machine that has other things to do; a quiet one takes a sixth
TRIES = 3  # of a run that may be over before it is interrupted: the machine decides, and it shows nothing then
OVER = "nothing of it is left in the account"  # how a run that was not interrupted ends


class Command:
    """One run of the command; `lines` are what it has said."""

    def __init__(self, account: Aws, build: Path, output: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "benchmarks.measure", "--build", str(build), "--output", str(output)]
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env=account.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_heed_signals,
        )
        self.lines: list[str] = []

    def until(self, start: str) -> None:
        """Wait for a line that begins so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith(start):
                return
        raise AssertionError(f"no line {start!r} in:\n{''.join(self.lines)}")

    def end(self) -> int:
        """Wait for its end; returns the exit status."""
        assert self.process.stdout is not None
        self.lines += self.process.stdout.readlines()
        return self.process.wait(SECONDS)

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def _heed_signals() -> None:
    """Let the process be interrupted, even where the tests run in a shell's background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def running(account: Aws, build: Path, output: Path, *arguments: str) -> Iterator[Command]:
    command = Command(account, build, output, *arguments)
    timer = threading.Timer(SECONDS, command.process.kill)
    timer.start()
    try:
        yield command
    finally:
        timer.cancel()
        if command.process.poll() is None:
            command.kill()


def left(account: Aws) -> list[str]:
    """Name everything of a measurement that the account and the Docker engine still have."""
    asked: list[Callable[[], list[Any]]] = [
        lambda: [
            one["StackName"]
            for one in account.client("cloudformation").describe_stacks()["Stacks"]
            if one["StackStatus"] != "DELETE_COMPLETE"
        ],
        lambda: functions(account),
        lambda: [one["LayerName"] for one in account.client("lambda").list_layers()["Layers"]],
        lambda: [one["logGroupName"] for one in account.client("logs").describe_log_groups()["logGroups"]],
        lambda: [one["Name"] for one in account.client("secretsmanager").list_secrets()["SecretList"]],
        lambda: [one["RoleName"] for one in account.client("iam").list_roles()["Roles"]],
        lambda: [one["Name"] for one in account.client("apigatewayv2").get_apis()["Items"]],
        lambda: [one["Name"] for one in account.client("s3").list_buckets()["Buckets"]],
        lambda: uploads(account),
        lambda: images(account),
        lambda: docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split(),
        lambda: docker("ps", "-a", "--format", "{{.Names}}").split(),
    ]
    return [name for ask in asked for name in ask() if PREFIX in name]


def functions(account: Aws) -> list[str]:
    return [one["FunctionName"] for one in account.client("lambda").list_functions()["Functions"]]


def uploads(account: Aws) -> list[str]:
    found = account.client("s3").list_object_versions(Bucket=small_cdk.BUCKET)
    return [one["Key"] for kind in ("Versions", "DeleteMarkers") for one in found.get(kind, ())]


def images(account: Aws) -> list[str]:
    try:
        found = account.client("ecr").list_images(repositoryName=small_cdk.REPOSITORY)["imageIds"]
    except ClientError:
        return []
    return [one.get("imageTag", "") for one in found]


@pytest.fixture(scope="module")
def built(build: Builds) -> Path:
    return build("layer", "int8")


def test_the_whole_flow_ends_with_a_table_a_json_and_a_chart_and_leaves_nothing(
    account: Aws, built: Path, tmp_path: Path
) -> None:
    cdk = str(emulated_cdk.wrapper(tmp_path))
    output = tmp_path / "measurements"
    with running(account, built, output, *FEW, "--memory", "1024", "1769", "3008", "--cdk", cdk) as command:
        assert command.end() == 0, "".join(command.lines)

    assert next(line for line in command.lines if line.startswith("[")).startswith("[estimate]")
    (written,) = output.glob("*.json")
    assert sorted(path.suffix for path in output.iterdir() if path.is_file()) == [".json", ".md", ".png"]
    content = json.loads(written.read_text())
    (target,) = content["targets"]
    assert (content["platform"], content["complete"], content["dollars_spent"]) == ("emulator", True, None)
    assert target["manifest_sha256"] == manifest_sha256(built)
    assert [row["memory_mb"] for row in target["memory"]] == [1024, 1769, 3008]
    for row in target["memory"]:
        assert row["init"]["first_request_ms"]["median"] > row["warm"][0]["ms_per_item"]["median"] > 0
        assert row["init"]["init_ms"] is row["restore"]["restore_ms"] is row["init"]["max_memory_mb"] is None
        assert {one["dollars_per_million"] for one in row["warm"]} == {None}
        assert [(one["items_per_second"], one["failed"]) for one in row["concurrency"]] == [(None, 0)]
        assert row["concurrency"][0]["requests"] > 0
    assert {"init_ms", "restore_ms", "dollars_per_million", "items_per_second"} <= set(target["reasons"])
    assert "EMULATOR, not AWS" in written.with_suffix(".md").read_text()
    assert written.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert left(account) == []


@pytest.mark.parametrize(
    ("phase", "shape", "number"), [("deploy", "layer", signal.SIGINT), ("cold", "image", signal.SIGTERM)]
)
def test_what_the_real_cli_deployed_is_gone_after_a_signal(
    account: Aws, build: Builds, tmp_path: Path, phase: str, shape: str, number: signal.Signals
) -> None:
    cdk = str(emulated_cdk.wrapper(tmp_path))
    with running(account, build(shape, "int8"), tmp_path / "out", *FEW, "--memory", "1769", "--cdk", cdk) as command:
        command.until(f"[{phase}]")
        if phase == "deploy":
            until(lambda: [name for name in functions(account) if PREFIX in name])
        command.process.send_signal(number)
        assert command.end() == 128 + signal.SIGINT, "".join(command.lines)

    assert left(account) == []
    assert unfinished(tmp_path) == []


def until(found: Callable[[], Any]) -> None:
    """Wait until something is there."""
    deadline = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


@pytest.mark.parametrize("phase", ["estimate", "deploy", "cold", "warm", "concurrency", "report", "destroy"])
def test_a_run_that_is_interrupted_leaves_nothing(account: Aws, built: Path, tmp_path: Path, phase: str) -> None:
    for _ in range(TRIES):
        with small(account, built, tmp_path) as command:
            command.until(f"[{phase}]")
            if phase == "deploy":
                until(lambda: [name for name in uploads(account) if PREFIX in name] or command.is_over())
            with suppress(ProcessLookupError):
                os.killpg(command.process.pid, signal.SIGINT)  # as a terminal does: to all that runs in it
                os.killpg(command.process.pid, signal.SIGHUP)
            status = command.end()
        if not any(line.startswith(OVER) for line in command.lines):
            break
    assert status == 128 + signal.SIGINT, "".join(command.lines)
    assert left(account) == []
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize("again", ["--clean", "next start"])
def test_what_a_killed_run_left_is_destroyed(account: Aws, built: Path, tmp_path: Path, again: str) -> None:
    for _ in range(TRIES):
        with small(account, built, tmp_path) as command:
            command.until("[deploy]")
            records = tmp_path / "out" / ".unfinished"
            until(lambda: list(records.glob(f"{PREFIX}*.json")) or command.is_over())  # noqa: B023 - it is called here
            command.kill()  # its deployment goes on
        if unfinished(tmp_path):
            break

    with small(account, built, tmp_path, *(["--clean"] if again == "--clean" else [])) as command:
        assert command.end() == 0, "".join(command.lines)

    assert "an earlier run left openclip-measure-" in "".join(command.lines)
    assert left(account) == []
    assert unfinished(tmp_path) == []


def test_nothing_is_created_where_the_estimate_is_over_the_budget(account: Aws, built: Path, tmp_path: Path) -> None:
    with small(account, built, tmp_path, "--budget", "0.01") as command:
        assert command.end() == 1

    assert "so nothing was created: give --budget 0." in command.lines[-1]
    assert left(account) == []
    assert not (tmp_path / "out").exists()


def unfinished(tmp_path: Path) -> list[str]:
    """Name what is left on this machine but the lock."""
    return [path.name for path in (tmp_path / "out" / ".unfinished").glob("*") if path.name != "lock"]


def small(account: Aws, built: Path, tmp_path: Path, *arguments: str) -> Any:
    cdk = str(small_cdk.wrapper(tmp_path))
    return running(account, built, tmp_path / "out", *FEW, "--memory", "1024", "--cdk", cdk, *arguments)
