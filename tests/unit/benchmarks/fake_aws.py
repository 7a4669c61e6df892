"""An AWS account in memory, as far as a measurement sees it: a function with versions and execution environments.

Reports are in the forms that AWS documents. A new environment of `$LATEST` reports an init, one of a version with
SnapStart a restore. The stack is a file, which the stand-in of the CDK CLI makes.
"""

import base64
import io
import itertools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchmarks.measure import invoking
from benchmarks.measure.account import AWS, Account

CDK = """#!{python}
import json, sys, pathlib
a = sys.argv[1:]
if a[0] == "synth":
    out = pathlib.Path(a[a.index("--output") + 1]); out.mkdir()
    name = [one for one in a if one.startswith("stack_name=")][0][11:]
    place = {{"bucketName": "cdk-${{AWS::AccountId}}-${{AWS::Region}}", "objectKey": name + "/x.zip"}}
    assets = {{"files": {{"x": {{"destinations": {{"here": place}}}}}}}}
    (out / (name + ".assets.json")).write_text(json.dumps(assets))
    (pathlib.Path("{folder}") / "synthesized").write_text(json.dumps(a))
else:
    out = pathlib.Path(a[a.index("--app") + 1]); name = next(out.iterdir()).name.partition(".")[0]
    (pathlib.Path("{folder}") / "stack").write_text(name)
    if {fails}:
        sys.exit("it was not to be")
    pathlib.Path(a[a.index("--outputs-file") + 1]).write_text(json.dumps({{name: {{"FunctionName": "f"}}}}))
"""
INIT_MS, RESTORE_MS, BILLED_RESTORE_MS, WARM_MS, MEMORY_MB = 2000.5, 400.25, 150, 20.5, 333


