"""A hook of MkDocs: the repository's Markdown files as the pages of one language, with links that lead to pages.

The files are written for GitHub. README.md becomes the first page, files beside it become pages, and a page without a
translation is shown in English. A link to a file that is no page leads to the repository, where its address is known,
and is plain text elsewhere.
"""

import logging
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jieba  # noqa: F401 - it sets its log's level as it is imported
from github import FENCE, anchors, widened
from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
CHINESE = "zh-CN"
ABOVE_DOCS = {
    "README.md": "index.md",
    "docs/README.md": "index.md",  # GitHub's list of documents: the site has its navigation
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "vulnerabilities.md",
    "CHANGELOG.md": "changelog.md",
    "examples/README.md": "examples.md",
}
ASSETS = ("site.css", "favicon.svg")  # they stand beside this file
SWITCH = re.compile(r"\A(?:English \| .*|\[English\].*)\n+")  # of languages: the site has its own
LINK = re.compile(r"(?P<text>\[[^\]]*\])\((?P<target>[^)\s]+)\)")
NOT_TRANSLATED = '!!! note ""\n    本页还没有中文版，以下是英文原文。\n\n'


class Ready(str):
    """An address that is relative to its page."""


def on_startup(**_: Any) -> None:
    """Keep what jieba says of its dictionary out of the output."""
    logging.getLogger("jieba").setLevel(logging.WARNING)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the pictures and data of docs/ as they are, and make each page of its Markdown file."""
    pages = list(_pages(config.extra["language"]))
    kept = Files([file for file in files if not file.is_documentation_page()])
    for name in ASSETS:
        kept.append(File.generated(config, name, abs_src_path=str(Path(__file__).with_name(name))))
    for uri, path in pages:
        kept.append(File.generated(config, uri, content=_text(path, config)))
    return kept


def on_env(env: Environment, **_: Any) -> Environment:
    """Leave alone what is relative to its page already: the theme's filter cannot go up from a folder."""
    theme = env.filters["url"]

    @pass_context
    def url(context: Context, value: str) -> str:
        return value if isinstance(value, Ready) else str(theme(context, value))

    env.filters["url"] = url
    return env


def on_page_context(context: dict[str, Any], page: Page, config: MkDocsConfig, **_: Any) -> dict[str, Any]:
    """Let the switch of languages lead to the same page."""
    own = config.extra["language"]
    folders = {"en": "", CHINESE: f"{CHINESE}/"}
    here = posixpath.dirname(folders[own] + page.url)
    config.extra["alternate"] = [
        {"name": name, "lang": language, "link": Ready(posixpath.relpath(folders[language] + page.url, here or "."))}
        for name, language in (("English", "en"), ("简体中文", CHINESE))
    ]
    return context


def place(path: str) -> str | None:
    """Return the page of a file of the repository, or None where it is none. A translation has its original's page."""
    original = path.replace(".zh-CN.md", ".md").replace(f"docs/{CHINESE}/", "docs/")
    if original in ABOVE_DOCS:
        return ABOVE_DOCS[original]
    inside = original.startswith("docs/") and not original.startswith("docs/site/")
    return original.removeprefix("docs/") if inside else None


def _pages(language: str) -> Iterator[tuple[str, str]]:
    """Yield the page and the file of each document, in this language where it has one."""
    originals = [path for path in ABOVE_DOCS if path != "docs/README.md"]
    for found in sorted((ROOT / "docs").rglob("*.md")):
        path = found.relative_to(ROOT).as_posix()
        if path != "docs/README.md" and not path.startswith(f"docs/{CHINESE}/") and place(path):
            originals.append(path)
    for path in originals:
        yield place(path) or path, (_translation(path) or path) if language == CHINESE else path


def _translation(path: str) -> str | None:
    other = (
        f"docs/{CHINESE}/{path.removeprefix('docs/')}"
        if path.startswith("docs/")
        else path.replace(".md", f".{CHINESE}.md")
    )
    return other if (ROOT / other).is_file() else None


def _text(path: str, config: MkDocsConfig) -> str:
    text = SWITCH.sub("", (ROOT / path).read_text(encoding="utf-8"))
    note = NOT_TRANSLATED if config.extra["language"] == CHINESE and CHINESE not in path else ""
    parts, at = [], 0
    for fence in FENCE.finditer(text):  # what looks like a link in code is none
        parts += [_linked(text[at : fence.start()], path, config), fence[0]]
        at = fence.end()
    parts.append(_linked(text[at:], path, config))
    title, line, rest = widened("".join(parts)).partition("\n")
    return f"{title}{line}\n{note}{rest}"


def _linked(prose: str, path: str, config: MkDocsConfig) -> str:
    def lead(found: re.Match[str]) -> str:
        target, hash_, anchor = found["target"].partition("#")
        if "://" in target or not target:
            return found[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        page = place(file)
        if page is None or not (ROOT / file).is_file():
            file = f"{config.repo_url}/blob/main/{file}"
            return f"{found['text']}({file})" if config.repo_url else found["text"].strip("[]")
        if anchor and config.extra["language"] == CHINESE:
            anchor = _translated_anchor(file, anchor)
        page = posixpath.relpath(page, posixpath.dirname(place(path) or "") or ".")
        return f"{found['text']}({page}{hash_}{anchor})"

    return LINK.sub(lead, prose)


def _translated_anchor(path: str, anchor: str) -> str:
    """Return the same heading's anchor in the translation, which has its original's headings in their order."""
    other = _translation(path)
    if not other:
        return anchor
    ours, theirs = (anchors((ROOT / one).read_text(encoding="utf-8")) for one in (path, other))
    found: dict[str, str] = dict(zip(ours, theirs, strict=True))
    return found.get(anchor, anchor)
