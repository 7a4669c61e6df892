"""`python -m infra.ready`: what keeps `make deploy` from deploying is told before anything is built or uploaded."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from console.setup import machine
from console.setup.check import MISSING, OK, Check
from infra import ready, stack_names
from tests.unit.aws_account import Account, account

__all__ = ["account"]  # a fixture
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("options", [[], ["--deploying"]])
def test_make_deploy_asks_for_what_make_bootstrap_makes(
    options: list[str], account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    account.bootstrapped = False
    (tmp_path / "package.json").write_text(json.dumps({"artefacts": [{"role": "function"}]}))
    monkeypatch.setattr(machine, "node", lambda: Check("Node", OK, ""))
    monkeypatch.setattr(ready, "SECONDS", 60)

    status = ready.main([*options, "-c", f"build_dir={tmp_path}", "--require-approval", "never"])

    assert status == (1 if options else 0)
    assert ("run `make bootstrap` once" in capsys.readouterr().err) == bool(options)
    assert ready.main([*options, "-c", f"build_dir={tmp_path}", "-c", "@aws-cdk/core:bootstrapQualifier=own"]) == 0


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that needs no Docker, in a directory with a cdk.json of its own."""
    (tmp_path / "package.json").write_text(json.dumps({"artefacts": [{"role": "function"}]}))
    monkeypatch.setattr(machine, "node", lambda: Check("Node", OK, ""))
    monkeypatch.setattr(ready, "SECONDS", 60)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("place", ["cdk.json", "-c"])
@pytest.mark.parametrize(("options", "search", "status"), [
    ([], "s3vectors", 1), (["--deploying"], "s3vectors", 1), (["--destroying"], "s3vectors", 0), ([], "lance", 0),
])  # fmt: skip
def test_a_region_without_s3_vectors_is_told_before_anything_is_deployed(
    options: list[str],
    search: str,
    status: int,
    place: str,
    account: Account,
    packaged: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    context = {"build_dir": ".", "search": search}
    if place == "cdk.json":
        (packaged / "cdk.json").write_text(json.dumps({"context": context}))
    given = [] if place == "cdk.json" else [f"-c{key}={value}" for key, value in context.items()]

    assert ready.main([*options, *given]) == 0
    account.has_vectors = False
    assert ready.main([*options, *given]) == status
    told = "CloudFormation has no AWS::S3Vectors::VectorBucket in eu-central-1: set search=lance, or deploy to a region"
    assert (told in capsys.readouterr().err) == bool(status)
    account.refused = ("cloudformation",)  # where nobody may ask, nothing that may work is refused
    assert ready.main([*options, *given]) == 0


def test_the_command_line_counts_before_cdk_json(account: Account, packaged: Path) -> None:
    account.has_vectors = False
    (packaged / "cdk.json").write_text(json.dumps({"context": {"build_dir": "nowhere", "search": "s3vectors"}}))

    assert ready.main(["-cbuild_dir=.", "-c", "search=lance"]) == 0


@pytest.mark.parametrize("place", ["cdk.json", "--region", "--region="])
def test_the_region_that_cdk_is_given_counts_before_the_environments(
    place: str, account: Account, packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account.has_vectors = False
    written = {"context": {"build_dir": ".", "search": "s3vectors"}, "region": "eu-west-3"}
    given = {"cdk.json": [], "--region": ["--region", "eu-west-3"], "--region=": ["--region=eu-west-3"]}[place]
    if given:
        written["region"] = "eu-west-2"
    (packaged / "cdk.json").write_text(json.dumps(written))

    assert ready.main(["--deploying", *given]) == 1
    assert "in eu-west-3: set search=lance" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "status"), [([], 1), (["--deploying"], 1), (["--destroying"], 0)])