def same_on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the account know how many come at once, however late their threads start; a look at the clock takes 1 ms."""
    at_once, looks = invoking.Function.at_once, itertools.count()

    def told(self: Any, event: Any, items: int, version: str, many: int) -> Any:
        self._client._aws.wave = threading.Barrier(many)
        return at_once(self, event, items, version, many)

    monkeypatch.setattr(invoking.Function, "at_once", told)
    monkeypatch.setattr(invoking, "time", SimpleNamespace(monotonic=lambda: next(looks) / 1000, sleep=time.sleep))


class FakeAws:
    """The account. `at_call` may be given a number of an API call, and a signal that the process then gets."""

    def __init__(self, folder: Path, free: int = 1000, fails: bool = False) -> None:
        self.folder, self.free = folder, free
        self.calls: list[str] = []
        self.stop_at: tuple[int, signal.Signals] | None = None
        self.deleting_fails = False
        self.unreported = 0  # every so many invocations the log comes without a report
        self.too_small = 0  # MB with which the function dies
        self.reused = 0  # of each wave to a version: invocations that found an execution environment
        self.published: list[int] = []
        self.wave = threading.Barrier(1)  # of the invocations that come at once: each finds the others busy
        self._lock = threading.Lock()
        self._memory, self._round, self._invoked = 0, "", 0
        self._fresh: set[str] = set()
        self._idle: dict[str, int] = {}  # execution environments of a version
        self.cdk = folder / "cdk"
        self.cdk.write_text(CDK.format(python=sys.executable, folder=folder, fails=fails))
        self.cdk.chmod(0o755)

    def account(self) -> Account:
        """Return it as the command finds it."""
        return Account(self, "eu-west-1", "123456789012", AWS, self.free, None)

    @property
    def stack(self) -> str | None:
        """The stack that is there."""
        path = self.folder / "stack"
        return path.read_text() if path.exists() else None

    def create_client(self, service: str, **_: Any) -> Any:
        """Return a client of a service."""
        return Client(self, service)

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Answer one API call."""
        with self._lock:
            self.calls.append(name)
            if self.stop_at and len(self.calls) == self.stop_at[0]:
                os.kill(os.getpid(), self.stop_at[1])
        return getattr(self, f"_{name}")(**arguments)

    # Lambda

    def _get_function_configuration(self, **_: Any) -> Any:
        return {"Environment": {"Variables": {"OPENCLIP_BUNDLE_DIR": "/opt/openclip"}}}

    def _update_function_configuration(self, MemorySize: int, Environment: Any, **_: Any) -> None:
        variables = Environment["Variables"]
        assert variables["OPENCLIP_BUNDLE_DIR"] == "/opt/openclip"
        assert variables["MEASURE_ROUND"] != self._round
        self._memory, self._round = MemorySize, variables["MEASURE_ROUND"]
        self._fresh.discard("$LATEST")

    def _publish_version(self, **_: Any) -> Any:
        self.published.append(self._memory)
        return {"Version": str(len(self.published))}

    def _invoke(self, Qualifier: str, Payload: bytes, **_: Any) -> Any:
        items = len(json.loads(Payload)["input"])
        with self._lock:
            if self._memory <= self.too_small:
                return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorType":"Runtime.OutOfMemory"}')}
            if Qualifier == "$LATEST":
                cold = Qualifier not in self._fresh
                self._fresh.add(Qualifier)
            else:
                idle = self._idle.setdefault(Qualifier, self.reused)
                cold, self._idle[Qualifier] = not idle, max(idle - 1, 0)
        if Qualifier != "$LATEST":
            self.wave.wait(60)
            with self._lock:
                self._idle[Qualifier] += 1
        body = json.dumps({"data": [{}] * items}).encode()
        self._invoked += 1
        log = b"" if self.unreported and self._invoked % self.unreported == 0 else self._log(Qualifier, cold)
        return {"Payload": io.BytesIO(body), "LogResult": base64.b64encode(log).decode()}

    def _log(self, version: str, cold: bool) -> bytes:
        metrics: dict[str, float] = {"durationMs": WARM_MS, "memorySizeMB": self._memory, "maxMemoryUsedMB": MEMORY_MB}
        billed = 21.0
        if cold and version == "$LATEST":
            metrics["initDurationMs"], billed = INIT_MS, 2021
        elif cold:
            metrics |= {"restoreDurationMs": RESTORE_MS, "billedRestoreDurationMs": BILLED_RESTORE_MS}
            billed += BILLED_RESTORE_MS
        lines: list[dict[str, Any]] = [
            {"_aws": {}, "message": "invoke 200", "cold": cold, **({"LoadTime": 1500.0} if cold else {})},
            {"type": "platform.report", "record": {"metrics": {**metrics, "billedDurationMs": billed}}},
        ]
        return "\n".join(map(json.dumps, lines)).encode()

    # CloudFormation and S3

    def _describe_stacks(self, StackName: str) -> Any:
        if self.stack != StackName:
            error = {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE"}]}

    def _delete_stack(self, StackName: str) -> None:
        if self.deleting_fails:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DeleteStack")
        (self.folder / "stack").unlink()

    def _list_object_versions(self, Bucket: str, Prefix: str) -> Any:
        assert Bucket == "cdk-123456789012-eu-west-1"
        assert Prefix.startswith("openclip-measure-")
        return {"Versions": [{"Key": f"{Prefix}x.zip", "VersionId": "1"}]}

    def _delete_objects(self, Bucket: str, Delete: Any) -> Any:
        return {}


class Client:
    """A client: every method is an API call; waiters are content at once."""

    def __init__(self, aws: FakeAws, service: str) -> None:
        self._aws = aws

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda **arguments: self._aws.call(name, arguments)

    def get_waiter(self, _: str) -> Any:
        return _Waiter()

    def get_paginator(self, name: str) -> Any:
        return _Pages(self._aws, name)


class _Waiter:
    def wait(self, **_: Any) -> None:
        time.sleep(0)


class _Pages:
    def __init__(self, aws: FakeAws, name: str) -> None:
        self._aws, self._name = aws, name

    def paginate(self, **arguments: Any) -> list[Any]:
        return [self._aws.call(self._name, arguments)]
