"""The digest of the code that finished models depend on notices a file that changes, moves or goes missing."""

from pathlib import Path

import pytest

from layer.bundle.build_cache import CODE, ROOT, code_digest
from layer.errors import BuildError


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
