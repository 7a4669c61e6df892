"""What the parity gate asks of a recipe whose ranges were measured on some of the gate's own images."""

import pytest

from layer.bundle.export_records import Export, Parity, TowerRecipe
from layer.engines import FEWER_STATIC, PER_TOKEN, ROWS, STATIC, Recipe
from layer.export.comparison import Compared
from tests.unit.manifests import model


@pytest.mark.parametrize(
    ("recipe", "image", "text", "inexact"),
    [
        (STATIC, 0.99931, 0.99905, ()),
        (STATIC, 0.99929, 0.99905, ("image",)),
        (FEWER_STATIC, 0.99929, 0.99905, ("image",)),
        (PER_TOKEN, 0.99905, 0.99905, ()),
        (PER_TOKEN, 0.99899, 0.99899, ("image", "text")),
        (STATIC, 0.99999, 0.99899, ("text",)),
    ],
)
def test_fixed_ranges_have_to_leave_three_tenths_of_what_the_bound_allows(
    recipe: Recipe, image: float, text: float, inexact: tuple[str, ...]
) -> None:
    towers = TowerRecipe(recipe.name, 128), TowerRecipe(ROWS.name, 256)
    export = Export(causal_text=True, end_id=None, token_table=False, image=towers[0], text=towers[1])
    entry = model("org/model", engine="openvino", precision="int8", export=export)
    assert Compared(entry, export, Parity(text, image, texts=1, images=1)).inexact == inexact
