"""`openclip-lambda batch index`: by the deployment's function, whose answers are held to botocore's model; or here."""

import io
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from openclip_lambda.batch import aws, local
from openclip_lambda.batch.commands import index
from openclip_lambda.cli import main as cli

from tests.unit.client.batch.conftest import REGION, STACK, Account, Run

FUNCTION = "openclip-SearchRebuild-1"


def answered(payload: Any, **facts: str) -> dict[str, Any]:
    body = json.dumps(payload).encode()
    return {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body)), **facts}


@pytest.fixture
def function(account: Account, monkeypatch: pytest.MonkeyPatch) -> Stubber:
    account.deploy("with-search", SearchRebuild=FUNCTION)
    client = boto3.client("lambda", region_name=REGION)
    real = aws.Aws.client
    monkeypatch.setattr(aws.Aws, "client", lambda *asked: client if asked[1] == "lambda" else real(*asked))
    stub = Stubber(client)
    stub.activate()
    return stub


def test_the_deployments_function_builds_it(function: Stubber, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"FunctionName": FUNCTION, "Payload": b"{}"}
    function.add_response("invoke", answered({"rows": 12}), asked)
    assert cli.main(["batch", "index", "--stack", "with-search", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"function": FUNCTION, "answer": {"rows": 12}}


def test_its_failure_is_told(function: Stubber, capsys: pytest.CaptureFixture[str]) -> None:
    failed = {"errorMessage": "vectors of two bundles: give manifest", "errorType": "SourceError"}
    function.add_response("invoke", answered(failed, FunctionError="Unhandled"))
    assert cli.main(["batch", "index", "--stack", "with-search"]) == 1
    assert "vectors of two bundles: give manifest. An index in LanceDB stays as it was" in capsys.readouterr().err


def test_the_clients_timeout_is_lambdas_and_nothing_is_sent_twice(account: Account) -> None:
    config = aws.Aws(REGION).client("lambda", 900).meta.config
    assert config.read_timeout == 900
    assert config.retries["total_max_attempts"] == 1


def test_a_stack_without_search_and_half_of_the_places_are_told(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("index") == 1
    assert f"the stack {STACK} has no search" in capsys.readouterr().err
    assert cli.main(["batch", "index"]) == 1
    assert "give --stack" in capsys.readouterr().err
    assert cli.main(["batch", "index", "--vectors", "out"]) == 1
    assert "--vectors and --index go together" in capsys.readouterr().err


@pytest.mark.parametrize("status", [0, 1])
def test_on_this_machine_the_repositorys_command_runs(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "layer").mkdir()
    package = tmp_path / "handler" / "search"
    package.mkdir(parents=True)
    for path in (package.parent, package):
        (path / "__init__.py").write_text("")
    (package / "__main__.py").write_text(f"import sys; open('told', 'w').write(repr(sys.argv[1:])); sys.exit({status})")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(index, "NEEDS", "handler.search")
    monkeypatch.setattr(local, "POLL_SECONDS", 0.05)
    asked = ["--vectors", "s3://vectors", "--index", "index", "--manifest", "0123", "--exif-orientation", "true"]
    assert cli.main(["batch", "index", *asked]) == status
    assert (tmp_path / "told").read_text() == repr(["rebuild", *asked])
    told = capsys.readouterr()
    assert "the index is in index" in told.out if status == 0 else "An index in LanceDB stays as it was" in told.err
