"""The real clients' own tests again, unmodified, through the deployed API and its gateway."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.deployment import Deployment

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "build" / "clients" / "bin" / "python"
TESTS = ("openai", "frameworks", "weaviate", "dialects", "litellm_proxy")


def test_the_clients_pass_their_tests_through_the_deployed_api(stack: Deployment) -> None:
    host = stack.outputs["Url"].removeprefix("http://").partition(":")[0]
    deployed = {"port": stack.aws.port, "host": host, "key": stack.key()}

    run = subprocess.run(
        [str(PYTHON), "-m", "pytest", "-q", *(f"tests/clients/test_{name}.py" for name in TESTS)],
        cwd=ROOT,
        env={**os.environ, "OPENCLIP_DEPLOYED": json.dumps(deployed)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout[-8000:] + run.stderr
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout


PAGES = {"/": b"<!doctype html>", "/docs": b"<!doctype html>", "/openapi.json": b"{"}


@pytest.mark.parametrize(("path", "start"), PAGES.items())
def test_a_browser_opens_the_pages_without_a_credential(stack: Deployment, path: str, start: bytes) -> None:
    reply = stack.call(path)
    assert reply.status == 200, reply.body
    assert reply.body.startswith(start)
