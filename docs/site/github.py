"""Markdown as GitHub reads it, written so that Python-Markdown, which MkDocs has, reads the same."""

import re
from collections.abc import Iterator

from pymdownx.slugs import slugify

FENCE = re.compile(r"^( *)(`{3,})[^\n]*\n.*?^\1\2[ \t]*$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#{1,6} +(.+?)[ #]*$", re.MULTILINE)
ITEM = re.compile(r" *(?:[-*+]|\d+[.)]) +")
slug = slugify(case="lower")


def widened(text: str) -> str:
    """Indent what belongs to an item of a list by four columns, and part a list from the paragraph above it.

    GitHub takes what stands below the item's first letter, and Python-Markdown asks for four columns at each level.
    """
    return "\n".join(_widened(text.split("\n")))


def _widened(lines: list[str]) -> Iterator[str]:
    columns: list[int] = []  # where the text of each open item begins
    fence, before, loose = "", "", False  # loose: the last item has more than one paragraph
    for line in lines:
        indent = len(line) - len(line.lstrip(" "))
        if line.strip() and not fence:
            columns = [column for column in columns if column <= indent]
        shift = 4 * len(columns) - (columns[-1] if columns else 0)
        item = None if fence else ITEM.match(line)
        paragraph = not columns and not ITEM.match(before) and not before.startswith(" ")
        if item and before.strip() and (paragraph or loose):
            yield ""
        yield " " * shift + line if line.strip() else line
        if opened := re.match(r" *(`{3,})", line):
            fence = "" if fence and line.strip() == fence else fence or opened[1]
        loose = not item and (loose or not line.strip())
        if item:
            columns.append(len(item[0]))
        before = line


def anchors(text: str) -> list[str]:
    """Return the anchors of a page's headings, in their order."""
    return [slug(title.replace("`", ""), "-") for title in HEADING.findall(FENCE.sub("", text))]
