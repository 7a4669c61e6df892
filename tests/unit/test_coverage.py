"""The coverage page is what its results say, and no name of the registry is without a family."""

import json

import pytest

from layer.engines import PER_TOKEN
from layer.registry import table
from tests.families import coverage
from tests.families.families import FAMILIES, OTHERS, Family, family_of

TABLE = json.loads(table.TABLE.read_text())


@pytest.mark.parametrize("name", TABLE["models"])
def test_every_name_of_the_registry_has_a_family(name: str) -> None:
    assert family_of(name), f"{name} is new: give tests/families/families.py a family for it, and run `make models`"


def test_each_family_is_represented_by_one_of_its_own_at_the_size_that_was_promised() -> None:
    pairs = {(row["name"], row["pretrained"]) for row in TABLE["pairs"]}
    for family in FAMILIES:
        assert family_of(family.model) is family
        assert family.tag is None or (family.model, family.tag) in pairs
        whole = sum(TABLE["models"][family.model]["parameters"].values())
        assert whole < 400_000_000 or family.shrunk or family.tower, f"{family.name} takes {whole} parameters"


def test_a_model_with_published_weights_is_estimated_as_the_bundles_that_were_built_per_token() -> None:
    published = {row["name"] for row in TABLE["pairs"]}
    rows = {name: row for name, row in coverage.read()["families"].items() if row["model"] in published}
    built = {
        row["model"]: row["onnx"]
        for row in rows.values()
        if not row["shrunk"] and row.get("onnx", {}).get("recipe") == PER_TOKEN.name
    }
    share = {
        model: TABLE["models"][model]["bytes"]["int8"] / (result["bytes"] - result["tokenizer_bytes"])
        for model, result in built.items()
    }

    assert len(share) >= 2
    assert {model: ratio for model, ratio in share.items() if not 0.99 < ratio < 1.01} == {}


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS], ids=lambda family: family.name)
def test_a_family_was_seen_on_every_engine_as_exact_as_promised(family: Family) -> None:
    row = coverage.read()["families"][family.name]

    assert {engine: row[engine] for engine in coverage.ENGINES if not coverage.holds(engine, row[engine])} == {}


def test_the_page_says_what_the_results_say() -> None:
    assert coverage.PAGE.read_text() == coverage.render(coverage.read()), "run `python -m tests.families.coverage`"
