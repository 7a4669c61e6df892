"""`python -m layer doctor --setup`: what it says of a machine and of an AWS account that answers in various ways."""

import functools
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.setup import aws, examine, machine
from console.setup.check import MISSING, OK, UNKNOWN, Check
from console.setup.examine import Asked
from infra import ready
from layer.cli import doctor_command
from layer.cli.parser import main

ROOT = Path(__file__).parents[2]
IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>arn:aws:iam::123456789012:user/ann</Arn><UserId>A</UserId><Account>123456789012</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
DESCRIBED = (
    "<DescribeTypeResponse><DescribeTypeResult><Type>RESOURCE</Type></DescribeTypeResult></DescribeTypeResponse>"
)
EXPIRED = "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>ended</Message></Error></ErrorResponse>"


class Account(ThreadingHTTPServer):
    """The three services as an account answers, in the wire formats that AWS documents."""

    daemon_threads = True
    concurrency, used, bootstrapped, expired = 1000, 0, True, False
    refused: tuple[str, ...] = ()
    has_vectors = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers = threading.Event()
        self.answers.set()
        self.answered: list[str] = []

    def reply(self, path: str, target: str, sent: str = "") -> tuple[int, str]:
        self.answers.wait(120)
        self.answered.append(path)
        if path.endswith("/account-settings") or path.endswith("/account-settings/"):
            if "lambda" in self.refused:
                return 403, json.dumps({"Code": "AccessDeniedException", "Message": "no"})
            limit = {"TotalCodeSize": 80_530_636_800, "ConcurrentExecutions": self.concurrency}
            return 200, json.dumps({"AccountLimit": limit, "AccountUsage": {"TotalCodeSize": self.used}})
        if "Action=DescribeType" in sent:
            assert "TypeName=AWS%3A%3AS3Vectors%3A%3AVectorBucket" in sent
            if "cloudformation" in self.refused:
                return 403, EXPIRED.replace("ExpiredToken", "AccessDenied")
            return (
                (200, DESCRIBED)
                if self.has_vectors
                else (404, EXPIRED.replace("ExpiredToken", "TypeNotFoundException"))
            )
        if target.endswith("GetParameter"):
            if self.bootstrapped:
                return 200, json.dumps({"Parameter": {"Name": aws.BOOTSTRAP, "Value": "21"}})
            return 400, json.dumps({"__type": "ParameterNotFound"})
        return (403, EXPIRED) if self.expired else (200, IDENTITY)


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        server: Any = self.server
        status, body = server.reply(self.path, self.headers.get("x-amz-target", ""), sent)
        self.send_response(status)
        if status == 403 and body.startswith("{"):
            self.send_header("x-amzn-errortype", "AccessDeniedException")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    server = Account()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws, "SECONDS", 30)  # of a machine that has other work
    yield server
    server.shutdown()
    server.server_close()


def looked(**changed: Any) -> dict[str, Check]:
    return {check.name: check for check in aws.account(None, None, **changed)}


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
