"""The Makefile where something ends in the middle, and where MAKEFLAGS says that jobs run side by side."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CDK = """
mkdir -p node_modules/.bin
printf '#!/bin/sh\\necho cdk "$1"\\n' > node_modules/.bin/cdk
chmod +x node_modules/.bin/cdk
"""
# Python, as `make` calls it: the first step of a build that is still at work when the other commands could begin.
PYTHON = """
echo "$3 begins" >> log
[ "$3" = build ] && sleep 1
echo "$3 ends" >> log
"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "package.json", "package-lock.json", "requirements.txt"):
        shutil.copyfile(ROOT / name, folder / name)
    program(folder / ".venv" / "bin" / "python", "exit 0\n")
    (folder / ".venv" / ".workstation").touch()
    program(tmp_path / "bin" / "node", "exit 0\n")
    return folder


def make(checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join((str(checkout.parent / "bin"), os.environ["PATH"]))
    left = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "PROJECT", "VENV")
    environ = {name: value for name, value in os.environ.items() if name not in left} | {"PATH": path}
    return subprocess.run(
        ["make", *arguments], cwd=checkout, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_an_npm_that_was_killed_is_started_again(checkout: Path) -> None:
    npm = checkout.parent / "bin" / "npm"
    program(npm, "mkdir -p node_modules/aws-cdk\nkill -9 $$\n")
    assert "cdk" not in make(checkout, "synth").stdout.split()

    program(npm, CDK)
    done = make(checkout, "synth")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "cdk synth"), done.stderr

    program(npm, "echo again\n")
    assert "again" not in make(checkout, "synth").stdout


def test_what_npm_says_is_shown_with_the_fix(checkout: Path) -> None:
    program(
        checkout.parent / "bin" / "npm",
        'case "$*" in *--silent*) ;; *) echo "npm error ECONNREFUSED" >&2;; esac; exit 1\n',
    )

    failed = make(checkout, "synth")
    assert failed.returncode != 0
    assert "npm error ECONNREFUSED" in failed.stderr
    assert "npm could not install the CDK CLI: look above, and see that npm reaches its registry" in failed.stderr


def test_commands_of_one_line_run_in_their_order_whatever_makeflags_has(checkout: Path) -> None:
    program(checkout / ".venv" / "bin" / "python", PYTHON)
    (checkout / "build" / "bundle").mkdir(parents=True)
    (checkout / "build" / "bundle" / "manifest.json").touch()  # of an earlier build

    assert make(checkout, "-j4", "build", "package").returncode == 0
    assert (checkout / "log").read_text().split("\n") == [
        "build begins", "build ends", "package begins", "package ends", ""
    ]  # fmt: skip


def test_a_setting_that_cdk_would_pass_over_stops_make_synth_before_cdk_writes_a_template_without_it(
    checkout: Path,
) -> None:
    program(checkout / ".venv" / "bin" / "python", f'exec "{sys.executable}" "$@"\n')
    for name in ("console", "infra"):
        (checkout / name).symlink_to(ROOT / name)
    program(checkout.parent / "bin" / "npm", CDK)

    stopped = make(checkout, "synth", "ARGS=--stack-name another")

    assert "write -c stack_name=<value>" in stopped.stderr
    assert "cdk" not in stopped.stdout.split()


def test_make_measure_measures_the_package_of_the_project(checkout: Path) -> None:
    """Or another model than the one that is meant is deployed, paid for and reported."""
    (checkout / "mine").mkdir()
    (checkout / "mine" / "models.toml").touch()
    program(checkout.parent / "bin" / "npm", CDK)
    program(checkout / ".venv" / "bin" / "python", 'echo "$@"\n')

    measured = make(checkout, "measure", "PROJECT=mine", "ARGS=--estimate").stdout.splitlines()[-1]
    assert measured == "-m benchmarks.measure --build mine/build --models mine/models.toml --estimate"
    assert make(checkout, "measure").stdout.splitlines()[-1] == "-m benchmarks.measure"


def test_a_project_below_the_home_directory_is_found_by_every_command(checkout: Path) -> None:
    """zsh passes the ~ of PROJECT=~/my-search on."""
    home = checkout.parent / "home"
    (home / "my-search").mkdir(parents=True)
    (home / "my-search" / "models.toml").touch()
    program(checkout.parent / "bin" / "npm", CDK.replace('cdk "$1"', "in $(pwd)"))

    synth = make(checkout, "synth", "PROJECT=~/my-search", f"HOME={home}")
    build = make(checkout, "--dry-run", "build", "PROJECT=~/my-search", f"HOME={home}")

    assert (synth.returncode, synth.stdout.splitlines()[-1]) == (0, f"in {home}/my-search"), synth.stderr
    assert f"--models {home}/my-search/models.toml --output {home}/my-search/build/bundle" in build.stdout


@pytest.mark.parametrize("place", ["another place", "Anna's place"])
def test_an_environment_of_a_checkout_that_was_moved_is_told_its_place(checkout: Path, place: str) -> None:
    """Its packages stay: `activate` alone is written again, and the path file of this project."""
    (checkout / "console").mkdir()
    shutil.copyfile(ROOT / "console" / "environment.py", checkout / "console" / "environment.py")
    shutil.rmtree(checkout / ".venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    (checkout / ".venv" / ".workstation").touch()
    assert "Nothing to be done" in make(checkout, "venv").stdout

    moved = checkout.rename(checkout.with_name(place))
    made = make(moved, "venv")
    assert (made.returncode, made.stderr) == (0, "")

    activate = shlex.quote(str(moved / ".venv" / "bin" / "activate"))
    script = f"source {activate} && python -c 'import console.environment as e; print(e.__file__)'"
    run = subprocess.run(["bash", "-c", script], cwd=moved.parent, capture_output=True, text=True, check=False)
    assert run.stdout.strip() == str(moved / "console" / "environment.py"), run.stderr
    assert "Nothing to be done" in make(moved, "venv").stdout


def test_ci_names_targets_that_the_makefile_has(checkout: Path) -> None:
    """A directory that is there, as node_modules after a first run, would pass as a target without a rule."""
    database = make(checkout, "--print-data-base", "--dry-run", "help").stdout.partition("\n# Files\n")[2]
    entries = [entry for entry in database.split("\n\n") if not entry.startswith("# Not a target:")]
    targets = {entry.partition(":")[0].rpartition("\n")[2] for entry in entries}
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make ")]
    asked = subprocess.run(["bash", "-c", "\n".join(f"echo {line.rstrip('& ')}" for line in lines)],
                           capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
    named = {word for word in asked if word != "make" and not word.startswith("-")}
    assert {"test", "lint", "node_modules/.installed"} <= named
    assert named <= targets