def test_a_topic_that_no_alarm_of_this_region_may_notify_is_told_first(
    options: list[str], status: int, account: Account, packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """PutMetricAlarm answers "Invalid region eu-west-1 specified. Only eu-central-1 is supported"."""

    def run(topic: str, *more: str) -> int:
        return ready.main([*options, "-cbuild_dir=.", "-c", f"alarm_topic_arn={topic}", *more])

    assert run("arn:aws:sns:eu-central-1:111122223333:alarms") == 0
    assert run("arn:aws:sns:eu-west-1:111122223333:alarms", "--region", "eu-west-1") == 0
    assert run("alarms") == 0  # synth says what is wrong with it
    assert run("arn:aws:sns:eu-west-1:111122223333:alarms") == status
    told = "a topic in eu-west-1, and this deploys to eu-central-1: name one in eu-central-1"
    assert (told in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize(("concurrency", "status"), [(10, 1), (50, 1), (100, 1), (102, 0)])
@pytest.mark.parametrize("setting", ["reserved_concurrency", "provisioned_concurrency"])
def test_concurrency_that_a_new_account_cannot_reserve_is_told_first(
    setting: str, concurrency: int, status: int, account: Account, packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """PutFunctionConcurrency: "decreases account's UnreservedConcurrentExecution below its minimum value of [10]".

    New accounts have 10 or 50, and the message names the same number.
    """
    account.concurrency = concurrency

    assert ready.main(["--deploying", "-cbuild_dir=."]) == 0
    assert ready.main(["--destroying", "-cbuild_dir=.", f"-c{setting}=2"]) == 0
    assert ready.main(["--deploying", "-cbuild_dir=.", f"-c{setting}=2"]) == status
    found = f"the account may run {concurrency} executions at once, 80.5 GB left for code, in eu-central-1"
    told = f"{found}: leave {setting} out"
    assert (told in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize(("region", "given", "noted"), [
    ("cn-north-1", [], True), ("ap-east-2", [], True), ("ap-southeast-6", ["-csnap_start=true"], True),
    ("us-gov-west-1", [], True), ("cn-north-1", ["-csnap_start=false"], False), ("ap-east-1", [], False),
])  # fmt: skip
def test_a_region_that_may_have_no_snap_start_gets_a_note_and_is_deployed_to(
    region: str, given: list[str], noted: bool, account: Account, packaged: Path, capsys: Any
) -> None:
    """AWS Lambda, SnapStart: all commercial regions but New Zealand and Taipei; in China, none for Python."""
    assert ready.main(["--deploying", "-cbuild_dir=.", "--region", region, *given]) == 0
    told = f"no SnapStart for Python in {region}. If CloudFormation refuses the function for it, deploy with -c snap"
    assert (told in capsys.readouterr().err) == noted


@pytest.mark.parametrize("setting", ["reserved_concurrency", "provisioned_concurrency"])
@pytest.mark.parametrize("place", ["cdk.json", "-c"])
@pytest.mark.parametrize(("kept", "status"), [("900", 0), ("901", 1), ("1000", 1), ("9" * 5000, 1), ("many", 0)])
def test_concurrency_over_what_the_account_can_give_away_is_told_first(
    kept: str, status: int, place: str, setting: str, account: Account, packaged: Path, capsys: Any
) -> None:
    """AWS Lambda, "Configuring reserved concurrency": up to the unreserved account concurrency minus 100."""
    number = int(kept) if kept in ("900", "901", "1000") else kept
    if place == "cdk.json":
        (packaged / "cdk.json").write_text(json.dumps({"context": {"build_dir": ".", setting: number}}))
    given = [] if place == "cdk.json" else ["-cbuild_dir=.", f"-c{setting}={kept}"]

    assert ready.main(["--deploying", *given]) == status
    assert (f"Lambda keeps 100 unreserved: set {setting} to 900 at most" in capsys.readouterr().err) == bool(status)
    assert ready.main(["--destroying", *given]) == 0


@pytest.mark.parametrize(("rows", "status"), [
    ([{"role": "image", "path": "image", "bytes": 900_000_000}], 0),
    ([{"role": "image", "path": "image", "bytes": 900_000_000}, {"role": "search", "bytes": 900_000_000}], 0),
    ([{"role": "function", "bytes": 700_000}, {"role": "models", "bytes": 20_000_000}], 0),
    ([{"role": "function", "bytes": 700_000}, {"role": "models", "bytes": 120_000_000}], 1),
    ([], 0),
])  # fmt: skip
def test_an_account_needs_room_for_the_zips_that_lambda_stores_and_for_no_image(
    rows: list[dict[str, Any]], status: int, account: Account, packaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS Lambda, "Lambda quotas": 75 GB of "uploaded functions (.zip file archives) and layers"; images are in ECR."""
    monkeypatch.setattr(machine, "docker", lambda *_: Check("Docker", OK, ""))
    (packaged / "package.json").write_text(json.dumps({"artefacts": rows}))
    account.used = 80_530_636_800 - 100_000_000

    assert ready.main(["--deploying", "-cbuild_dir=."]) == status
    account.used = 80_530_636_800
    assert ready.main(["--deploying", "-cbuild_dir=."]) == 1  # a deployment's own small functions are zips, too


def test_make_destroy_needs_no_docker_and_no_room_for_more_code(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it deletes is what an account without room for code has too much of."""
    account.used = 80_500_000_000
    (tmp_path / "package.json").write_text(json.dumps({"artefacts": [{"role": "image"}]}))
    monkeypatch.setattr(machine, "node", lambda: Check("Node", OK, ""))
    monkeypatch.setattr(machine, "docker", lambda *_: Check("Docker", MISSING, "no engine", "start it"))
    monkeypatch.setattr(ready, "SECONDS", 60)

    assert ready.main(["-c", f"build_dir={tmp_path}"]) == 1
    assert ready.main(["--destroying", "-c", f"build_dir={tmp_path}"]) == 0
    account.expired = True
    assert ready.main(["--destroying", "-c", f"build_dir={tmp_path}"]) == 1
    assert "AWS refuses them (ExpiredToken)" in capsys.readouterr().err
    told = subprocess.run(["make", "-n", "destroy"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "infra.ready --destroying" in told


@pytest.mark.parametrize("options", [["--deploying"], ["--destroying"]])
@pytest.mark.parametrize(("given", "name", "status", "told", "state"), [
    ([], "openclip", "CREATE_COMPLETE", "", 1),  # of a template that describes nothing
    ([], "openclip", "UPDATE_COMPLETE", "somebody's", 1),
    # The second stack of another deployment, openclip: its vectors would be deleted.
    (["-cstack_name=openclip-vectors"], "openclip-vectors", "CREATE_COMPLETE", stack_names.VECTORS, 1),
    # The other way round: a deployment of this name stands where the vectors are to be.
    (["-csearch=s3vectors"], "openclip-vectors", "CREATE_COMPLETE", stack_names.API, 1),
    ([], "openclip-vectors", "CREATE_COMPLETE", stack_names.API, 0),
    ([], "openclip", "ROLLBACK_COMPLETE", stack_names.API, 0),
    ([], "openclip", "REVIEW_IN_PROGRESS", "", 0),  # a change set that was not agreed to: nothing is in it
])  # fmt: skip
def test_another_stack_of_this_name_is_neither_replaced_nor_deleted(
    options: list[str],
    given: list[str],
    name: str,
    status: str,
    told: str,
    state: int,
    account: Account,
    packaged: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ready.main([*options, "-cbuild_dir=.", *given]) == 0
    account.stacks = {name: (status, told)}

    assert ready.main([*options, "-cbuild_dir=.", *given]) == state
    says = f"eu-central-1 has another stack {name} (its description: {told or 'none'}), which would be replaced"
    assert (says in capsys.readouterr().err) == bool(state)
    account.refused = ("summary",)  # as where GetTemplateSummary is not allowed: who does not describe it is not us
    assert ready.main([*options, "-cbuild_dir=.", *given]) == state
    account.refused = ("cloudformation",)  # as of a role that may only assume CDK's
    assert ready.main([*options, "-cbuild_dir=.", *given]) == 0


@pytest.mark.parametrize("options", [["--deploying"], ["--destroying"], []])
def test_the_profile_that_cdk_takes_from_cdk_json_is_asked(
    options: list[str], account: Account, packaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """`"profile"` in cdk.json is --profile to the CDK CLI; without it nothing but that profile may have credentials."""
    config = packaged / "config"
    config.write_text("[profile photos]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    assert ready.main([*options, "-cbuild_dir=."]) == 1
    assert "no AWS credentials found" in capsys.readouterr().err
    (packaged / "cdk.json").write_text(json.dumps({"profile": "photos"}))
    assert ready.main([*options, "-cbuild_dir=."]) == 0
    assert ready.main([*options, "-cbuild_dir=.", "--profile", "nobody"]) == 1  # the command line counts first
