"""A Python that is too old and packages that are missing are told before anything else."""

import ast
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from console import preflight

ROOT = Path(__file__).parents[2]
COMMANDS = (
    ["-m", "layer", "models"],
    ["-m", "layer", "build"],
    ["-m", "layer.demo.tour"],
    ["-m", "layer.demo.train"],
    ["-m", "layer.registry.parameter_count"],
    ["-m", "layer.bundle.reference", "--name", "x"],
    ["-m", "layer.registry.sizes_page"],
    ["-m", "client", "health"],
    ["-m", "benchmarks"],
    ["-m", "devserver", "--port", "0"],
    ["-m", "handler.serve", "--port", "0"],
    ["app.py"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command))
def test_missing_packages_are_one_message_with_the_fix(command: list[str]) -> None:
    bare = [sys.executable, "-S", *command]  # no site-packages
    run = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env={})

    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "not installed for" in run.stderr
    assert "activate" in run.stderr or "make venv" in run.stderr


def test_every_python_3_can_read_the_check() -> None:
    for name in ("__init__.py", "preflight.py"):
        ast.parse((ROOT / "console" / name).read_text(encoding="utf-8"), feature_version=(3, 6))
    for package in ("layer", "client", "benchmarks"):
        ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_the_least_python_is_that_of_pyproject() -> None:
    least = ".".join(map(str, preflight.MIN_PYTHON))
    assert f'requires-python = ">={least}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [["-m", "layer", "models"], ["-m", "client", "health"], ["console/preflight.py"]])
def test_a_python_that_is_too_old_is_reported_first(command: list[str]) -> None:
    started = f"import runpy, sys; sys.version_info = (3, 10, 4, 'final', 0); sys.argv = {['-m', *command[2:]]!r}; " + (
        f"runpy.run_path({command[0]!r}, run_name='__main__')" if len(command) == 1 else f"import {command[1]}"
    )
    run = subprocess.run([sys.executable, "-c", started], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 1
    assert "is Python 3.10, and 3.11 or later is needed" in run.stderr
    assert "PYTHON=python3" in run.stderr
    assert "Traceback" not in run.stderr


def test_where_the_environment_is_there_it_says_to_activate_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".workstation").touch()
    monkeypatch.setattr(preflight, "ROOT", str(tmp_path))

    told = str(preflight.package_problem(("numpy", "no_such_package")))

    assert told.startswith("no_such_package is not installed for ")
    assert told.endswith(f"run `source {tmp_path}/.venv/bin/activate` first")


def test_an_environment_that_was_moved_is_not_told_to_be_activated_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What activates it names its old place, so that the system's Python goes on being found."""
    (tmp_path / "old").mkdir()
    venv.create(tmp_path / "old" / ".venv")
    (tmp_path / "old" / ".venv" / ".workstation").touch()
    monkeypatch.setattr(preflight, "ROOT", str(tmp_path / "old"))
    assert str(preflight.package_problem(("no_such_package",))).endswith(".venv/bin/activate` first")

    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.setattr(preflight, "ROOT", str(tmp_path / "new"))

    told = str(preflight.package_problem(("no_such_package",)))
    assert told.endswith(f"run `make venv` there, then `source {tmp_path}/new/.venv/bin/activate`")


def test_the_environment_starts_in_the_c_locale_where_a_folder_has_letters_beyond_ascii(tmp_path: Path) -> None:
    folder = tmp_path / "Élan 项目"
    for package in ("console", "client/src"):
        (folder / package).mkdir(parents=True)
    copied = shutil.copy(ROOT / "console" / "environment.py", folder / "console")
    environment = tmp_path / "venv"
    venv.create(environment)
    python = environment / "bin" / "python"
    subprocess.run([python, copied], check=True)

    run = subprocess.run(
        [python, "-c", "import sys; print(*map(ascii, sys.path), sep='\\n')"],
        cwd=tmp_path, env={"LC_ALL": "C"}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stderr
    assert {ascii(str(folder)), ascii(str(folder / "client" / "src"))} <= set(run.stdout.splitlines())
