"""Pyodide as npm installs it: it compiles for every Python that Lambda has, and as this Python does for itself."""

import importlib.util
import json
import marshal
import shutil
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from layer.errors import PackageError
from layer.package import compile_bytecode, interpreters, pyodide, pyodide_refresh
from layer.spec import PYTHONS

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "cache"  # the command's own
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
# A fix within a minor version changed how some code is compiled, and not what it does.
CODE = ("co_code", "co_exceptiontable", "co_linetable", "co_stacksize", "co_consts")
VIEWS = ("co_lnotab", "co_lines", "co_positions", "co_branches")  # of the same
SAME = [name for name in dir(CodeType) if name.startswith("co_") and name not in (*CODE, *VIEWS)]


@pytest.fixture(autouse=True)
def no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "find", lambda _: None)


@pytest.mark.parametrize("python", PYTHONS)
def test_bytecode_has_the_number_of_the_target_and_one_content(python: str, tmp_path: Path) -> None:
    trees = [tmp_path / "first", tmp_path / "second"]
    for tree in trees:
        shutil.copytree(ROOT / "handler" / "http", tree / "http", ignore=shutil.ignore_patterns("__pycache__"))
        (tree / "another_pythons.py").write_text("print 1\n")

    assert [compile_bytecode.compile_for(python, {tree: "/opt/python"}, CACHE) for tree in trees] == [None, None]

    first, second = ({str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*.pyc")} for tree in trees)
    assert first == second
    assert len(first) == len([*(ROOT / "handler" / "http").rglob("*.py")])
    for name, content in first.items():
        assert f".cpython-{python.replace('.', '')}.pyc" in name
        assert content[:4] == interpreters.MAGIC[python]
        assert content[4:8] == b"\x01\0\0\0"  # PEP 552: by a hash that is not checked
        assert b"/opt/python/" in content
        assert str(tmp_path).encode() not in content


def test_it_is_the_code_that_this_python_compiles_and_runs_without_its_source(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "handler", tmp_path / "tree", ignore=shutil.ignore_patterns("__pycache__"))

    assert compile_bytecode.compile_for(OWN, {tmp_path / "tree": "/var/task/handler"}, CACHE) is None

    assert interpreters.MAGIC[OWN] == importlib.util.MAGIC_NUMBER
    for source in (tmp_path / "tree").rglob("*.py"):
        name = f"/var/task/handler/{source.relative_to(tmp_path / 'tree')}"
        ours = marshal.loads(Path(importlib.util.cache_from_source(str(source))).read_bytes()[16:])  # noqa: S302
        assert_same(ours, compile(source.read_bytes(), name, "exec", dont_inherit=True))
    settings = tmp_path / "tree" / "errors.py"
    shutil.move(importlib.util.cache_from_source(str(settings)), tmp_path / "errors.pyc")
    command = [sys.executable, "-S", "-c", "import errors; print(errors.__file__)"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.strip().endswith("errors.pyc")


def recorded(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def name_version(folder: Path, version: str) -> None:
    package = json.loads((folder / "package.json").read_text())
    (folder / "package.json").write_text(json.dumps(package | {"dependencies": {"pyodide": version}}, indent=2) + "\n")


def test_make_pins_locks_the_version_that_is_named_by_the_registrys_hash(tmp_path: Path) -> None:
    shutil.copytree(pyodide.PINS / "3.13", tmp_path / "3.13")
    [as_before] = pyodide_refresh.refresh(["3.13"], tmp_path)
    assert as_before.endswith(" (as before)")
    assert recorded(tmp_path / "3.13") == recorded(pyodide.PINS / "3.13")

    name_version(tmp_path / "3.13", "0.29.4")
    assert list(pyodide_refresh.refresh(["3.13"], tmp_path)) == ["Pyodide for Python 3.13: 0.29.4"]
    lock = json.loads((tmp_path / "3.13" / "package-lock.json").read_text())
    view = ["npm", "view", "pyodide@0.29.4", "dist.integrity"]
    told = subprocess.run(view, capture_output=True, text=True, check=True).stdout.strip()
    assert lock["packages"]["node_modules/pyodide"]["integrity"] == told
    assert not any("resolved" in package for package in lock["packages"].values())


def test_make_pins_records_no_pyodide_of_another_python_and_none_whose_hash_is_another(tmp_path: Path) -> None:
    shutil.copytree(pyodide.PINS / "3.13", tmp_path / "3.13")
    name_version(tmp_path / "3.13", "0.27.7")  # CPython 3.12
    before = recorded(tmp_path / "3.13")
    with pytest.raises(PackageError, match=r"bytecode begins with cb0d0d0a instead of f30d0d0a"):
        list(pyodide_refresh.refresh(["3.13"], tmp_path))
    assert recorded(tmp_path / "3.13") == before

    shutil.rmtree(tmp_path / "3.13")
    shutil.copytree(pyodide.PINS / "3.13", tmp_path / "3.13")
    lock = tmp_path / "3.13" / "package-lock.json"
    lock.write_text(lock.read_text().replace("sha512-T", "sha512-U"))
    with pytest.raises(
        PackageError, match=r"(?i)integrity checksum failed .*: its registry has another package than the recorded one"
    ):
        list(pyodide_refresh.refresh(["3.13"], tmp_path))


def assert_same(ours: CodeType, real: CodeType) -> None:
    assert {name: getattr(ours, name) for name in SAME} == {name: getattr(real, name) for name in SAME}
    assert plain(ours) == plain(real)
    for one, other in zip(codes(ours), codes(real), strict=True):
        assert_same(one, other)


def codes(code: CodeType) -> list[CodeType]:
    return [value for value in code.co_consts if isinstance(value, CodeType)]


def plain(code: CodeType) -> list[Any]:
    return [value for value in code.co_consts if not isinstance(value, CodeType)]
