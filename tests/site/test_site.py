"""The documents as a site: `make site` built it, and what it links to is there, in both languages."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

from tests.site.built import ROOT, SITE, broken, page, pages

LANGUAGES = {"en": "", "zh-CN": "zh-CN"}
PAGES = [path.relative_to(SITE).as_posix() for path in pages()]
ENGLISH = [path for path in PAGES if not path.startswith("zh-CN/")]
FILES = {  # of pages that are above docs/
    "index": "README.md",
    "contributing": "CONTRIBUTING.md",
    "vulnerabilities": "SECURITY.md",
    "changelog": "CHANGELOG.md",
    "examples": "examples/README.md",
}


def source(path: str) -> Path:
    """Return the file that a page is made of."""
    chinese, name = path.startswith("zh-CN/"), path.removeprefix("zh-CN/").removesuffix(".html")
    original = FILES.get(name, f"docs/{name}.md")
    inside = original.startswith("docs/")
    translated = original.replace("docs/", "docs/zh-CN/") if inside else original.replace(".md", ".zh-CN.md")
    return ROOT / (translated if chinese and (ROOT / translated).is_file() else original)


def test_every_document_is_a_page_in_both_languages() -> None:
    documents = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    expected = {name.replace(".md", ".html") for name in documents - {"README.md"} if not name.startswith("zh-CN/")}
    assert set(ENGLISH) == expected | {f"{name}.html" for name in FILES}
    assert set(PAGES) == {*ENGLISH, *(f"zh-CN/{name}" for name in ENGLISH)}


@pytest.mark.parametrize("path", PAGES)
def test_a_link_leads_to_a_page_of_the_site_and_to_a_heading_of_it(path: str) -> None:
    found = page(SITE / path)
    inside = [link for link in found.links + found.loads if not urlsplit(link).scheme]
    assert len(inside) > 20
    assert [wrong for link in dict.fromkeys(inside) if (wrong := broken(found, link))] == []


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_loaded_from_another_host(path: str) -> None:
    assert [link for link in page(SITE / path).loads if urlsplit(link).netloc] == []


def test_no_style_or_script_of_the_theme_loads_anything_either() -> None:
    for path in SITE.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")) == [], path


@pytest.mark.parametrize("path", PAGES)
def test_the_switch_of_languages_leads_to_the_same_page(path: str) -> None:
    found = page(SITE / path)
    name = path.removeprefix("zh-CN/")
    there = {language: (found.path.parent / link).resolve() for language, link in found.alternates.items()}
    assert there == {language: SITE / folder / name for language, folder in LANGUAGES.items()}
    assert found.language == ("zh" if path.startswith("zh-CN/") else "en")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_all_that_its_file_has(path: str) -> None:
    """GitHub and the site read Markdown with different parsers, and both must see the same lists, tables and code."""
    text = source(path).read_text(encoding="utf-8")
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    opened = Counter(token.tag for token in tokens if token.nesting == 1)
    code = sum(token.type in ("fence", "code_block") for token in tokens)
    inline = [child for token in tokens for child in token.children or ()]
    wanted = {
        **{tag: opened[tag] for tag in ("h1", "h2", "h3", "h4", "li", "ul", "ol", "table", "tr", "th", "td")},
        "pre": code,
        "img": sum(child.type == "image" for child in inline),
    }
    found = page(SITE / path).tags
    assert {tag: found[tag] for tag in wanted} == wanted


@cache
def index(language: str) -> list[str]:
    """Return the texts that the search of one language looks through."""
    content = json.loads((SITE / LANGUAGES[language] / "search" / "search_index.json").read_text(encoding="utf-8"))
    return [f"{row['title']} {row['text']}" for row in content["docs"]]


@pytest.mark.parametrize(
    ("language", "word"), [("en", "SnapStart"), ("zh-CN", "\u200b部署\u200b"), ("zh-CN", "OPENCLIP_THREADS")]
)
def test_the_search_knows_the_words_of_its_language(language: str, word: str) -> None:
    # Chinese is cut into words, which zero-width spaces part.
    assert sum(word in text for text in index(language)) > 0


def test_both_languages_have_the_same_pages_in_the_same_order() -> None:
    files = [(ROOT / "docs" / "site" / name).read_text(encoding="utf-8") for name in ("mkdocs.yml", "mkdocs.zh-CN.yml")]
    english, chinese = (re.findall(r"[\w/-]+\.md", text.partition("\nnav:")[2]) for text in files)
    assert english == chinese
    assert len(english) == len(ENGLISH)
