"""How exact a tower has to be: the least cosine to open_clip, over all samples of the parity gate."""

from layer.engines import ENGINES

MIN_COSINE = {"fp32": 0.99999, "int8": 0.999}  # by precision
MOST_BF16_LOSS = 1.5  # of what the same tower loses in fp32
# Of what the bound allows. Some samples are images that the fixed ranges were measured on, and those suit them: on
# others SigLIP-i18n-256 lost 1.28 times as much, and a trained ViT with large channels 2.3 times as much.
MOST_STATIC_LOSS = 0.7
STATIC = {recipe.name for engine in ENGINES.values() for recipe in engine.recipes.get("int8", ()) if recipe.static}


def least_cosine(precision: str, recipe: str) -> float:
    """Return what a tower has to reach that is written by the recipe of this name."""
    bound = MIN_COSINE[precision]
    return 1 - (1 - bound) * MOST_STATIC_LOSS if recipe in STATIC else bound
