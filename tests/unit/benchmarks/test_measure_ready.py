"""What a measurement asks of the machine and the account before it deploys, and of whose stack."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.session import Session

from benchmarks.measure import __main__ as command
from benchmarks.measure import stack
from benchmarks.measure.account import AWS, Account
from benchmarks.measure.leftovers import NAME
from benchmarks.measure.stopping import Stopping
from console.parser import Parser
from infra import command_line
from infra.command_line import CommandLine

# A program that finds credentials as programs do.
WHOSE = """#!{python}
import pathlib, botocore.session
found = botocore.session.get_session().get_credentials()
pathlib.Path("{log}").write_text(found.access_key + " " + str(found.token))
"""


def test_what_cdk_json_says_of_your_own_stack_is_not_asked_for_the_measured_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/measurements.md: those in cdk.json are of your own stack and do not count here.

    Its name may be taken, its topic be elsewhere, its profile be of another account: no measuring ends for that.
    """
    own = {"stack_name": "taken", "reserved_concurrency": 5, "alarm_topic_arn": "arn:aws:sns:eu-west-3:1:a"}
    flag = {"@aws-cdk/core:bootstrapQualifier": "own"}
    (tmp_path / "cdk.json").write_text(json.dumps({"profile": "theirs", "region": "eu-west-3", "context": own | flag}))
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(stack, "ROOT", tmp_path)
    read: list[CommandLine] = []

    def ready(arguments: list[str], cwd: Path, env: dict[str, str], **_: Any) -> "subprocess.CompletedProcess[str]":
        monkeypatch.chdir(cwd)
        assert arguments[:3] == [sys.executable, "-m", "infra.ready"]
        read.append(command_line.read(Parser(), arguments[3:]))
        monkeypatch.undo()
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(subprocess, "run", ready)
    account = Account(None, "eu-central-1", "111122223333", AWS, 10, None)
    command._check_machine(
        SimpleNamespace(build=Path("build")), SimpleNamespace(context=["timeout=60"]), account  # type: ignore[arg-type]
    )  # fmt: skip

    [given] = read
    assert (given.profile, given.region) == (None, None)
    name = given.context.pop("stack_name")
    assert NAME.fullmatch(name)
    assert given.context == {"build_dir": str(Path("build").absolute()), "timeout": "60", **flag}


@pytest.mark.parametrize("profile", ["theirs", None])
def test_a_stack_is_made_in_the_account_in_which_it_is_looked_for_and_destroyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str | None
) -> None:
    """Keys of the environment count before a profile's there, for botocore and for the CDK CLI alike."""
    (tmp_path / "credentials").write_text("[theirs]\naws_access_key_id = profile\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "nobody's")
    for name, value in {"ACCESS_KEY_ID": "environment", "SECRET_ACCESS_KEY": "s", "SESSION_TOKEN": "t"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv(f"AMAZON_{name}", value)
    if profile is None:
        monkeypatch.delenv("AWS_DEFAULT_PROFILE")
    measured = Session(profile=profile).get_credentials()
    cdk = tmp_path / "cdk"
    cdk.write_text(WHOSE.format(python=sys.executable, log=tmp_path / "log"))
    cdk.chmod(0o755)

    account = Account(None, "eu-central-1", "111122223333", AWS, 10, profile)
    stack.Cdk(cdk, account, os.open(os.devnull, os.O_RDONLY), Stopping()).run(tmp_path, "deploy")

    assert (tmp_path / "log").read_text() == f"{measured.access_key} {measured.token}"
    assert measured.access_key == ("profile" if profile else "environment")
    assert [name for name in account.environ(os.environ) if name.endswith("_ACCESS_KEY_ID")] == (
        [] if profile else ["AWS_ACCESS_KEY_ID", "AMAZON_ACCESS_KEY_ID"]
    )
