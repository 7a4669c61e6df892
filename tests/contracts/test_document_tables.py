"""Tables of the documents that list what the code has: they have all of it, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

from handler.errors import STATUS
from handler.search import openapi
from handler.settings import Settings
from handler.telemetry.invocation import STAGES, Call
from handler.telemetry.metrics import describe
from tests.contracts.agreement import agree

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"`(\w+)`")


def rows(heading: str) -> Iterator[list[str]]:
    """Return the cells of each line of a table in docs/api.md, from below its heading on."""
    section = (ROOT / "docs/api.md").read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    yield from ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])


def test_the_error_codes() -> None:
    listed = {code: int(status) for status, codes in rows("Errors") for code in NAME.findall(codes)}
    agree("error codes and their status", {"docs/api.md": listed, "handler/errors.py": STATUS})


def test_what_an_index_says_of_itself() -> None:
    [listed] = [NAME.findall(response) for route, _, response in rows("Search") if route == "`GET /v1/index`"]
    document = openapi.document((), Settings(), beside_api=False)
    fields = {*document["components"]["schemas"]["IndexResponse"]["properties"]} - {"object"}
    agree("fields of GET /v1/index", {"docs/api.md": {*listed}, "handler/search/openapi.py": fields})


def test_the_metrics() -> None:
    call = Call(cold=True)
    call.code, call.model = "not_ready", "a/b"
    for name in STAGES:
        call.add(name, 1.0)
    directives = describe(call, "function", 1.0)["_aws"]["CloudWatchMetrics"]
    counted = {metric["Name"] for directive in directives for metric in directive["Metrics"]}
    listed = {name for cells in rows("Logs, metrics and traces") for name in NAME.findall(cells[0])}
    agree("metrics", {"docs/api.md": listed, "handler/telemetry/metrics.py": counted})


def test_the_index_of_all_documents() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    agree("pages", {"docs/": pages, "docs/README.md": set(re.findall(r"\]\(([\w-]+\.md)\)", index))})
