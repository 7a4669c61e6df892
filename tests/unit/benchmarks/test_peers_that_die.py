"""A contender that dies or hangs costs its own row: the others are measured, and the reason is kept."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import page_cache
from benchmarks.peers import processes, turns
from benchmarks.peers.contender import Entry, Setup
from benchmarks.peers.results import WORKLOADS, Result

HERE = "tests.unit.benchmarks.contenders"


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    inputs = tmp_path / "peers" / "inputs"
    inputs.mkdir(parents=True)
    rows = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    for name in ("pixels", "ids", "images", "captions"):
        np.save(inputs / f"{name}.npy", rows)
    request = {"images": [base64.b64encode(b"x").decode()] * 32, "captions": ["a"] * 32}
    (inputs / "request.json").write_text(json.dumps(request))
    return Setup("ViT-B-32", "laion2b_s34b_b79k", tmp_path / "peers", tmp_path, {}, 1)


def run(
    setup: Setup, names: list[str], monkeypatch: pytest.MonkeyPatch, rounds: int = 1
) -> tuple[dict[str, Result], int]:
    monkeypatch.setattr(page_cache, "drop", lambda: False)
    kept: list[list[Result]] = []
    entries = [Entry(name, f"{HERE}:{name}") for name in names]
    measured = turns.Turns(setup, entries, setup.peers, hide_amx=False, keep=kept.append)
    return {one.name: one for one in measured.run(1, rounds, seconds=0)}, len(kept)


def test_a_contender_that_does_not_load_or_is_killed_is_reported_and_the_others_are_measured(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, kept = run(setup, ["NoStart", "Killed", "Right"], monkeypatch)

    assert found["NoStart"].failed == "ImportError: libfast.so is for another processor"
    assert found["Killed"].failed == "ended by SIGKILL: is there enough memory?"
    right = found["Right"]
    assert not right.failed
    assert right.cosines == {"images": pytest.approx(1), "captions": pytest.approx(1)}
    assert set(right.warm["towers"]) == {workload.name for workload in WORKLOADS}
    assert len(right.cold) == len(right.cold_on_one) == 1
    assert right.peak > 0
    assert kept == 3  # after the starts, the comparison and the round


def test_a_contender_slower_than_the_plain_recipe_at_one_is_not_asked_for_many(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "REFERENCE", Entry("Right", f"{HERE}:Right"))
    found, _ = run(setup, ["Right", "Slow"], monkeypatch, rounds=2)

    assert set(found["Right"].warm["towers"]) == {workload.name for workload in WORKLOADS}
    assert set(found["Slow"].warm["towers"]) == {"image", "caption", "caption of 32"}  # its captions take no time
    assert found["Slow"].cosines["images"] == pytest.approx(1)


def test_a_contender_that_does_not_answer_is_ended(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def running(python: str, given: Mapping[str, Any]) -> Any:
        hangs = given["entry"]["name"] == "Hangs"  # on a machine with other work the other one may take longer
        return processes.running(python, given, patience=2 if hangs else processes.PATIENCE)

    monkeypatch.setattr(turns, "running", running)
    found, _ = run(setup, ["Hangs", "Right"], monkeypatch)

    assert found["Hangs"].failed == "it did not answer within 2 seconds"
    assert not found["Right"].failed


def test_a_missing_environment_is_told(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "drop", lambda: False)
    entry = Entry("elsewhere", f"{HERE}:Right", environment="elsewhere")

    [found] = turns.Turns(setup, [entry], setup.peers, hide_amx=False).run(1, 1, seconds=0)

    assert found.failed.startswith("there is no ")
    assert "its environment could not be made" in found.failed


def test_rounds_that_do_not_fit_are_left_out_but_not_the_first_two(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = run(setup, ["Right"], monkeypatch, rounds=50)

    assert len(found["Right"].warm["towers"]["image of 32"]) == 2
