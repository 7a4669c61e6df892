"""examples/: each has a row in its README and a test, and the README's commands are those that the tests run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra import stack_names

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
TESTS = {
    "notebook.ipynb": "tests/clients/test_notebook.py",
    "compose": "tests/e2e/test_compose.py",
    "terraform": "tests/infra/test_terraform_example.py",
    "sam": "tests/e2e/test_sam_example.py",
    "github-action": "tests/unit/test_deploy_workflow.py",
    "project": "tests/unit/layer/test_project.py",
}


def block(heading: str) -> list[str]:
    """Return the lines of the first block of code below a heading."""
    text = README.partition(f"\n## {heading}\n")[2].partition("```\n")[2].partition("```")[0]
    return text.splitlines()


def test_each_example_has_a_row_and_a_test() -> None:
    there = {path.name for path in EXAMPLES.iterdir()} - {"README.md"}
    assert there == set(TESTS)
    assert {re.match(r"\| \[([\w.-]+)/?\]", line)[1] for line in README.splitlines() if line.startswith("| [")} == there  # type: ignore[index]
    assert [path for path in TESTS.values() if not (ROOT / path).exists()] == []


def test_the_commands_are_those_of_the_examples() -> None:
    head = (EXAMPLES / "compose" / "compose.yaml").read_text(encoding="utf-8")
    assert [line for line in block("Compose") if f"#   {line}\n" not in head] == []
    told = subprocess.run(
        [sys.executable, EXAMPLES / "sam" / "template.py", "--help"], capture_output=True, text=True, check=True
    )
    assert [line for line in block("SAM") if line.startswith("sam ") and line not in told.stdout] == []
    assert block("Terraform")[-2:] == ["terraform init", "terraform apply"]


def test_a_sam_template_has_the_memory_of_the_package(tmp_path: Path) -> None:
    function = {"handler": "h", "runtime": "python3.13", "architecture": "x86_64", "environment": {}, "layers": []}
    package = {"manifest_sha256": "0" * 64, "artefacts": [], "function": function}
    for memory, options, expected in (({"memory": 5120}, [], 5120), ({}, [], 3008), ({}, ["--memory", "2048"], 2048)):
        (tmp_path / "package.json").write_text(json.dumps(package | memory))
        subprocess.run([sys.executable, EXAMPLES / "sam" / "template.py", "--build", tmp_path, *options], check=True)
        written = json.loads((tmp_path / "sam.json").read_text())
        assert written["Resources"]["Function"]["Properties"]["MemorySize"] == expected
        # Or `make deploy` would put its own stack in the place of one that SAM deployed under the same name.
        assert written["Description"] not in (stack_names.API, stack_names.VECTORS)
        name, parts = written["Resources"]["AccessLogs"]["Properties"]["LogGroupName"]["Fn::Sub"]
        assert name.startswith("/aws/vendedlogs/")  # tests/infra/test_upgrades.py says why
        assert "AWS::StackId" in json.dumps(parts)


@pytest.mark.parametrize("memory", ["0", "511", "10241", "-5"])
def test_a_sam_template_refuses_a_memory_that_no_function_may_have(memory: str, tmp_path: Path) -> None:
    """AWS::Lambda::Function takes up to 10,240 MB."""
    command = [sys.executable, str(EXAMPLES / "sam" / "template.py"), f"--build={tmp_path}", f"--memory={memory}"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (made.returncode, "512 to 10240 MB" in made.stderr) == (2, True)


def test_a_sam_template_without_a_package_names_the_fix(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "sam" / "template.py"), "--build", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("error: ")
    assert "run `make package`" in run.stderr
    assert "Traceback" not in run.stderr
