"""The doctor's catalogue: each code once, each in the docs, and no finding beside it."""

import ast
import re
from pathlib import Path

import pytest

from layer.doctor.checks.symptoms import SYMPTOMS
from layer.findings.catalogue import CACHE, CATALOGUE, CODE, ENVIRONMENT, EXAMINATION, FUNCTION, PACKAGE
from layer.findings.finding import Finding

ROOT = Path(__file__).parents[3]
DOCTOR = sorted(path for name in ("doctor", "sources/prepared") for path in (ROOT / "layer" / name).rglob("*.py"))


def documented() -> list[str]:
    """Return the codes of the table in the docs, as often as they stand there."""
    section = (ROOT / "docs" / "models.md").read_text(encoding="utf-8").partition("## The doctor")[2]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def made() -> set[str]:
    """Return the codes of all findings that the modules make, and of all messages that they know."""
    found = {code for code, _, _ in SYMPTOMS}
    for path in DOCTOR:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding" and node.args:
                found |= {
                    part.value
                    for part in ast.walk(node.args[0])
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                }
            if path.name == "address.py" and isinstance(node, ast.Dict):
                found |= {str(value.value) for value in node.values if isinstance(value, ast.Constant)} & set(CATALOGUE)
    return found


def test_every_code_is_documented_once_and_every_documented_code_exists() -> None:
    assert sorted(documented()) == sorted(CATALOGUE)


def test_no_code_is_defined_twice() -> None:
    parts = (CACHE, ENVIRONMENT, CODE, PACKAGE, FUNCTION, EXAMINATION)
    assert sum(len(part) for part in parts) == len(CATALOGUE)


def test_every_finding_is_of_the_catalogue_and_every_entry_has_a_finding() -> None:
    assert made() == set(CATALOGUE)


def test_a_finding_outside_the_catalogue_cannot_be_made() -> None:
    with pytest.raises(KeyError, match="no-such-code"):
        Finding("no-such-code", "here")


def test_every_entry_says_what_is_wrong_and_the_fix_in_the_words_of_the_field() -> None:
    for code, entry in CATALOGUE.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
        assert entry.severity in ("error", "warning")
        assert entry.what
        assert entry.fix
        assert not re.search(r"\b(fix|pictures?|answers?)\b", f"{entry.what} {entry.fix}"), code
