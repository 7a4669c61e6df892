"""Where init may be long, no request imports a module: after a restore it would be read from a cold disk."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, build_demo
from tests.processors import requests

PAGES = ("/", "/docs", "/openapi.json")
PROGRAM = """
import json, sys
from handler.app import lambda_handler
for event in json.load(sys.stdin):
    before = set(sys.modules)
    response = lambda_handler(event, None)
    new = sorted(name for name in set(sys.modules) - before if not name.startswith(("encodings.", "_")))
    answer = {"asked": event.get("rawPath"), "status": response.get("statusCode"), "new": new}
    print(json.dumps(answer), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("demo"), "onnx", "int8")


def asked(bundle: Path, initialization: str) -> list[dict[str, Any]]:
    events = [one for one in requests.events() if one.get("rawPath") not in PAGES and not one.get("rawQueryString")]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, "OPENCLIP_BUNDLE_DIR": str(bundle), "AWS_LAMBDA_INITIALIZATION_TYPE": initialization},
        input=json.dumps(events),
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in run.stderr.splitlines() if line.startswith('{"asked"')]
    assert [one["asked"] for one in found] == [one.get("rawPath") for one in events], run.stderr
    assert {one["status"] for one in found} == {None, 200, 204}
    return found


@pytest.mark.parametrize("initialization", ["snap-start", "provisioned-concurrency"])
def test_no_request_imports_a_module(bundle: Path, initialization: str) -> None:
    assert [one for one in asked(bundle, initialization) if one["new"]] == []


def test_where_buckets_may_be_read_their_library_is_imported_too() -> None:
    program = """
import sys
from handler.http.late import import_late
from handler.settings import Settings
import_late(Settings())
before = "boto3" in sys.modules
import_late(Settings(allowed_buckets=("photos",)))
print(before, "boto3" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


def test_on_demand_the_first_request_imports_what_it_needs(bundle: Path) -> None:
    assert "handler.engines.counted_ftfy" in asked(bundle, "on-demand")[0]["new"]
