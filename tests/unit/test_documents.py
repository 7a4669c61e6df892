"""The documents name files and link to headings that exist. Addresses elsewhere are looked at, and not asked."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.unit.translation import CODE, anchors, read

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")])
FENCED = re.compile(r"^ *(`{3,}).*?^ *\1$", re.DOTALL | re.MULTILINE)
PACKAGES = "app.py|benchmarks|client|console|docs|examples|handler|infra|layer|tests"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_that_a_document_names_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(rf"`((?:{PACKAGES})/[\w./-]+\.(?:py|md|toml|json|js|txt))`", text))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_cdk_cli_is_called_by_its_path(path: Path) -> None:
    """`npm ci` puts it into node_modules: `cdk` alone is not found, or is another version."""
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"(?m)(?:^(?:\$ )?|`)cdk (?:[a-z]+ -.*|diff.*)", text) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_to_a_file(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    assert sorted(target for target in targets if target and not (path.parent / target).exists()) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_to_a_heading(path: Path) -> None:
    for link in links(path):
        target, _, anchor = unquote(link).partition("#")
        file = (path.parent / target).resolve() if target else path
        if "://" not in link and anchor and file.suffix == ".md":
            assert anchor in anchors(read(file.relative_to(ROOT).as_posix())), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_address_is_well_formed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for link in {*(link for link in links(path) if "://" in link), *re.findall(r"<(https?:[^>]*)>", text)}:
        parts = urlsplit(link)
        assert parts.scheme == "https", link
        assert re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", parts.netloc), link
        assert re.fullmatch(r"[\w.~:/?#@!$&'*+,;=%-]*[\w/=-]", parts.path + parts.query) or not parts.path, link


def links(path: Path) -> list[str]:
    """Return what the links of a page lead to; code is none."""
    text = CODE.sub("`", FENCED.sub("", path.read_text(encoding="utf-8")))
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)", text, re.MULTILINE)
