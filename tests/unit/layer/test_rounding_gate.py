"""When the parity gate measures a second time, with activations rounded as other processors round them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from layer.bundle.export_records import Export, Parity
from layer.engines import Recipe
from layer.export import comparison
from layer.export.comparison import NO_INTEGERS, Compared, Comparison
from layer.spec import ModelSpec
from tests.unit.manifests import model

BLOCKS = Recipe("8-bit weights in blocks of 128, 8-bit activations", 128, 8)
FACTS = {"causal_text": True, "end_id": None, "token_table": False}


@pytest.mark.parametrize(
    ("variants", "measured", "text"),
    [
        ({"image": NO_INTEGERS, "text": NO_INTEGERS}, [(), ("image", "text")], 0.9985),
        ({"image": "f32", "text": NO_INTEGERS}, [(), ("text",)], 0.9985),
        ({"image": "f32", "text": "f32"}, [()], 0.9995),  # it rounds itself
        ({}, [()], 0.9995),
    ],
)
def test_what_this_processor_leaves_in_fp32_is_measured_rounded(
    monkeypatch: pytest.MonkeyPatch, variants: dict[str, str], measured: list[tuple[str, ...]], text: float
) -> None:
    entry, runs, now = model("org/model", engine="openvino", precision="int8"), list[tuple[str, ...]](), [()]

    @contextmanager
    def rounded(folder: Path, recipes: Mapping[str, Recipe]) -> Iterator[tuple[str, ...]]:
        assert folder == Path("trial/models", entry.slug, "openvino")
        now[0] = cast("Any", tuple(recipes))
        yield tuple(recipes)
        now[0] = ()

    def run(_: Comparison, export: Export, __: str) -> tuple[Compared, dict[str, str]]:
        runs.append(now[0])
        return Compared(entry, export, Parity(0.9985 if now[0] else 0.9995, 1.0, texts=1, images=1)), variants

    monkeypatch.setattr(comparison, "rounded", rounded)
    monkeypatch.setattr(Comparison, "measured", run)
    spec, facts = (
        ModelSpec("hf-hub:org/model", engine="openvino"),
        cast("Any", SimpleNamespace(export=SimpleNamespace(**FACTS))),
    )
    gate = Comparison(Path("trial"), cast("Any", None), spec, [], facts, Path())

    found = gate.compare({"image": BLOCKS, "text": BLOCKS}, "full")

    assert (runs, found.parity.min_text_cosine) == (measured, text)
