"""In which ways an exported tower may be compiled on this processor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

GROUP_SIZE = "DYNAMIC_QUANTIZATION_GROUP_SIZE"
GROUPED_SUFFIX = ".grouped.xml"  # a tower's second graph, over the same weights


class Variant(NamedTuple):
    """A way to compile a tower: its name, as the health check tells it, OpenVINO's settings, and the graph's suffix."""

    name: str
    settings: Mapping[str, Any]
    suffix: str = ".xml"

    def path(self, tower: Path) -> Path:
        """Return the graph of this variant, for a tower's first graph."""
        return tower.with_suffix(self.suffix)


def variants_of(
    recipe: Mapping[str, Any], threads: int, has_bf16: bool, inexact: bool = False, by_avx512: bool = False
) -> list[Variant]:
    """List the variants to try, from the fastest to the one that every processor can run.

    1. The second graph, if the tower has one and this processor multiplies `by_avx512`: a scale for each group of
       activations, in the place of each token. In bfloat16, then in fp32, as 2 and 3.
    2. bfloat16 between products, if the processor has it and the build's parity gate has measured it.
    3. fp32 between products. In both, activations are quantized to 8 bits, `activation_group` of them with one scale
       (0: they are not quantized).
    4. fp32 activations and no integer products, for a processor without VNNI.
    5. The same without any other setting, in case the processor refuses one of those.

    If integer products are known to be `inexact`, 1 to 3 are left out: each tower would be compiled with them first,
    and rejected at its first run.
    """
    common: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    common["INFERENCE_NUM_THREADS"] = threads
    common["SNIPPETS_MODE"] = "DISABLE"  # fused attention takes a quarter of the compilation, and gains little
    exact = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO"}  # no product of integers
    slow = [
        Variant("f32, no 8-bit products", {**common, **exact, GROUP_SIZE: 0}),
        Variant("f32, plain settings", exact),
    ]
    if inexact and recipe["activation_group"]:
        return slow
    grouped = recipe.get("grouped") if by_avx512 else None
    found = []
    for graph, suffix, named in ((grouped, GROUPED_SUFFIX, ", in groups"), (recipe, ".xml", "")):
        if graph:
            settings = {**common, GROUP_SIZE: graph["activation_group"]}
            if has_bf16 and graph.get("bf16_cosine"):
                found.append(Variant(f"bf16{named}", {**settings, "INFERENCE_PRECISION_HINT": "bf16"}, suffix))
            found.append(Variant(f"f32{named}", settings, suffix))
    return [*found, *slow]


def measured_in_bf16(recipe: Mapping[str, Any]) -> bool:
    """Tell whether the parity gate has passed one of the tower's graphs in bfloat16."""
    return any(graph.get("bf16_cosine") for graph in (recipe, recipe.get("grouped") or {}))
