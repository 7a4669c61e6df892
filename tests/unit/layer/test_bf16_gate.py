"""When the parity gate lets an image tower run in bfloat16."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from layer.bundle.export_records import Export, Parity, TowerRecipe, Trial
from layer.export.comparison import Compared, Comparison
from layer.export.variants import in_bf16
from layer.spec import ModelSpec
from tests.unit.manifests import model

TOWER = TowerRecipe("static int8", 128)
EXPORT = Export(causal_text=True, end_id=None, token_table=False, image=TOWER, text=TOWER)


@pytest.mark.parametrize(
    ("fp32", "bf16", "variants", "taken", "refused"),
    [
        (0.99971, 0.99964, {"image": "bf16"}, 0.99964, []),
        (0.99940, 0.99931, {"image": "bf16"}, 0.99931, []),
        (0.99940, 0.99929, {"image": "bf16"}, None, [0.99929]),  # below the bound of fixed ranges
        (0.99998, 0.99984, {"image": "bf16"}, None, [0.99984]),  # eight times the loss
        (0.99980, 0.99971, {"image": "bf16"}, 0.99971, []),  # 1.45 times the loss
        (0.99980, 0.99969, {"image": "bf16"}, None, [0.99969]),  # 1.55 times
        (0.99971, 0.99971, {"image": "f32"}, None, []),  # this processor has none
        (0.99971, 0.99971, {}, None, []),
    ],
)
def test_bfloat16_is_taken_where_it_adds_little(
    monkeypatch: pytest.MonkeyPatch,
    fp32: float,
    bf16: float,
    variants: dict[str, str],
    taken: float | None,
    refused: list[float],
) -> None:
    entry = model("org/model", engine="openvino", precision="int8", export=EXPORT)

    def compared(export: Export, cosine: float) -> Compared:
        return Compared(entry, export, Parity(1.0, cosine, texts=1, images=1))

    def measured(_: Comparison, export: Export, __: str) -> tuple[Compared, dict[str, str]]:
        assert export.image.bf16_cosine, "or the handler would not run it so"
        return compared(export, bf16), variants

    monkeypatch.setattr(Comparison, "measured", measured)
    spec = ModelSpec("hf-hub:org/model", engine="openvino")
    gate = Comparison(Path(), cast("Any", None), spec, [], cast("Any", None), Path())
    tried: list[Trial] = []

    passed = in_bf16(gate, compared(EXPORT, fp32), tried)

    assert passed.export.image == replace(TOWER, bf16_cosine=taken)
    assert [row.min_cosine for row in tried] == refused
