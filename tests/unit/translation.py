"""What a page and its translation have in common: headings, code, tables, figures, links. Prose is not compared."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from tests.unit.figures import Figures

ROOT = Path(__file__).parents[2]
CJK = re.compile(r"[\u3400-\u9fff]")
CODE = re.compile(r"(?<!`)(`+)(?!`)((?:(?!\n[ \t]*\n).)+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"(?<=\])\(([^)\s]+)\)|<?(https?://[!-;=?-~]+)")
ITEM = re.compile(r"\s*(?:[-*]|\d+\.) ")
CELLS = re.compile(r"(?<!\\)\|")
COMMENT = re.compile(r"^ *<!-- (?:not )?run: .+ -->\n", re.MULTILINE)  # what runs the block below it
SHARE = 0.55  # of Chinese characters among these and Latin letters, in the prose of a page
WORDS = 5  # so many English words, and no Chinese character: somebody forgot this


class Page(NamedTuple):
    """The text of a page, its place in the repository, and where its translation or its original is."""

    path: str
    text: str

    @property
    def english(self) -> str:
        """The place of the original: that of the page itself if it is one."""
        return self.path.replace(".zh-CN.md", ".md").replace("docs/zh-CN/", "docs/")

    @property
    def chinese(self) -> str:
        return "README.zh-CN.md" if self.english == "README.md" else self.english.replace("docs/", "docs/zh-CN/")

    def switch(self) -> str:
        """Return the first line that the page has to have."""
        other = self.chinese if self.path == self.english else self.english
        leads = os.path.relpath(other, Path(self.path).parent)
        return f"English | [简体中文]({leads})" if self.path == self.english else f"[English]({leads}) | 简体中文"


class Section(NamedTuple):
    """A heading, and what stands below it up to the next."""

    title: str
    prose: list[str]  # lines, the heading's among them
    blocks: list[str]  # of code, with their fences

    @property
    def rows(self) -> list[str]:
        return [line for line in self.prose if line.startswith("|")]

    @property
    def text(self) -> str:
        return "\n".join(line for line in self.prose if not line.startswith("|"))


def read(path: str) -> Page:
    return Page(path, (ROOT / path).read_text(encoding="utf-8"))


def sections(page: Page) -> list[Section]:
    """Return the sections of a page without its switch of languages. The first has no heading if text is above one."""
    found = [Section("the top", [], [])]
    fence, margin = "", ""  # the margin is the last line that began at the margin: of a list, or of anything else
    for line in COMMENT.sub("", page.text.removeprefix(page.switch())).splitlines():
        _, prose, blocks = found[-1]
        if fence:
            blocks[-1] += f"\n{line}"
            fence = "" if line.strip() == fence else fence
        elif (opened := re.match(r"\s*(`{3,})", line)) or (line.startswith("    ") and not ITEM.match(margin)):
            fence = opened[1] if opened else ""
            blocks.append(line)
            prose.append("")  # a paragraph ends here
        elif re.match("#{1,6} ", line):
            found.append(Section(line, [line], []))
        else:
            prose.append(line)
        margin = line if line.strip() and not line.startswith(" ") and not fence else margin
    return found


def differences(original: Page, translated: Page) -> Iterator[str]:
    """Say of each section what the translation does not have as the original has it."""
    ours, theirs = sections(original), sections(translated)
    levels = [[one.title.partition(" ")[0] for one in page[1:]] for page in (ours, theirs)]
    if levels[0] != levels[1]:
        pairs = zip_longest(ours[1:], theirs[1:])
        first = next(pair for pair in pairs if len({one and one.title.partition(" ")[0] for one in pair}) > 1)
        yield f"the headings differ, first {first[0] and first[0].title!r} and {first[1] and first[1].title!r}"
        return
    for one, other in zip(ours, theirs, strict=True):
        for found in _of_section(original, one, translated, other):
            yield f"{one.title} / {other.title}: {found}"
    yield from untranslated(translated)


def _of_section(original: Page, one: Section, translated: Page, other: Section) -> Iterator[str]:
    for number, pair in enumerate(zip_longest(one.blocks, other.blocks), 1):
        if pair[0] != pair[1]:
            before, after = ((block or "no such block").split("\n") for block in pair)
            first = next(lines for lines in zip_longest(before, after) if lines[0] != lines[1])
            yield f"code block {number} differs: {first[0]!r} is {first[1]!r}"
    items = [sum(bool(ITEM.match(line)) for line in section.prose) for section in (one, other)]
    if items[0] != items[1]:
        yield f"{items[0]} items of lists are {items[1]}"
    if len(one.rows) != len(other.rows):
        yield f"{len(one.rows)} rows of tables are {len(other.rows)}"
    yield from _of_text(original, one.text, translated, other.text)
    for row, translated_row in zip(one.rows, other.rows, strict=False):
        if len(CELLS.findall(row)) != len(CELLS.findall(translated_row)):
            yield f"row {row[:60]!r} has other cells"
        yield from (f"row {row[:40]!r}: {found}" for found in _of_text(original, row, translated, translated_row))


def _of_text(original: Page, text: str, translated: Page, translated_text: str) -> Iterator[str]:
    yield from _unequal("code", spans(text), spans(translated_text))
    yield from _unequal("links", links(original, text), links(translated, translated_text))
    yield from Figures.of(bare(text)).against(Figures.of(bare(translated_text)))


def _unequal(what: str, ours: Iterable[str], theirs: Iterable[str]) -> Iterator[str]:
    missing, added = Counter(ours) - Counter(theirs), Counter(theirs) - Counter(ours)
    if missing:
        yield f"{what} that the translation has not: {sorted(missing.elements())}"
    if added:
        yield f"{what} that the original has not: {sorted(added.elements())}"


def spans(text: str) -> list[str]:
    return [" ".join(found[1].split()) for found in CODE.findall(text)]


def bare(text: str) -> str:
    """Return the prose without code and without what links lead to."""
    return LINK.sub(" ", CODE.sub(" ` ", text))


def links(page: Page, text: str) -> list[str]:
    """Return where links lead, as places of originals. An anchor becomes its heading's number."""
    return [_resolved(page, target or url.rstrip(".,;:")) for target, url in LINK.findall(CODE.sub("`", text))]


