"""The version: the distributions of the server's code and of the client are released together, under one number."""

import re
from pathlib import Path

from console.version import version
from handler.endpoints import openapi
from tests.contracts.agreement import agree

ROOT = Path(__file__).parents[2]


def test_the_version_is_the_same_everywhere() -> None:
    client = (ROOT / "client" / "src" / "openclip_lambda" / "__init__.py").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    agree(
        "the version",
        {
            "pyproject.toml": version(),
            "handler/endpoints/openapi.py": openapi.VERSION,
            "client/src/openclip_lambda/__init__.py": re.findall(r'^__version__ = "(.+)"$', client, re.MULTILINE)[0],
            "CHANGELOG.md, the newest section": sections[0],
        },
    )


def test_the_changelog_has_the_form_that_tools_read() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", section) for section in sections[1:]), sections
    kinds = set(re.findall(r"^### (.*)$", changelog, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}, kinds
