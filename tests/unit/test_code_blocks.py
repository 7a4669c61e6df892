"""Every code block of every page is executed by the test that its comment names, or says why it is not."""

import ast
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests import documents
from tests.documents import ROOT, Block, blocks, originals, parsed

BLOCKS = [block for page in originals() for block in blocks(page)]
PROGRAM = re.compile(r"(\$ |(?:\w+=\S+ )*(?:aws|curl|make|openclip-lambda|pip|pipx|python|sam|source) )")
DRAWING = "a drawing"
PAGE = """Some text:

<!-- run: tests/unit/test_sample.py -->
```sh
make help
```
- a list

  <!-- not run: it needs an AWS account -->
  ```
  make deploy
  ```
"""


def wrong(block: Block, root: Path = ROOT) -> str:
    """Say what is wrong with the comment above a block, or return an empty text."""
    if not block.kind:
        return "no comment above it: <!-- run: tests/... --> or <!-- not run: the reason -->"
    if block.kind == "not run":
        if block.what == DRAWING:
            return "it has commands: what runs them?" if any(map(PROGRAM.match, block.code.splitlines())) else ""
        return "" if len(block.what.split()) >= 3 else f"{block.what!r} is no reason"
    for name in block.tests:
        path = root / name
        if not re.fullmatch(r"tests/(?:\w+/)+test_\w+\.py", name) or not path.is_file():
            return f"{name}: there is no such test"
        if block.page not in asked(path):
            return f'{name} does not ask for its blocks: marked(__file__, "{block.page}")'
    return ""


def asked(path: Path) -> set[str]:
    """Return the pages whose blocks a test asks for, as `marked(__file__, "<page>")`."""
    return {
        node.args[1].value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and "marked" in (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))
        and len(node.args) > 1
        and isinstance(node.args[0], ast.Name)
        and node.args[0].id == "__file__"
        and isinstance(node.args[1], ast.Constant)
        and isinstance(node.args[1].value, str)
    }


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_is_run_by_a_test_that_asks_for_it_or_says_why_not(block: Block) -> None:
    assert wrong(block) == "", f"{block.page}:{block.line}"


@pytest.mark.parametrize("page", originals())
def test_all_code_of_a_page_is_seen(page: str) -> None:
    tokens = MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8"))
    assert [token.map for token in tokens if token.type == "code_block"] == [], "indented code: put it into a fence"
    assert len([token for token in tokens if token.type == "fence"]) == len(blocks(page))


def test_no_test_asks_for_a_page_that_does_not_name_it() -> None:
    asking = {
        (path.relative_to(ROOT).as_posix(), page)
        for path in (ROOT / "tests").rglob("test_*.py")
        if "marked(__file__" in path.read_text(encoding="utf-8")
        for page in asked(path)
    }
    named = {(test, block.page) for block in BLOCKS for test in block.tests}
    assert asking - named == {(f"tests/unit/{Path(__file__).name}", page) for page in asked(Path(__file__))}


def test_a_sample_is_read_as_it_is_written() -> None:
    first, second = parsed("docs/page.md", PAGE)
    assert (first.line, first.language, first.code) == (4, "sh", "make help\n")
    assert first.tests == ("tests/unit/test_sample.py",)
    assert (second.language, second.code, second.kind, second.what) == (
        "",
        "make deploy\n",
        "not run",
        "it needs an AWS account",
    )


@pytest.mark.parametrize(
    ("comment", "code", "source", "said"),
    [
        ("", "", "", "no comment above it"),
        ("<!-- not run: -->", "", "", "no comment above it"),
        ("<!-- not run: later -->", "", "", "is no reason"),
        ("<!-- not run: a drawing -->", "$ make demo", "", "it has commands"),
        ("<!-- not run: a drawing -->", "python -m layer build", "", "it has commands"),
        ("<!-- run: tests/unit/test_other.py -->", "", "", "there is no such test"),
        ("<!-- run: docs/x.md -->", "", "", "there is no such test"),
        ("<!-- run: tests/unit/test_sample.py -->", "", "# README.md", "does not ask for its blocks"),
        ("<!-- run: tests/unit/test_sample.py -->", "", 'marked(__file__, "docs/x.md")', "does not ask for its blocks"),
        ("<!-- run: tests/unit/test_sample.py -->", "", 'marked(OTHER, "docs/page.md")', "does not ask for its blocks"),
        ("<!-- run: tests/unit/test_sample.py, tests/x.py -->", "", 'marked(__file__, "docs/page.md")', "no such test"),
        ("<!-- run: tests/unit/test_sample.py -->", "", 'documents.marked(__file__, "docs/page.md")', ""),
        ("<!-- run: tests/unit/test_sample.py (but one, line) -->", "", 'marked(__file__, "docs/page.md")', ""),
        ("<!-- not run: it needs an AWS account -->", "$ make deploy", "", ""),
        ("<!-- not run: a drawing -->", "client --> gateway", "", ""),
    ],
)
def test_a_comment_that_is_not_true_is_found(comment: str, code: str, source: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    (tmp_path / "tests" / "unit" / "test_sample.py").write_text(f"{source}\n")
    [block] = parsed("docs/page.md", f"{comment}\n```\n{code}\n```\n")
    found = wrong(block, tmp_path)
    assert said in found
    assert bool(said) == bool(found)


def test_a_block_that_its_test_does_not_read_is_named_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "READ", tmp_path / "tests" / "blocks.txt")
    (page, *_), name = {block.page: block for block in BLOCKS if block.tests}, "tests/unit/test_sample.py"
    one, other = (Block(page, line, "", "x\n", "run", name) for line in (1, 2))
    monkeypatch.setattr(documents, "originals", lambda: [page])
    monkeypatch.setattr(documents, "blocks", lambda _: [one, other])
    monkeypatch.setenv("PYTEST_CURRENT_TEST", f"{name}::test_x (call)")
    assert one.text == "x\n"
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/unit/test_another.py::test_x (call)")
    assert other.text == "x\n"
    assert documents.unread() == [f"{page}:2 was not read by {name}"]
