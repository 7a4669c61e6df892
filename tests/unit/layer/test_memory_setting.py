"""Which memory a function gets unless told, and what a request costs at a setting."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from layer.bundle.records import BundleFile, Manifest
from layer.cli.memory_line import memory_line
from layer.package import pipeline
from layer.registry.cost import dollars_per_million
from layer.registry.memory_setting import choose, least, of_bundle, rows_measured
from layer.spec import ModelSpec
from tests.unit.manifests import TARGET, manifest_of, model


def test_a_million_requests_cost_what_lambdas_price_page_works_out() -> None:
    # AWS's page: $0.0000166667 a GB-second, $0.20 a million requests. 3 million of 120 ms at 1,536 MB, without the
    # free tier: 540,000 GB-s * 0.0000166667 + 0.60.
    assert 3 * dollars_per_million(0.120, 1536) == pytest.approx(540_000 * 0.0000166667 + 0.60)


def test_a_peak_needs_mebibytes_and_a_tenth_more() -> None:
    assert least(1000 * 2**20) == 1100
    assert least(1) == 1


def test_more_memory_that_buys_no_speed_is_not_taken() -> None:
    found = choose({"image": {"1024": 0.0525, "1769": 0.030, "2048": 0.0295, "3008": 0.0290}}, 400_000_000)
    assert (found.cheapest, found.fastest, found.default) == (1769, 1769, 1769)


def test_the_fastest_within_a_fifth_of_the_price_is_taken_and_no_more_than_a_new_account_may_have() -> None:
    warm = {"image": {"1769": 0.100, "3008": 0.064, "3538": 0.058}}  # 1.09 and 1.16 times the price
    found = choose(warm, 400_000_000)
    assert (found.cheapest, found.fastest, found.default) == (1769, 3538, 3008)


def test_a_setting_under_the_peak_does_not_count_however_cheap() -> None:
    warm = {"image": {"1769": 0.1, "3538": 0.1}, "caption": {"1769": 0.1, "3538": 0.1}}
    assert choose(warm, 1_850_000_000).default == 3538
    with pytest.raises(ValueError, match="no setting holds the peak"):
        choose(warm, 5_000_000_000)


def bundle(name: str, size: int, engine: str = "onnx") -> Manifest:
    """Return as much of a manifest as is asked for."""
    models, files = [ModelSpec(name, "tag", engine=engine)], [BundleFile("weights", size, "0" * 64)]
    return cast(Manifest, SimpleNamespace(models=models, files=files))


def test_a_measured_model_gets_its_own_setting_and_another_one_vcpu_or_what_its_peak_needs() -> None:
    row = next(row for row in rows_measured() if (row["model"], row["engine"]) == ("ViT-B-32", "onnx"))
    assert of_bundle(bundle("ViT-B-32", 1)) == choose(row["warm"], row["peak"])
    small = of_bundle(bundle("ViT-unheard-of", 2_000_000))
    assert (small.default, small.measured) == (1769, False)
    assert of_bundle(bundle("ViT-unheard-of", 3_000_000_000)).default >= least(3_000_000_000)


def test_inspect_says_which_memory_and_from_where() -> None:
    rule = memory_line(of_bundle(bundle("ViT-unheard-of", 2_000_000)), None)
    assert rule.startswith("memory: 1,769 MB, by rule: one vCPU")
    assert rule.endswith("The deployment takes 1,769 unless told")
    measured = memory_line(choose({"image": {"1769": 0.100, "3008": 0.064, "3538": 0.058}}, 1), 2048)
    assert measured.startswith("memory: 1,769 MB is cheapest (measured: docs/cost.md; peak 0 MB); 3,538 is fastest")
    assert "3,008 up to the 3,008 of a new account" in measured
    assert measured.endswith("The deployment takes 2,048, as models.toml says")


def test_package_json_names_the_memory_of_models_toml_for_tools_that_do_not_read_the_manifest() -> None:
    told = replace(TARGET, memory=2560)
    models, files = [model("ViT-B-32/openai")], [BundleFile("weights", 1, "0" * 64)]
    assert pipeline.deployed(manifest_of(models, files, told))["memory"] == 2560
    measured = manifest_of(models, files)
    assert pipeline.deployed(measured)["memory"] == of_bundle(measured).default
