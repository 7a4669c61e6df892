"""Tables of the documents that list what the code has: they have all of it, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from handler.errors import STATUS, ApiError
from handler.schemas.limits import check_response_size
from handler.search import openapi
from handler.settings import Settings
from handler.telemetry.invocation import STAGES, Call, active
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


# What stands in the document, where it stands, the format, and whether a load balancer passes it on.
FITTING = [
    (r"([\d,]+) vectors of 512 dimensions fit as base64", "base64", False),
    (r"asks for, and ([\d,]+) as float", "float", False),
    (r"which is AWS's: ([\d,]+) vectors of 512 dimensions as float", "float", True),
    (r"512 dimensions as float, ([\d,]+) as\sbase64", "base64", True),
]


@pytest.mark.parametrize(("pattern", "kind", "balanced"), FITTING)
def test_as_many_vectors_as_the_document_says_fit_into_a_response(pattern: str, kind: str, balanced: bool) -> None:
    [written] = re.findall(pattern, (ROOT / "docs/api.md").read_text(encoding="utf-8"))
    most = int(written.replace(",", ""))
    call = Call()
    call.balanced = balanced
    with active(call):
        check_response_size(most, 512, kind)
        with pytest.raises(ApiError, match="send at most"):
            check_response_size(round(1.05 * most), 512, kind)
