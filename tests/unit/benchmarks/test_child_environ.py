"""A start that is measured finds bytecode, as in a package: compiling is no part of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.child_environ import child_environ

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("handler/__init__.py", "handler/app.py", "benchmarks/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def where_from(root: Path) -> str:
    """How the interpreter says that it got `handler.app`."""
    run = subprocess.run(
        [sys.executable, "-v", "-c", "import handler.app"],
        env=child_environ(root),
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = [line for line in run.stderr.splitlines() if line.startswith("# ") and "handler/app.py" in line]
    return line


def test_a_checkout_without_bytecode_gets_it_before_the_start(checkout: Path) -> None:
    assert "matches" in where_from(checkout)  # `.../app.cpython-311.pyc matches .../app.py`


def test_a_package_is_left_as_it_is_and_brings_its_dependencies(checkout: Path) -> None:
    (checkout / "dependencies").mkdir()
    before = sorted(checkout.rglob("*"))
    paths = child_environ(checkout)["PYTHONPATH"].split(":")
    assert paths == [str(checkout), str(checkout / "dependencies")]
    assert sorted(checkout.rglob("*")) == before


def test_no_benchmark_makes_such_an_environment_by_itself() -> None:
    writers = [path for path in (ROOT / "benchmarks").rglob("*.py") if "PYTHONDONTWRITEBYTECODE" in path.read_text()]
    assert [path.name for path in writers] == ["child_environ.py"]
