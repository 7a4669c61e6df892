"""The code blocks of the documents, and what executes each. A comment right above a block says it:

    <!-- run: tests/clients/test_snippets.py -->    that file has a test that runs it, or compares what it shows
    <!-- run: tests/e2e/test_x.py (but the last line, which needs an AWS account) -->
    <!-- not run: it needs an AWS account -->

A test gets its blocks by `marked(__file__, "docs/api.md")`, and reads their `text`. tests/unit/test_code_blocks.py
finds a comment whose test does not ask for the page. What a test has read is noted in build/tests, and
`python -m tests.count`, at the end of CI, names the blocks that were marked and that no test read. The blocks of a
translation are those of its original (tests/unit/test_translations.py), and have no comments.
"""

import os
import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
READ = ROOT / "build" / "tests" / "blocks.txt"
MARK = re.compile(r"\s*<!-- (?P<kind>run|not run): (?P<what>.+) -->")
FENCE = re.compile(r"(?P<margin> *)(?P<fence>`{3,})(?P<language>.*)")


@dataclass(frozen=True)
class Block:
    """A fenced block: the page, the line of its fence, its language, its lines, and the comment above it."""

    page: str
    line: int
    language: str
    code: str
    kind: str  # "run", "not run", or "" where no comment stands above
    what: str  # the tests, with commas, or the reason

    @property
    def tests(self) -> tuple[str, ...]:
        """The files that are to run it."""
        named = self.what.partition(" (")[0]
        return tuple(name.strip() for name in named.split(",")) if self.kind == "run" else ()

    @property
    def text(self) -> str:
        """The lines, for a test that runs them: noted, if a test is running."""
        if test := os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]:
            READ.parent.mkdir(parents=True, exist_ok=True)
            with READ.open("a", encoding="utf-8") as out:
                out.write(f"{test} {self.page}:{self.line}\n")
        return self.code


def originals() -> list[str]:
    """Return the pages whose blocks have comments: at the top, in docs/ and in examples/, without translations."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
    names = sorted(path.relative_to(ROOT).as_posix() for path in found)
    return [name for name in names if "zh-CN" not in name]


@cache
def blocks(page: str) -> list[Block]:
    """Return the blocks of a page of the repository, in their order."""
    return parsed(page, (ROOT / page).read_text(encoding="utf-8"))


def parsed(page: str, text: str) -> list[Block]:
    """Return the blocks of a page's text."""
    found: list[Block] = []
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        opened = FENCE.fullmatch(lines[number])
        if not opened:
            number += 1
            continue
        closed = next(at for at in range(number + 1, len(lines)) if lines[at].strip() == opened["fence"])
        code = textwrap.dedent("\n".join(lines[number + 1 : closed])) + "\n"
        mark = MARK.fullmatch(lines[number - 1]) if number else None
        kind, what = (mark["kind"], mark["what"]) if mark else ("", "")
        found.append(Block(page, number + 1, opened["language"].strip(), code, kind, what))
        number = closed + 1
    return found


def marked(test: str, page: str, language: str | None = None) -> list[Block]:
    """Return the blocks of a page that a test file has to run, of one language or of all.

    Raises:
        LookupError: the page names this test at no block.
    """
    name = Path(test).resolve().relative_to(ROOT).as_posix()
    found = [block for block in blocks(page) if name in block.tests]
    if not found:
        raise LookupError(f"{page} has no block with <!-- run: {name} --> above it")
    return [block for block in found if language in (None, block.language)]


def unread() -> list[str]:
    """Return the marked blocks that no run of their test has read, since the notes were removed."""
    noted = set(READ.read_text(encoding="utf-8").splitlines()) if READ.is_file() else set()
    return [
        f"{block.page}:{block.line} was not read by {test}"
        for page in originals()
        for block in blocks(page)
        for test in block.tests
        if f"{test} {block.page}:{block.line}" not in noted
    ]
