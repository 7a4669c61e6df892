"""What a run costs, worked out again from the prices and from what was measured, by none of the client's own code."""

import importlib
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from openclip_lambda.batch import costs, measured, prices, sample, state_machine
from openclip_lambda.batch.commands.options import LARGEST_SHARD
from openclip_lambda.cli import main as cli

from handler.batch import rows, shard
from tests.documents import marked
from tests.transcript import commands

ROOT = Path(__file__).parents[4]
BENCHMARKS = json.loads((ROOT / "docs" / "benchmarks.json").read_text())
COLLECTIONS = (ROOT / "docs" / "collections.md").read_text(encoding="utf-8")
Estimate = Callable[..., Any]
MILLION = ("batch", "estimate", "s3://photos", "--images", "1000000", "--region", "us-east-1", "--json")


@pytest.fixture
def estimate(capsys: pytest.CaptureFixture[str]) -> Estimate:
    def run(*arguments: str) -> Any:
        assert cli.main([*MILLION, *arguments]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_a_million_images_cost_at_most_a_dollar_thirty_and_the_sum_is_that_of_its_lines(estimate: Estimate) -> None:
    seconds = BENCHMARKS["models"]["ViT-B-32"]["openvino int8"]["warm"]["image of 32"] / 32  # of two processors
    gb_seconds = 2 * 1769 / 1024 * seconds / 0.95 * 1_000_000  # 1,769 MB a processor; a worker at 95 % of that rate
    by_hand = {
        "compute": gb_seconds * 0.0000166667,
        "cold starts": 50 * 5 * 1769 / 1024 * 0.0000166667,
        "planning": 1000 * 0.5 * 0.5 * 0.0000166667,
        "Lambda requests": 1001 * 0.20 / 1_000_000,
        "state transitions": (3 * 1000 + 4) * 0.025 / 1000,
        "S3 GET": (1_000_000 + 4 * 1000) * 0.0004 / 1000,
        "S3 PUT": (11 * 1000 + 11) * 0.005 / 1000,  # plan, vectors, errors, deletions and 7 parts of 128 a shard
        "S3 LIST": (1000 + 1 + 1000) * 0.005 / 1000,
        "S3 storage": 1_000_000 * (512 * 4 + 250) / 1024**3 * 0.023,
        "logs": 1000 * 12 * 1024 / 1024**3 * 0.50,
        "traces": 1000 * 5.00 / 1_000_000,
    }

    found = estimate()

    assert {line["name"]: line["dollars"] for line in found["lines"]} == pytest.approx(by_hand, rel=1e-4)
    assert all(line["dollars"] == pytest.approx(line["quantity"] * line["price"]) for line in found["lines"])
    assert found["dollars"] == pytest.approx(sum(by_hand.values()), rel=1e-4)
    assert found["dollars_per_million_images"] <= 1.30
    # 22.3 ms of a processor at 95 %, 1,769 MB have one, 50 workers at once
    assert found["hours"] == pytest.approx((1_000_000 * seconds * 2 / 0.95 / 50 + 5) / 3600, rel=1e-4)


def test_the_document_shows_the_same_lines(estimate: Estimate) -> None:
    found = estimate()
    shown = {
        name.strip(): float(dollars)
        for name, dollars in re.findall(r"^\| ([\w0-9 ]+) \| ([0-9.]+) \|", COLLECTIONS, re.M)
    }
    assert {line["name"]: round(line["dollars"], 4) for line in found["lines"]} == {
        name: value for name, value in shown.items() if name != "in all"
    }
    assert shown["in all"] == round(found["dollars"], 4)
    assert all(page in COLLECTIONS for page in prices.PAGES)
    other = (("ViT-B-32", "onnx int8"), ("ViT-B-32", "openvino fp32"), ("ViT-B-16-SigLIP-i18n-256", "openvino int8"))
    for model, recipe in other:
        dollars = estimate("--model", model, "--recipe", recipe)["dollars_per_million_images"]
        assert f"${dollars:.2f}" in COLLECTIONS, (model, recipe)
    assert f"ViT-B-32 are ${found['dollars']:.2f} by list prices" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_clients_document_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    [page], [short] = marked(__file__, "docs/client.md"), marked(__file__, "docs/collections.md")
    [(line, shown)], [(other, nothing)] = commands(page.text), commands(short.text)
    assert (line, nothing) == (other, "")
    program, *words = shlex.split(line)
    assert program == "openclip-lambda"
    assert cli.main([*words, "--region", "us-east-1"]) == 0
    assert capsys.readouterr().out == shown


def test_what_was_measured_is_what_the_benchmarks_say() -> None:
    for name, model in measured.MODELS.items():
        told = {
            recipe: round(facts["warm"]["image of 32"] / 32 * 1000, 3)
            for recipe, facts in BENCHMARKS["models"][name].items()
            if recipe != "plain recipe"
        }
        assert model.milliseconds == told
    assert BENCHMARKS["command"] == measured.COMMAND
    assert BENCHMARKS["date"].startswith(measured.DATE)
    assert f"{measured.CPUS} cores" in BENCHMARKS["machine"]


@mock_aws  # the planner makes a client as it is imported, and boto3 would keep that it found no credentials
def test_the_client_and_the_deployment_agree_on_what_a_run_is() -> None:
    from infra.functions.planner import index as planner

    assert set(sample.ENDINGS) == set(rows.endings(())) == set(planner.ENDINGS)
    assert sample.ADDED == planner.ADDED
    assert set(sample.endings(sample.ADDED)) == set(rows.endings(sample.ADDED))
    assert state_machine.RUN.pattern == planner.RUN.pattern
    assert state_machine.RESERVED == planner.RESERVED
    assert planner._checked({"run": "a", "shard_size": LARGEST_SHARD})[1] == LARGEST_SHARD
    with pytest.raises(ValueError, match="shard_size"):
        planner._checked({"run": "a", "shard_size": LARGEST_SHARD + 1})
    assert costs.SAVED_EVERY == shard.SAVED_EVERY


def test_prices_memory_and_milliseconds_of_ones_own(estimate: Estimate) -> None:
    found = estimate(
        "--milliseconds", "100", "--dimensions", "1024", "--price", "s3_get_thousand=0.001", "--memory", "1769"
    )
    lines = {line["name"]: line for line in found["lines"]}
    assert lines["compute"]["quantity"] == pytest.approx(1_000_000 * 0.1 / 0.95 * 1769 / 1024)
    assert lines["S3 GET"]["dollars"] == pytest.approx(1_004_000 * 0.001 / 1000)
    assert lines["S3 storage"]["quantity"] == pytest.approx(1_000_000 * (4096 + 250) / 1024**3)
    arm = {line["name"]: line for line in estimate("--architecture", "arm64")["lines"]}
    assert arm["compute"]["price"] == 0.0000133334


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--price", "s3_get_thousands=1"), "did you mean s3_get_thousand?"),
        (("--price", "s3_get_thousand=cheap"), "give dollars as a number"),
        (("--price", "s3_get_thousand=nan"), "give dollars as a number"),
        (("--model", "ViT-Z-1/tag"), "`python -m benchmarks.photographs <bundle>`"),
        (("--recipe", "onnx int4"), "'onnx int4' was not measured"),
    ],
)
def test_what_cannot_be_reckoned_is_told_with_the_fix(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*MILLION, *arguments]) == 1
    told = capsys.readouterr()
    assert says in told.err
    assert told.out == ""


