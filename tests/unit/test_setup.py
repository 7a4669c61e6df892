"""`python -m layer doctor --setup`: what it says of a machine and of an AWS account that answers in various ways."""

import functools
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from console.setup import aws, examine, machine
from console.setup.check import MISSING, OK, UNKNOWN, Check
from console.setup.examine import Asked
from layer.cli import doctor_command
from layer.cli.parser import main
from tests.unit.aws_account import Account, account

__all__ = ["account"]  # a fixture

ROOT = Path(__file__).parents[2]


def looked() -> dict[str, Check]:
    return {check.name: check for check in aws.account(None, None)}


def test_an_account_that_is_ready(account: Account) -> None:
    found = looked()
    assert {name: check.state for name, check in found.items()} == dict.fromkeys(
        ("region", "credentials", "quotas", "bootstrap"), OK
    )
    assert found["credentials"].found == "account 123456789012, user/ann"
    assert found["quotas"].found == "1,000 executions at once, 80.5 GB left for code, in eu-central-1"


def test_credentials_that_have_ended(account: Account) -> None:
    account.expired = True
    found = looked()["credentials"]
    assert (found.state, found.found) == (MISSING, "AWS refuses them (ExpiredToken)")
    assert "aws sso login" in found.fix


def test_quotas_that_are_too_small(account: Account) -> None:
    account.used, account.bootstrapped = 80_500_000_000, False
    found = looked()
    assert found["quotas"].state == MISSING
    assert "delete old functions and versions" in found["quotas"].fix
    assert (found["bootstrap"].state, found["bootstrap"].fix) == (MISSING, "run `make bootstrap` once")


def test_a_new_accounts_concurrency_is_told_and_refuses_nothing(account: Account) -> None:
    account.concurrency = 10
    found = looked()["quotas"]
    assert found.state == UNKNOWN
    assert "reserved_concurrency cannot be set" in found.fix


def test_what_the_credentials_may_not_ask_refuses_nothing(account: Account) -> None:
    account.refused = ("lambda",)
    found = looked()
    assert found["quotas"] == Check(
        "quotas", UNKNOWN, "not told (AccessDeniedException): these credentials may not ask"
    )
    assert found["bootstrap"].state == OK


def test_no_region(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    found = looked()["region"]
    assert (found.state, found.fix) == (MISSING, "set AWS_REGION, as in export AWS_REGION=eu-central-1")


@pytest.mark.parametrize("region", ["eu-west-1a", "Ireland", "EU-WEST-1", "eu_west_1", '"eu-west-1"', "eu-west-1 "])
def test_what_is_no_region_is_told(account: Account, monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """Its address does not resolve, which looks like a network that is down, and CDK then fails with that."""
    monkeypatch.setenv("AWS_REGION", region)

    found = looked()["region"]
    assert (found.state, found.found) == (MISSING, f"{region!r} is no region")


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-northwest-1", "ap-southeast-7", "us-iso-east-1"])
def test_regions_of_every_partition_are_taken(account: Account, monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.setenv("AWS_REGION", region)

    assert looked()["region"].state == OK


def test_the_region_is_the_one_that_cdk_deploys_to(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its README, "Region resolution": AWS_REGION, then AWS_DEFAULT_REGION, then the profile's."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert looked()["region"].found == "eu-central-1"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert looked()["region"].found == "eu-central-1"


def test_an_account_that_does_not_answer_does_not_hold_it_up(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    python, told = machine.python, threading.Event()

    def look() -> Check:
        found = python()
        told.set()
        return found

    monkeypatch.setattr(machine, "python", look)
    # The second begins when what is quick has been told, however busy the machine is.
    monkeypatch.setattr(examine, "time", SimpleNamespace(monotonic=lambda: float(not told.wait(60))))
    monkeypatch.setattr(aws, "SECONDS", 120)
    account.answers.clear()
    found = {check.name: check for check in examine.examine(Asked(seconds=1))}
    assert account.answered == []  # it was not waited for
    account.answers.set()
    assert found["credentials"] == Check(
        "credentials", UNKNOWN, "no answer within 1 s", "try again, or check it by hand"
    )
    assert found["Python"].state == OK


def test_what_is_needed_is_told_apart_from_the_rest(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["doctor", "--setup", "--bundle", str(tmp_path / "bundle")]
    monkeypatch.setattr(doctor_command, "Asked", functools.partial(Asked, seconds=60))  # as a busy machine may need

    assert main([*command, "--for", "serve"]) == 1
    told = capsys.readouterr().out
    assert "To serve:\n  bundle: run `make build`, or `make demo` for the demo model" in told

    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").touch()
    assert main([*command, "--for", "package", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["for"], document["ready"]) == ("package", True)
    names = {check["name"] for check in document["checks"]}
    assert names >= {"Python", "Node", "Docker", "disk", "network", "credentials"}


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "x", "--setup"]])
def test_the_doctor_says_what_it_can_examine(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    assert "--setup" in capsys.readouterr().err
