"""docs/api.md's table of the health check has every field of the answer, plain and deep."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.documents import ROOT
from tests.unit.fake_bundle import FakeFunction

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("\n## Health\n")[2].partition("\n## ")[0]


def names(report: dict[str, Any]) -> Iterator[str]:
    yield from report
    for model in report["models"]:
        yield from model


@pytest.mark.parametrize("query", ["", "deep=true"])
def test_the_page_has_every_field(tmp_path: Path, query: str) -> None:
    function = FakeFunction(tmp_path)
    function.post({"input": "a"})  # its model is loaded
    status, report = function.get("/health", query)
    assert status == 200
    assert [name for name in names(report) if f"`{name}`" not in TABLE] == []