def _resolved(page: Page, target: str) -> str:
    if "://" in target:
        return target
    file, _, anchor = unquote(target).partition("#")
    path = os.path.normpath(Path(page.path).parent / file) if file else page.path
    leads = Page(path, "")
    if page.path != page.english and path == leads.english != leads.chinese and (ROOT / leads.chinese).is_file():
        return f"{path}, not {leads.chinese}"
    if not anchor:
        return leads.english
    known = anchors(page if path == page.path else read(path)) if path == page.path or (ROOT / path).is_file() else []
    return f"{leads.english}#{known.index(anchor) if anchor in known else anchor}"


def anchors(page: Page) -> list[str]:
    """Return the anchor that GitHub gives each heading, in order."""
    titles = (re.sub(r"[^\w\- ]", "", one.title.lstrip("# ").lower()) for one in sections(page)[1:])
    return [title.replace(" ", "-") for title in titles]


def untranslated(page: Page) -> Iterator[str]:
    """Name the paragraphs and cells without a Chinese character, and a page with too few."""
    chinese = latin = 0
    for section in sections(page):
        prose = bare("\n".join(section.prose))
        for part in re.split(r"\n\s*\n|\n(?=[-*#|] )|(?<=\S) \| ", prose):
            if len(re.findall(r"[A-Za-z]{2,}", part)) >= WORDS and not CJK.search(part):
                yield f"{section.title}: not translated: {' '.join(part.split())[:80]!r}"
        chinese, latin = chinese + len(CJK.findall(prose)), latin + len(re.findall("[A-Za-z]", prose))
    if chinese < SHARE * (chinese + latin):
        yield f"{chinese} Chinese characters and {latin} Latin letters: too few are Chinese"
