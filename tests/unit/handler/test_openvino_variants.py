"""In which ways a tower is compiled on `openvino`, the fastest first."""

from pathlib import Path
from typing import Any

import pytest

from handler.engines import host_kind
from handler.engines.openvino_variants import GROUP_SIZE, measured_in_bf16, variants_of

FIRST: dict[str, Any] = {"recipe": "per-token int8", "activation_group": 128}
GROUPED: dict[str, Any] = {"activation_group": 768, "min_cosine": 0.9995}
SLOW = ["f32, no 8-bit products", "f32, plain settings"]


def names(recipe: dict[str, Any], **processor: bool) -> list[str]:
    return [variant.name for variant in variants_of(recipe, 2, **{"has_bf16": True, **processor})]


def test_the_second_graph_comes_first_where_avx512_multiplies() -> None:
    both = FIRST | {"bf16_cosine": 0.9994, "grouped": GROUPED | {"bf16_cosine": 0.9994}}
    assert names(both, by_avx512=True) == ["bf16, in groups", "f32, in groups", "bf16", "f32", *SLOW]
    assert names(both, by_avx512=False) == ["bf16", "f32", *SLOW]
    assert names(both, by_avx512=True, has_bf16=False) == ["f32, in groups", "f32", *SLOW]
    assert names(both, by_avx512=True, inexact=True) == SLOW


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (None, None, ["f32, in groups", "f32"]),
        (0.9994, None, ["f32, in groups", "bf16", "f32"]),
        (None, 0.9994, ["bf16, in groups", "f32, in groups", "f32"]),
    ],
)
def test_each_graph_runs_in_bfloat16_only_where_the_gate_has_measured_it_so(
    first: float | None, second: float | None, expected: list[str]
) -> None:
    recipe = FIRST | {"bf16_cosine": first, "grouped": GROUPED | {"bf16_cosine": second}}
    assert names(recipe, by_avx512=True) == [*expected, *SLOW]
    assert measured_in_bf16(recipe) == bool(first or second)


def test_a_tower_without_a_second_graph_runs_as_before() -> None:
    for recipe in (FIRST, FIRST | {"grouped": None}):
        assert names(recipe, by_avx512=True) == ["f32", *SLOW]
        assert not measured_in_bf16(recipe)


def test_each_variant_has_its_graph_and_its_group() -> None:
    tower = Path("models/a/openvino/image.xml")
    found = {
        variant.name: (variant.path(tower).name, variant.settings.get(GROUP_SIZE))
        for variant in variants_of(FIRST | {"grouped": GROUPED}, 2, has_bf16=False, by_avx512=True)
    }
    assert found == {
        "f32, in groups": ("image.grouped.xml", 768),
        "f32": ("image.xml", 128),
        "f32, no 8-bit products": ("image.xml", 0),
        "f32, plain settings": ("image.xml", None),
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("avx2-avx512f-avx512_vnni-avx512_bf16", True),  # Zen 4, Ice Lake
        ("avx2-avx512f-avx512_vnni-avx512_bf16-amx_int8-amx_bf16", False),
        ("avx2-avx512f", False),
        ("avx2-avx_vnni", False),
        ("avx2", False),
        ("", False),
    ],
)
def test_which_processors_multiply_by_avx512(monkeypatch: pytest.MonkeyPatch, kind: str, expected: bool) -> None:
    monkeypatch.setattr(host_kind, "processor", lambda: kind)
    assert host_kind.multiplies_by_avx512() == expected
