"""Metrics of a user's own: in the line of the request, bounded, and never at the cost of a response."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.handler.extensions.own_code import Extended

METRICS = """
from handler.extensions import ApiError

def metrics(request, response):
    return eval(request.query["own"])
routes = {}
"""
THROW = "(_ for _ in ()).throw"
BROKEN = "type('Broken', (dict,), {'items': lambda self: 1 / 0})(A=1)"


def line(
    function: Extended, own: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any]]:
    from urllib.parse import quote

    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "openclip")
    status, _ = function.ask("GET", "/v1/models", query=f"own={quote(own)}")
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_metric_is_in_the_line_in_cloudwatch_s_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    function = Extended(tmp_path, METRICS)
    status, found = line(function, "{'Shoes': 3, 'Price': 2.5, 'Answered': response.status}", monkeypatch, capsys)
    assert (status, found["Shoes"], found["Price"], found["Answered"]) == (200, 3, 2.5, 200)
    [directive] = found["_aws"]["CloudWatchMetrics"]
    assert {"Name": "Shoes", "Unit": "None"} in directive["Metrics"]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int64", "uint8"])
def test_a_number_of_numpy_is_a_number(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = f"{{'Mean': __import__('numpy').{kind}(3)}}"
    status, found = line(Extended(tmp_path, METRICS), own, monkeypatch, capsys)
    assert (status, found["Mean"], found.get("Code")) == (200, 3, None)


@pytest.mark.parametrize(
    "own",
    [
        "None",
        "{'Duration': 1}",
        "{'request_id': 1}",
        "{'Status': 1}",
        "{'a b': 1}",
        "{3: 1}",
        "{'A': 'text'}",
        "{'A': True}",
        "{'A': __import__('numpy').float32('inf')}",
        "{'A': __import__('fractions').Fraction(10**400)}",
        "{'A': float('inf')}",
        "{'A': float('nan')}",
        "{'A': 2.0**361}",  # CloudWatch takes up to 2^360
        "{'A': -(10**400)}",  # no float holds it
        "{f'M{n}': n for n in range(21)}",
        "1 / 0",
        BROKEN,
        "{type('Broken', (), {'__repr__': lambda self: 1 / 0})(): 1}",
        f"{THROW}(ApiError('not_permitted', 'x', headers={BROKEN}))",
    ],
)
def test_a_metric_that_is_wrong_costs_nobody_the_response_and_is_counted(
    tmp_path: Path,
    own: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    status, found = line(Extended(tmp_path, METRICS), own, monkeypatch, capsys)
    assert (status, found["Code"], found["Rejected"]) == (200, "extension_failed", 1)
    assert "metrics of handler_ext/__init__.py failed with" in caplog.text


def test_metrics_of_ever_new_names_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from handler.http import extended

    monkeypatch.setattr(extended, "_names", set())
    function = Extended(tmp_path, METRICS)
    codes = [line(function, f"{{'User{n}': 1}}", monkeypatch, capsys)[1].get("Code") for n in range(22)]
    assert codes == [None] * 20 + ["extension_failed"] * 2


@pytest.mark.parametrize("name", ["4xx", "_total", "M" * 64])
def test_a_refused_name_is_told_the_rule_that_it_breaks(
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    line(Extended(tmp_path, METRICS), f"{{'{name}': 1}}", monkeypatch, capsys)
    assert "begin with a letter, take letters, digits and _, 63 at most" in caplog.text
