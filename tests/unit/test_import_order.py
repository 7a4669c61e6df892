"""Imports run downwards only, and never in a circle. Late imports count; those under TYPE_CHECKING do not."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.documents import marked

ROOT = Path(__file__).parents[2]
# From the top down: a package or a top-level module imports what stands in its own row or below it.
ORDER = {
    "handler": (
        ("search",),
        ("batch", "selfcheck", "serve"),
        ("app",),
        ("http",),
        ("endpoints",),
        ("schemas",),
        ("golden", "service"),
        ("models",),
        ("imaging",),
        ("engines",),
        ("extensions",),
        ("manifest", "messages", "offline", "telemetry"),
        ("settings",),
        ("errors",),
    ),
    "layer": (
        ("__main__",),
        ("cli", "demo"),
        ("package", "doctor"),
        ("build",),
        ("quality",),
        ("export",),
        ("tensor_shapes",),
        ("registry",),
        ("bundle",),
        ("sources",),
        ("config", "network", "openclip", "weights"),
        ("spec", "versions"),
        ("gate",),
        ("engines", "files", "findings", "naming"),
        ("errors", "progress"),
    ),
}
MAX_TOP_LEVEL = {"handler": 10, "layer": 8}  # modules beside the packages, `__init__` not counted


def modules(package: str) -> dict[str, Path]:
    found = {}
    for path in (ROOT / package).rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(tree: ast.AST, known: dict[str, Path]) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else str(node.module)
        yield from imports(node, known)


def graph(package: str) -> dict[str, set[str]]:
    known = modules(package)
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in known.items()}
    return {name: set(imports(tree, known)) & set(known) for name, tree in trees.items()}


@pytest.mark.parametrize("package", ORDER)
def test_no_import_cycle(package: str) -> None:
    try:
        TopologicalSorter(graph(package)).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("package", ORDER)
def test_imports_run_downwards(package: str) -> None:
    rows = {name: row for row, names in enumerate(ORDER[package]) for name in names}
    upward = [
        f"{importer} imports {imported}"
        for importer, names in graph(package).items()
        for imported in names
        if "." in importer and "." in imported and rows[importer.split(".")[1]] > rows[imported.split(".")[1]]
    ]
    assert upward == []


@pytest.mark.parametrize("package", ORDER)
def test_every_package_and_module_has_a_row(package: str) -> None:
    top = {name.split(".")[1] for name in modules(package) if "." in name}
    assert top == {name for row in ORDER[package] for name in row}


@pytest.mark.parametrize("package", ORDER)
def test_few_modules_stand_at_the_top(package: str) -> None:
    top = [path.name for path in (ROOT / package).glob("*.py") if path.name != "__init__.py"]
    assert len(top) <= MAX_TOP_LEVEL[package], sorted(top)


def test_the_page_shows_the_same_order() -> None:
    [block] = marked(__file__, "docs/architecture.md")
    for package, rows in re.findall(r"^(\w+): +(.+(?:\n +.+)*)", block.text, re.MULTILINE):
        place = {name: number for number, row in enumerate(ORDER[package]) for name in row}
        shown = [[place[name.strip()] for name in row.split(",")] for row in rows.split(">")]
        assert [len(set(row)) for row in shown] == [1] * len(shown), package
        assert [row[0] for row in shown] == sorted({row[0] for row in shown}), package
