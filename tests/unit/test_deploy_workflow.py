"""examples/github-action: a workflow by GitHub's own schema, safe by zizmor's audits, and without a key of AWS.

Its commands are run by tests/e2e/test_readme.py.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "examples" / "github-action" / "deploy.yml"
WORKFLOWS = [WORKFLOW, *sorted((ROOT / ".github" / "workflows").glob("*.yml"))]


def tool(name: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


def test_workflows_are_githubs() -> None:
    run = tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_audit_has_a_finding() -> None:
    run = tool("zizmor", "--offline", "--persona", "auditor", "--format", "json", WORKFLOW)
    found = [f"{one['ident']}: {one['desc']}" for one in json.loads(run.stdout)]
    assert found == [], run.stderr


def test_the_credentials_are_those_of_the_run_and_nothing_else_is_permitted(workflow: dict[str, Any]) -> None:
    [job] = workflow["jobs"].values()
    assert workflow["permissions"] == {}
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert job["environment"] == "production"
    assert "secrets." not in WORKFLOW.read_text(encoding="utf-8")
    [exchange] = [step for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
    assert set(exchange["with"]) == {"role-to-assume", "aws-region"}


def test_it_builds_evaluates_and_packages_before_it_has_credentials(workflow: dict[str, Any]) -> None:
    [job] = workflow["jobs"].values()
    uses = [step.get("uses", "").partition("@")[0] for step in job["steps"]]
    place = uses.index("aws-actions/configure-aws-credentials")
    before, after = (
        [step["run"] for step in part if "run" in step] for part in (job["steps"][:place], job["steps"][place:])
    )

    assert [word for line in before for word in ("build", "evaluate", "package") if f" {word}" in line] == [
        "build",
        "evaluate",
        "package",
    ]
    assert after == ['make deploy ARGS="--require-approval never"']  # as docs/deploy.md has it for CI
    assert '`make deploy ARGS="--require-approval never"`' in (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    # Without it a pipe's failure is lost: GitHub starts `bash -e`, and `bash -eo pipefail` where the shell is named.
    assert workflow["defaults"]["run"]["shell"] == "bash"
