"""Which interpreter compiles the zips, and what is said where none does. npm and Node.js are scripts here."""

import importlib.util
import sys
from pathlib import Path

import pytest

from layer.package import bytecode, compile_bytecode, interpreters, pyodide

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER = next(python for python in ("3.13", "3.12") if python != OWN)
LOCK = "package-lock.json"


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the PATH, but for the shell's programs in /bin, and no pyenv."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "mkdir", "touch", "rm"):
        (folder / name).symlink_to(Path("/bin") / name)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "module.py").write_text("def where():\n    return where.__code__.co_filename\n")
    return tmp_path / "tree"


def magic(python: str) -> str:
    return f"printf {interpreters.MAGIC[python].hex()}"


def test_the_numbers_are_those_of_cpython() -> None:
    assert interpreters.find(OWN) == sys.executable
    assert interpreters.MAGIC[OWN] == importlib.util.MAGIC_NUMBER


def test_bytecode_names_the_place_where_it_will_run_whatever_the_environment_says(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")

    assert compile_bytecode.compile_for(OWN, {tree: "/opt/python"}, tmp_path / "cache") is None

    [compiled] = tree.rglob("*.pyc")
    assert ".opt-" not in compiled.name
    assert b"/opt/python/module.py" in compiled.read_bytes()
    assert str(tmp_path).encode() not in compiled.read_bytes()


def test_a_shim_that_refuses_and_a_python_before_its_release_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("shims", "alpha", "real")]
    for folder, text in zip(folders, ("exit 127", "printf aa0d0d0a", magic(OTHER)), strict=True):
        script(folder / f"python{OTHER}", text)
    monkeypatch.setenv("PATH", ":".join(map(str, folders)))

    assert interpreters.find(OTHER) == str(folders[2] / f"python{OTHER}")


def test_the_pythons_of_pyenv_and_uv_are_found_without_being_on_the_path(tmp_path: Path, path: Path) -> None:
    assert interpreters.find(OTHER) is None

    by_uv = script(tmp_path / "uv's" / "python", magic(OTHER))
    script(path / "uv", f'[ "$*" = "python find --no-python-downloads {OTHER}" ] && echo "{by_uv}"')
    assert interpreters.find(OTHER) == str(by_uv)

    by_pyenv = script(tmp_path / "pyenv" / "versions" / f"{OTHER}.9" / "bin" / f"python{OTHER}", magic(OTHER))
    assert interpreters.find(OTHER) == str(by_pyenv)


@pytest.mark.parametrize(
    ("python", "npm", "node", "says"),
    [
        ("3.2", "exit 0", "exit 0", "Pyodide has no release of Python 3.2"),
        (OTHER, None, "exit 0", "no Node.js with npm"),
        (OTHER, "exit 0", None, "no Node.js with npm"),
        (OTHER, "echo 'npm error code E1' >&2; echo 'npm error request to x failed' >&2; exit 1", "exit 0",
         "npm cannot install Pyodide (request to x failed): see that npm reaches its registry"),
        (OTHER, "echo 'npm ERR! code EINTEGRITY' >&2; exit 1", "exit 0", "cannot install Pyodide (code EINTEGRITY)"),
        (OTHER, "mkdir -p node_modules/pyodide", "printf .; echo odd >&2; exit 1", "Pyodide failed in "),
    ],
)  # fmt: skip
def test_without_a_way_there_is_no_bytecode_and_the_reason_is_told(
    tree: Path, tmp_path: Path, path: Path, python: str, npm: str | None, node: str | None, says: str
) -> None:
    for name, text in (("npm", npm), ("node", node)):
        if text:
            script(path / name, text)
    (tree / "__pycache__").mkdir()

    found = compile_bytecode.compile_for(python, {tree: "/opt/python"}, tmp_path / "cache")

    assert found is not None
    assert found.startswith(f"no python{python} on this machine (PATH, pyenv and uv were asked), and ")
    assert says in found
    assert not [*tree.rglob("*.pyc")]
    assert not [*tmp_path.glob("cache/pyodide/.making-*")]


def test_pyodide_is_installed_once_and_anew_where_its_files_are_not_whole(
    tree: Path, tmp_path: Path, path: Path
) -> None:
    script(path / "npm", f'[ -f {LOCK} ] && mkdir -p node_modules/pyodide && touch "{tmp_path}/$$.npm" node_modules/f')
    script(path / "node", "printf .")

    for _ in range(2):
        pyodide.compile_trees(OTHER, {tree: "/opt/python"}, tmp_path / "cache")
    assert len([*tmp_path.glob("*.npm")]) == 1

    [place] = (tmp_path / "cache" / "pyodide").glob("*")
    (place / "node_modules" / "f").unlink()
    pyodide.compile_trees(OTHER, {tree: "/opt/python"}, tmp_path / "cache")
    assert len([*tmp_path.glob("*.npm")]) == 2
    assert [*(tmp_path / "cache" / "pyodide").glob("*")] == [place]


def test_a_module_of_another_syntax_stays_as_it_is(tree: Path) -> None:
    (tree / "old.py").write_text("print 1\n")

    bytecode.compile_tree(tree, "/opt/python")

    assert [compiled.name.split(".")[0] for compiled in tree.rglob("*.pyc")] == ["module"]


def test_a_user_without_a_home_has_no_pyenv_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as any user id, where nothing sets HOME."""
    for name in ("HOME", "PYENV_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", dict[int, object]().__getitem__)

    assert interpreters.find(OTHER) is None
