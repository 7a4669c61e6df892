"""The digest of the code that finished models depend on notices a file that changes, moves or goes missing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from layer.bundle.build_cache import CODE, ROOT, code_digest
from layer.errors import BuildError

# Of what exporting code imports: errors and progress, what runs it or puts its files in place, and what the digest has
# in another way, as the model's entry and the sources' hashes.
NO_NUMBERS = {
    "layer/errors.py",
    "layer/progress.py",
    "layer/spec.py",
    "layer/openclip.py",
    "layer/bundle/build_cache.py",
    "layer/bundle/manifest.py",
    "layer/bundle/sandbox.py",
    "layer/files/link.py",
    "layer/findings/printable.py",
    "layer/sources/fetch.py",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("export/make.py", "export/graph.py", "golden.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# {name}")
    return tmp_path


def test_a_pattern_that_matches_nothing_is_an_error_that_names_it(tree: Path) -> None:
    (tree / "golden.py").rename(tree / "reference.py")
    with pytest.raises(BuildError, match=r"golden\.py matches no file"):
        code_digest(tree, ("export/*.py", "golden.py"))


def test_a_file_that_moves_within_a_pattern_changes_the_digest(tree: Path) -> None:
    before = code_digest(tree, ("export/*.py",))
    (tree / "export/make.py").rename(tree / "export/onnx_export.py")
    assert code_digest(tree, ("export/*.py",)) != before


def test_a_file_that_changes_changes_the_digest(tree: Path) -> None:
    before = code_digest(tree, ("export/*.py", "golden.py"))
    (tree / "golden.py").write_text("# other")
    assert code_digest(tree, ("export/*.py", "golden.py")) != before


def test_every_pattern_of_this_checkout_matches_a_file() -> None:
    assert len(code_digest()) == 64
    assert all(any(ROOT.glob(pattern)) for pattern in CODE)


def imported(path: Path) -> Iterator[str]:
    """The project's files that a file imports, late imports among them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("layer", "handler")):
            for alias in node.names:
                named = ROOT / f"{node.module}.{alias.name}".replace(".", "/")
                module = named if named.with_suffix(".py").is_file() else named.parent
                yield module.with_suffix(".py").relative_to(ROOT).as_posix()


def test_the_digest_has_all_code_that_exporting_takes_its_numbers_from() -> None:
    """A table of recipes that changes with a release, as the code does, must not leave the old models in place."""
    exporting = [*ROOT.glob("layer/export/*.py"), ROOT / "layer" / "bundle" / "reference.py"]
    needed = {name for path in exporting for name in imported(path)} - NO_NUMBERS
    counted = {path.relative_to(ROOT).as_posix() for pattern in CODE for path in ROOT.glob(pattern)}

    assert "layer/engines.py" in needed
    assert needed - counted == set()
    assert {name for name in NO_NUMBERS if not (ROOT / name).is_file()} == set()
