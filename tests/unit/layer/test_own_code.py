"""Code of the user's own in a package: what ships of it, what package.json says, and what is refused before."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from handler.extensions.digest import tree_sha256 as handler_digest
from infra import package as infra_package
from layer.errors import PackageError
from layer.package import archive, extension, image, tree
from layer.package.digest import tree_sha256
from layer.spec import Target
from tests.unit import fake_bundle
from tests.unit.wheelhouse import sha256, wheel

TARGET = Target("3.13", "x86_64")
HELLO = """
from handler.extensions import Request, Service

def hello(request: Request, service: Service) -> dict[str, str]:
    return {"hello": "you"}

routes = {("GET", "/ext/hello"): hello, ("PUT", "/ext/hello"): hello}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    place = tmp_path / "project" / "handler_ext"
    (place / "words" / "__pycache__").mkdir(parents=True)
    (place / "__init__.py").write_text(HELLO)
    (place / "words" / "list.txt").write_text("a\nb\n")
    (place / "words" / "__pycache__" / "old.pyc").write_text("")
    (place / ".env").write_text("TOKEN=sk-secret\n")
    (place / "words" / ".swp").write_text("")
    return place


@pytest.fixture
def trees(tmp_path: Path) -> Path:
    for name in ("handler", "dependencies/numpy", "bundle"):
        (tmp_path / "trees" / name).mkdir(parents=True)
    return tmp_path / "trees"


def add(source: Path, trees: Path, present: tuple[str, ...] = ("numpy",)) -> extension.Extension:
    bundle = fake_bundle.write(trees.parent / "built" / "bundle")
    return extension.add(source, trees, TARGET, bundle, trees.parent / "project" / "build", present)


def test_the_files_ship_without_what_is_hidden_and_package_json_says_what_they_are(
    source: Path, trees: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trees.parent)  # paths are relative where people type them
    found = add(source.relative_to(trees.parent), trees.relative_to(trees.parent)).contract

    shipped = trees / "handler_ext"
    assert sorted(found["files"]) == ["__init__.py", "words/list.txt"]
    assert found["files"]["words/list.txt"] == sha256(source / "words" / "list.txt")
    assert found["routes"] == {"/ext/hello": ["GET", "PUT"]}
    assert (found["hooks"], found["own_preprocessing"], found["requirements"]) == ([], [], [])
    assert found["source"] == "../handler_ext"
    manifest = (trees.parent / "built" / "bundle" / "manifest.json").read_bytes()
    assert found["vectors_sha256"] == hashlib.sha256(manifest).hexdigest()  # nothing changes a vector
    assert found["sha256"] == tree_sha256(shipped) == handler_digest(str(source), "handler_ext")
    assert found["sha256"] == infra_package.tree_sha256(source, hidden=False, name="handler_ext")


def test_image_and_zip_have_it_beside_the_handler_compiled(source: Path, trees: Path, tmp_path: Path) -> None:
    add(source, trees)
    image.write_dockerfile(trees, "3.13")
    lines = (trees / "Dockerfile").read_text().splitlines()
    assert "COPY handler_ext/ /var/task/handler_ext/" in lines
    assert 'RUN ["python3", "/tmp/bytecode.py", "/var/task/handler_ext"]' in lines
    assert "COPY --from=handler /var/task/handler_ext/ /var/task/handler_ext/" in lines
    image.write_dockerfile(tmp_path, "3.13")
    assert "handler_ext" not in (tmp_path / "Dockerfile").read_text()

    archive.write(tmp_path / "function.zip", {name: trees / name for name in ("handler", "handler_ext")})
    with zipfile.ZipFile(tmp_path / "function.zip") as zipped:
        assert zipped.namelist() == ["handler_ext/__init__.py", "handler_ext/words/list.txt"]
    assert tree.size(trees / "handler_ext") == len(HELLO) + 4


@pytest.mark.parametrize(
    ("init", "said"),
    [
        (HELLO.replace("/ext/hello", "/v1/models"), "has GET /v1/models, a path of ours"),
        (
            HELLO + "\ndef authentcate(request):\n    return ''\n",
            "authentcate is not a name that is called: did you mean",
        ),
        ("import no_such_package\n", "imports no_such_package, which is not there"),
        ("import socket\nsocket.create_connection(('192.0.2.1', 80))\n", "OSError at handler_ext/__init__.py:2"),
        ("def (\n", "SyntaxError at handler_ext/__init__.py:1"),
    ],
)
def test_what_would_keep_the_function_from_starting_is_not_packaged(
    source: Path, trees: Path, init: str, said: str
) -> None:
    (source / "__init__.py").write_text(init)
    with pytest.raises(PackageError) as refused:
        add(source, trees)
    assert str(refused.value).startswith(f"{source} would keep the function from starting")
    assert said in str(refused.value) or said.replace("OSError", "PermissionError") in str(refused.value)


