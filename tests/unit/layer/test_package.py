"""Packaging without pip: digests, archives that repeat byte for byte, and the lists that stand in data files."""

import hashlib
import os
import re
import zipfile
from pathlib import Path

import PIL
import pytest

from handler import offline
from infra import package as infra_package
from layer.naming import image_formats
from layer.package import archive, base_image, image, pipeline, runtime, tree, trim
from layer.package.digest import tree_sha256

ROOT = Path(__file__).parents[3]
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s#]+)", re.MULTILINE)


@pytest.fixture
def handler(tmp_path: Path) -> Path:
    root = tmp_path / "handler"
    (root / "engines" / "__pycache__").mkdir(parents=True)
    (root / "app.py").write_text("app")
    (root / "engines" / "one.py").write_text("one")
    (root / "engines" / "__pycache__" / "one.pyc").write_text("of another Python")
    return root


def test_the_digest_of_a_tree_is_what_its_description_says(handler: Path) -> None:
    lines = [("handler/app.py", b"app"), ("handler/engines/one.py", b"one")]
    expected = "".join(f"{path}\0{hashlib.sha256(content).hexdigest()}\n" for path, content in lines)

    assert tree_sha256(handler) == hashlib.sha256(expected.encode()).hexdigest()


def test_modes_times_and_bytecode_do_not_count_and_one_byte_does(handler: Path) -> None:
    before = tree_sha256(handler)
    os.utime(handler / "app.py", (1, 1))
    (handler / "app.py").chmod(0o600)
    (handler / "engines" / "__pycache__" / "two.pyc").write_text("")
    assert tree_sha256(handler) == before

    (handler / "app.py").write_text("apq")
    assert tree_sha256(handler) != before


def test_the_handler_ships_without_the_local_server_and_names_nothing_that_stays_behind(tmp_path: Path) -> None:
    tree.copy(pipeline.HANDLER, tmp_path / "handler", pipeline.NOT_SHIPPED)

    shipped = sorted((tmp_path / "handler").rglob("*.py"))
    assert tmp_path / "handler" / "app.py" in shipped
    assert not (tmp_path / "handler" / "serve").exists()
    left = re.compile(r"\b(devserver|console|handler\.serve)\b")
    assert [path.name for path in shipped if left.search(path.read_text(encoding="utf-8"))] == []
    assert tree_sha256(tmp_path / "handler") == infra_package.tree_sha256(pipeline.HANDLER, infra_package.NOT_SHIPPED)


def test_an_archive_is_the_same_bytes_whenever_it_is_made_and_anybody_may_read_its_files(handler: Path) -> None:
    made = []
    for name, mode in (("first.zip", 0o600), ("second.zip", 0o777)):
        (handler / "app.py").chmod(mode)
        os.utime(handler / "app.py", (mode, mode))
        tree.copy(handler, handler.parent / name / "handler")
        archive.write(handler.parent / f"{mode}.zip", {"handler": handler.parent / name / "handler"})
        made.append((handler.parent / f"{mode}.zip").read_bytes())

    assert made[0] == made[1]
    with zipfile.ZipFile(handler.parent / f"{0o600}.zip") as members:
        assert members.namelist() == ["handler/app.py", "handler/engines/one.py"]
        assert {info.external_attr >> 16 for info in members.infolist()} == {0o100644}
        assert members.read("handler/app.py") == b"app"


def test_a_copied_tree_has_files_for_links_and_one_time(tmp_path: Path, handler: Path) -> None:
    (handler / "link.py").symlink_to(handler / "app.py")
    tree.copy(handler, tmp_path / "copy")
    tree.normalize_metadata(tmp_path / "copy")

    assert not (tmp_path / "copy" / "link.py").is_symlink()
    assert {path.stat().st_mtime for path in (tmp_path / "copy").rglob("*")} == {tree.MTIME}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "copy").rglob("*")} == {0o644, 0o755}


def test_the_image_sets_what_the_handler_holds_to(tmp_path: Path) -> None:
    image.write_dockerfile(tmp_path, "3.13")
    text = (tmp_path / "Dockerfile").read_text()

    wanted = offline.environment(Path("/tmp/openclip"))
    found = dict(re.findall(r"([A-Z_]+)=(\S+)", text.split("ENV ", 1)[1].split("WORKDIR", 1)[0]))
    assert found == {"PYTHONPATH": "/opt/python", **wanted}
    assert f"ARG BASE={base_image.base('3.13').pinned}\n" in text
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    assert text.rstrip().splitlines()[-1].startswith("RUN ")


def test_what_ships_has_the_versions_that_the_bundle_was_built_and_verified_with() -> None:
    workstation = dict(PIN.findall((ROOT / "requirements.txt").read_text()))
    shipped: dict[str, str] = {}
    for path in runtime.REQUIREMENTS.glob("*.txt"):
        shipped |= dict(PIN.findall(path.read_text()))

    assert {"numpy", "onnxruntime", "openvino", "ftfy"} <= set(shipped)
    assert {name: pin for name, pin in shipped.items() if workstation.get(name, pin) != pin} == {}


def test_trimming_says_how_many_files_went_by_each_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kept.py", "bin/one", "bin/tests/two", "tests/three", "stubs.pyi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    reasons = {"bin": "a", "**/tests": "what is left of them", "*.pyi": "b", "**/*.pxd": "none here"}
    monkeypatch.setattr(trim, "rules", lambda *_: reasons)

    assert trim.trim(tmp_path) == {"bin": 2, "**/tests": 1, "*.pyi": 1, "**/*.pxd": 0}
    assert [path.name for path in tmp_path.iterdir()] == ["kept.py"]


def test_a_decoder_stays_where_image_formats_names_it(tmp_path: Path) -> None:
    codec = tmp_path / "pillow.libs" / "libavif-1.so"
    for formats, stays in ((("avif",), True), (("heic",), False), ((), False)):
        codec.parent.mkdir(exist_ok=True)
        codec.write_text("")
        trim.trim(tmp_path, formats)
        assert codec.exists() == stays, formats


def test_a_decoder_takes_what_is_said_of_it() -> None:
    """The wheels of this machine are those that ship, but for the Python that they are for."""
    installed = Path(PIL.__file__).parents[1]
    for name, decoder in image_formats.DECODERS.items():
        [measured] = image_formats.sizes(installed, [name]).values()
        assert measured == pytest.approx(decoder.code_bytes, rel=0.02), name


def test_every_line_of_the_trimming_list_says_why() -> None:
    assert [pattern for pattern, reason in trim.rules().items() if len(reason.split()) < 2] == []
    assert not [pattern for pattern in trim.rules() if pattern.startswith("/") or ".." in pattern]


def test_what_another_package_imports_stays_beside_it(tmp_path: Path) -> None:
    for beside, stays in (("onnxruntime", False), ("torch", True), ("pyarrow", True)):
        tree = tmp_path / beside
        (tree / beside).mkdir(parents=True)
        (tree / "numpy" / "random").mkdir(parents=True)
        (tree / "numpy" / "random" / "bits.py").write_text("")
        trim.trim(tree)
        assert (tree / "numpy" / "random" / "bits.py").exists() == stays, beside