def test_the_benchmark_in_the_hint_prints_the_line_in_the_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*MILLION, "--model", "ViT-Z-1"]) == 1
    hint = re.search(r"`python -m (benchmarks\.\w+) <bundle>`.* milliseconds of `([^`]+)`", capsys.readouterr().err)
    assert hint
    assert hint[2] in importlib.import_module(hint[1]).BATCHES


def test_another_region_is_told_that_its_prices_differ(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*MILLION, "--region", "eu-central-1"]) == 0
    assert "prices are those of us-east-1, and differ in eu-central-1" in capsys.readouterr().err


def test_a_shard_that_lambda_would_end_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--milliseconds", "2000", "--memory", "1769", "--images", "5000")
    assert cli.main([*MILLION, *arguments]) == 0
    fits = re.search(r"--shard-size ([0-9]+)", capsys.readouterr().err)
    assert fits
    assert int(fits[1]) * 2 / 0.95 < 900


def test_every_price_says_where_it_was_read() -> None:
    assert tuple(prices.SOURCES) == prices.Prices._fields
    assert all(f"]({page})" in COLLECTIONS for page, _ in prices.SOURCES.values())


def test_a_model_is_known_with_its_tag_and_by_its_repository() -> None:
    assert measured.measured("ViT-B-32/laion2b_s34b_b79k", "onnx int8") == (512, 2 * 14.409, 1769)
    assert measured.measured("hf-hub:timm/ViT-B-16-SigLIP-i18n-256", "onnx int8") == (768, 2 * 81.563, 3008)
