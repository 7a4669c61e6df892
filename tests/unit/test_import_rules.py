"""Who may import whom, read from the source so that a lazy import counts too."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "handler": {"layer", "infra", "benchmarks", "console", "devserver", "tests", "aws_cdk"},
    "layer": {"handler", "devserver", "infra", "benchmarks", "tests", "aws_cdk"},
    "infra": {"handler", "layer", "benchmarks", "tests", "torch", "open_clip"},
    "benchmarks": {"infra", "aws_cdk"},
    "devserver": {"layer", "infra", "client", "benchmarks", "tests"},
    "console": {"layer", "handler", "devserver", "infra", "client", "benchmarks", "tests"},
}
# All that these may import besides the standard library. The deployment's own functions have Lambda's Python alone.
ALLOWED = {
    "app.py": {"console", "infra"},
    "infra": {"infra", "console", "aws_cdk", "constructs", "cdk_nag", "pydantic", "boto3", "botocore"},
    "console": {"console", "botocore"},  # it runs where nothing is installed: botocore is imported late, to ask AWS
    "infra/functions": {"boto3", "botocore"},
    "client/src": {
        *("openclip_lambda", "httpx", "numpy", "PIL", "tqdm", "shtab"),  # none of our packages: it knows the HTTP API
        *("boto3", "botocore", "pillow_heif", "pyarrow"),  # extras
    },
}
SEARCH_ONLY = {"lancedb", "pyarrow"}  # 350 MB that no other function has
# Paid for at every cold start: at module level only the engines may, and only the heavy library that they wrap.
LATE_IN_HANDLER = {
    "boto3",
    "torch",
    "torchvision",
    "open_clip",
    "transformers",
    "huggingface_hub",
    "timm",
    *SEARCH_ONLY,
}
MAX_LINES = 250
MAX_FUNCTION_LINES = 40


def sources(package: str) -> list[Path]:
    found = (ROOT / package).rglob("*.py")
    return sorted(path for path in found if path.parent != ROOT / "handler" / "serve")  # an older name, not shipped


def imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield (node.module or "").split(".")[0]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_no_package_that_it_may_not(package: str) -> None:
    broken = {
        str(path.relative_to(ROOT)): wrong
        for path in sources(package)
        if (wrong := FORBIDDEN[package] & set(imported(ast.walk(parse(path)))))
    }
    assert broken == {}


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_of_the_deployment_imports_what_it_needs_and_no_more(package: str) -> None:
    paths = [ROOT / package] if package.endswith(".py") else sources(package)
    broken = {
        str(path.relative_to(ROOT)): wrong
        for path in paths
        if (wrong := set(imported(ast.walk(parse(path)))) - ALLOWED[package] - sys.stdlib_module_names)
    }
    assert broken == {}


def test_boto3_is_for_the_deployments_own_functions_alone() -> None:
    broken = [
        path.name
        for path in sources("infra")
        # ready.py looks for credentials before CDK does, bucket_events.py is a command; synthesis asks AWS for nothing.
        if "functions" not in path.parts
        and path.name not in ("ready.py", "bucket_events.py")
        and {"boto3", "botocore"} & set(imported(ast.walk(parse(path))))
    ]
    assert broken == []


def test_the_app_is_settings_stacks_synth_in_under_25_lines() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) < 25


def test_the_handler_imports_nothing_heavy_at_module_level_outside_its_engines() -> None:
    broken = {
        path.name: wrong
        for path in sources("handler")
        if path.parent.name != "engines" and (wrong := LATE_IN_HANDLER & set(imported(iter(parse(path).body))))
    }
    assert broken == {}


def test_only_the_search_imports_its_database() -> None:
    broken = {
        str(path.relative_to(ROOT)): wrong
        for path in sources("handler")
        if path.parent.name != "search" and (wrong := SEARCH_ONLY & set(imported(ast.walk(parse(path)))))
    }
    assert broken == {}


def test_the_handler_makes_its_records_of_named_tuples() -> None:
    """Each class that `dataclass` or an enum makes costs a cold start 0.3 ms, a NamedTuple a seventh of that."""
    slow = {"dataclasses", "enum"}
    broken = {path.name: found for path in sources("handler") if (found := slow & set(imported(ast.walk(parse(path)))))}
    assert broken == {}


def test_the_first_import_of_the_handler_is_the_offline_environment() -> None:
    imports = [
        node for node in parse(ROOT / "handler" / "app.py").body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert ast.unparse(imports[0]) == "from handler import offline"


def test_the_pages_files_stay_small_too() -> None:
    folder = ROOT / "handler" / "endpoints" / "playground"
    pages = [path for path in folder.iterdir() if path.suffix in (".html", ".css", ".js")]
    assert len(pages) > 5
    assert {path.name for path in pages if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES} == set()


@pytest.mark.parametrize(
    "package",
    ["console", "devserver", "docs", "examples", "handler", "layer", "infra", "client", "benchmarks", "tests"],
)
def test_files_and_functions_stay_small_and_say_what_they_are_for(package: str) -> None:
    problems = []
    for path in sources(package):
        tree = parse(path)
        name = path.relative_to(ROOT)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES:
            problems.append(f"{name}: {lines} lines")
        if ast.get_docstring(tree) is None:
            problems.append(f"{name}: no docstring")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    problems.append(f"{name}: {node.name} has {length} lines")
    assert problems == []
