"""The benchmark of the search, on a table that is just large enough for an index with the settings that ship."""

import re

import pytest

from benchmarks import search
from handler.search import lance_tuning

ROWS = 12_000


def test_an_index_with_the_shipped_settings_keeps_the_recall(capsys: pytest.CaptureFixture[str]) -> None:
    assert ROWS >= lance_tuning.FLAT_ROWS
    assert search.main(["--rows", str(ROWS), "--dimensions", "64", "--queries", "50"]) == 0
    said = capsys.readouterr().out
    recalls = {name: float(recall) for name, recall in re.findall(r"like (\w+): recall@10 ([\d.]+)", said)}
    assert set(recalls) == {"images", "texts", "themselves"}
    assert min(recalls.values()) >= 0.99, said
    assert max(float(cpu) for cpu in re.findall(r"([\d.]+) CPU-ms a query", said)) < 50


def test_what_is_asked_for_is_as_many_as_there_are() -> None:
    for draw in search.KINDS.values():
        blocks, queries = draw(2_500, 8, 3)
        sizes = [block.shape for block in blocks]
        assert sizes == [(1_000, 8), (1_000, 8), (500, 8)]
        assert all(asked.shape == (3, 8) for asked in queries.values())
