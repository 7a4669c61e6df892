"""The search function's entry point in a process of its own; and what the API's own function never imports."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fake_bundle import write

ROOT = Path(__file__).parents[4]
CALLED = """
import json, sys
from handler.search.app import lambda_handler
imported = "lancedb" in sys.modules
event = {"rawPath": sys.argv[1], "requestContext": {"http": {"method": "GET"}}}
answer = lambda_handler(event, None)
print(json.dumps([answer["statusCode"], json.loads(answer["body"]), imported]))
"""


def call(tmp_path: Path, path: str, **variables: str) -> list[Any]:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OPENCLIP_")},
        "OPENCLIP_BUNDLE_DIR": str(write(tmp_path / "bundle")),
        "OPENCLIP_CACHE_DIR": str(tmp_path / "cache"),
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-c", CALLED, path], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_before_a_snapshot_all_is_imported(tmp_path: Path) -> None:
    variables = {"OPENCLIP_INDEX": str(tmp_path / "index"), "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    status, body, imported = call(tmp_path, "/v1/index", **variables)
    assert (status, body["error"]["code"], imported) == (404, "index_not_found", True)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "OPENCLIP_INDEX is not set"),
        ({"OPENCLIP_INDEX": "i", "OPENCLIP_SEARCH_URL_SECONDS": "0"}, "OPENCLIP_SEARCH_URL_SECONDS is '0'"),
        ({"OPENCLIP_INDEX": "gs://bucket/index"}, "OPENCLIP_INDEX is 'gs://bucket/index'"),
    ],
)
def test_a_function_that_was_deployed_wrong_says_why(tmp_path: Path, variables: dict[str, str], says: str) -> None:
    status, body, _ = call(tmp_path, "/v1/index", **variables)
    assert (status, body["error"]["code"]) == (503, "not_ready")
    assert says in body["error"]["message"]


def test_the_function_of_the_api_imports_nothing_of_the_search(tmp_path: Path) -> None:
    others = ("handler.search", "handler.batch", "lancedb", "pyarrow")
    code = f"import sys, handler.app\nprint([name for name in sys.modules if name.startswith({others})])"
    environ = {**os.environ, "OPENCLIP_BUNDLE_DIR": str(write(tmp_path / "bundle"))}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
