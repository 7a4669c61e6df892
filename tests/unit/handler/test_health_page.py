"""The health check: docs/api.md has every field of the answer, plain and deep; what is not as built is told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.documents import ROOT
from tests.unit.fake_bundle import FakeFunction, LetterEngine

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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_an_image_tower_whose_vectors_have_no_direction_is_reported_and_not_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setattr(LetterEngine, "encode_images", lambda _, pixels: np.full((len(pixels), 4), value, np.float32))

    status, report = FakeFunction(tmp_path).get("/health", "deep=true")

    assert (status, report["status"]) == (503, "error")
    assert {model["min_image_cosine"] for model in report["models"]} == {-1}
    assert min(model["min_text_cosine"] for model in report["models"]) > 0.99


def test_the_deep_report_has_every_field_of_the_plain_one(tmp_path: Path) -> None:
    function = FakeFunction(tmp_path)
    deep = function.get("/health", "deep=true")[1]
    plain = function.get("/health")[1]

    assert plain.keys() <= deep.keys()
    for before, compared in zip(plain["models"], deep["models"], strict=True):
        assert {name: compared.get(name) for name in before} == before