def test_a_folder_without_code_is_refused(tmp_path: Path, trees: Path) -> None:
    with pytest.raises(PackageError, match=r"has no __init__\.py, .* `python -m layer init`"):
        add(tmp_path / "nothing", trees)


def test_what_it_requires_is_installed_by_its_hash_and_listed(
    source: Path, trees: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = wheel(tmp_path / "house", "greeting", "1.0", content="WORD = 'hello'\n")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (source / "__init__.py").write_text("from greeting.version import WORD\n" + HELLO)
    (source / "requirements.txt").write_text(
        f"# by pip-compile\ngreeting==1.0 \\\n    --hash=sha256:{sha256(made)}\n    # via -r requirements.in\n"
    )

    [listed] = add(source, trees).contract["requirements"]

    assert (listed["name"], listed["version"], listed["sha256"]) == ("greeting", "1.0", sha256(made))
    assert (trees / "dependencies" / "greeting" / "version.py").is_file()

    (source / "requirements.txt").write_text(f"greeting==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PackageError, match=r"requirements\.txt cannot be installed for the target") as refused:
        add(source, trees)
    assert "a wheel has another sha256 than stands there" in str(refused.value)
    assert "make pins" not in str(refused.value)  # that is of our own requirements

    (source / "requirements.txt").write_text(f"greeting==2.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PackageError, match=r"pip finds no wheel of a package for Python 3\.\d+ on x86_64") as refused:
        add(source, trees)
    assert "layer/package" not in str(refused.value)


@pytest.mark.parametrize(
    ("encoding", "name"), [("utf-8-sig", "greeting"), ("utf-16", "greeting"), ("utf-8", "greeting[loud,clear]")]
)
def test_requirements_as_editors_and_pip_compile_write_them(
    source: Path, trees: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, name: str
) -> None:
    made = wheel(tmp_path / "house", "greeting", "1.0", content="WORD = 'hello'\n")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    text = f"{name}==1.0 \\\r\n    --hash=sha256:{sha256(made)}\r\n"
    (source / "requirements.txt").write_bytes(text.encode(encoding))

    [listed] = add(source, trees).contract["requirements"]
    assert listed["name"] == "greeting"


def test_requirements_that_are_no_text_are_refused_by_the_name_of_the_users_file(source: Path, trees: Path) -> None:
    (source / "requirements.txt").write_bytes("# caf\xe9\n".encode("latin-1"))
    with pytest.raises(PackageError) as refused:
        add(source, trees)
    assert str(refused.value).startswith(f"{source / 'requirements.txt'} is not UTF-8 (line 1, byte 0xe9): save it")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("greeting>=1.0", "'greeting>=1.0' is not name==version --hash"),
        ("greeting==1.0", "'greeting==1.0' is not name==version --hash"),
        (f"greeting==1.0 ; sys_platform == 'linux' --hash=sha256:{'0' * 64}", "has a marker"),
        ("-r other.txt", "'-r' is not name==version --hash"),
        (f"NumPy==1.0 --hash=sha256:{'0' * 64}", "numpy is part of the package already: remove its line"),
    ],
)
def test_a_requirement_that_is_not_pinned_or_is_there_already_is_refused(
    source: Path, trees: Path, line: str, said: str
) -> None:
    (source / "requirements.txt").write_text(f"{line}\n")
    with pytest.raises(PackageError) as refused:
        add(source, trees)
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"{source / 'requirements.txt'}: ")


def test_preprocessing_tells_its_vectors_from_the_bundle_s_own(source: Path, trees: Path) -> None:
    change = "\nPREPROCESSING = 'lower-1'\ndef preprocess_text(text, model):\n    return text.lower()\n"
    (source / "__init__.py").write_text(HELLO + change)
    found = add(source, trees).contract
    manifest = json.dumps(found)
    assert found["own_preprocessing"] == ["text"]
    assert len(found["vectors_sha256"]) == 64
    assert manifest.count(found["vectors_sha256"]) == 1
