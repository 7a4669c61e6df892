"""Settings that are given in ways that the CDK CLI and make pass over."""

import os
import subprocess
from pathlib import Path

import pytest

from console.parser import Parser
from infra import command_line
from infra.errors import SettingsError
from infra.settings import StackSettings

MAKEFILE = 'deploy:\n\t@printf "%s\\n" "$$MAKEFLAGS"\n'


def read(*arguments: str) -> command_line.CommandLine:
    return command_line.read(Parser(allow_abbrev=False), arguments)


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["--stack-name", "another"], "CDK has no option --stack-name, .* write -c stack_name="),
        (["--force", "--stack_name=another"], "write -c stack_name=another$"),
        (["--memory=2048"], "write -c memory=2048$"),
        (["--snapStart=false"], "write -c snap_start=false$"),
        (["-c", "stack_name", "another"], "-c stack_name has no value, .* write -c stack_name=<value>"),
    ],
)
def test_a_setting_that_cdk_passes_over_is_refused(arguments: list[str], fix: str) -> None:
    """The CDK CLI warns, and deploys, or destroys, the stack of the default name."""
    with pytest.raises(SettingsError, match=fix):
        read(*arguments)


def test_cdks_own_options_are_left_to_it() -> None:
    ours = read("--require-approval", "never", "--tags", "stack_name=x", "--output=out", "-c", "stack_name=a=b", "-v")

    assert ours.context["stack_name"] == "a=b"


@pytest.mark.parametrize("given", ["stack_name=another", "memory=2048", "AUTH=iam"])
@pytest.mark.parametrize("jobs", [[], ["-s", "-j2"]])
def test_a_setting_that_is_given_to_make_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, jobs: list[str]
) -> None:
    name, _, value = given.partition("=")
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAKEFLAGS", flags(tmp_path, *jobs, "ARGS=--force -c auth=iam", given))

    with pytest.raises(SettingsError, match=f'write ARGS="-c {name.lower()}={value}"$'):
        read()


@pytest.mark.parametrize(
    ("given", "meant"),
    [("args=-c memory=2048", "ARGS"), ("ARG=-c memory=2048", "ARGS"), ("project=../mine", "PROJECT")],
)
def test_a_variable_that_the_makefile_does_not_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    name, _, value = given.partition("=")
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAKEFLAGS", flags(tmp_path, "ARGS=--force", given))

    with pytest.raises(SettingsError, match=f'write {meant}="{value}"$'):
        read()


def test_what_make_is_given_for_others_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("memory", "stack_name", "args"):
        monkeypatch.setenv(name, "of the user's own environment")
    others = {"AWS_PROFILE": "me", "PYTHON": "python3.13", "PROJECT": "../mine", "PYTHONPATH": "x", "E2E_ARGS": "y"}
    for name, value in others.items():
        monkeypatch.setenv(name, value)
    given = (f"{name}={value}" for name, value in others.items())
    monkeypatch.setenv("MAKEFLAGS", flags(tmp_path, "ARGS=-c stack_name=x -c memory=2048", *given))

    assert read("-c", "stack_name=x").context["stack_name"] == "x"
    assert "stack_name" in StackSettings.model_fields


def flags(folder: Path, *arguments: str) -> str:
    """Return MAKEFLAGS as make hands them on."""
    (folder / "Makefile").write_text(MAKEFILE)
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(
        ["make", *arguments, "deploy"], cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    return next(line for line in done.stdout.splitlines() if "ARGS=" in line)
