"""How a tower's matrices may be kept, for each engine and precision: from the fastest to the most exact."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """`block` weights share a scale (0: nothing is quantised); `activations` is in how many bits they meet weights.

    `by_token`: products are in integers, with a scale for each token and each output.
    """

    name: str
    block: int = 0
    activations: int = 32
    group: int = 0  # of activations, where smaller than the block
    by_token: bool = False

    @property
    def entry(self) -> dict[str, Any]:
        """What the manifest says of a tower; `activation_group` is how many share a scale at run time, 0 if none."""
        group = (self.group or self.block) if self.activations == 8 else 0
        return {"recipe": self.name, "activation_group": group}


FP32 = Recipe("fp32")
BY_TOKEN = Recipe("8-bit products by token", 128, 8, by_token=True)
# Per-tensor dynamic quantisation is not among them: 0.97 on trained weights.
RECIPES: dict[tuple[str, str], tuple[Recipe, ...]] = {
    ("onnx", "fp32"): (FP32,),
    ("onnx", "int8"): (
        BY_TOKEN,
        Recipe("8-bit weights in blocks of 128, 8-bit activations", 128, 8),
        Recipe("8-bit weights in blocks of 32, 8-bit activations", 32, 8),
        Recipe("8-bit weights in blocks of 128, fp32 activations", 128),
        Recipe("8-bit weights in blocks of 32, fp32 activations", 32),
    ),
    ("openvino", "fp32"): (FP32,),
    ("openvino", "int8"): (
        BY_TOKEN,
        Recipe("8-bit weights in blocks of 128, 8-bit activations", 128, 8),
        Recipe("8-bit weights in blocks of 128, 8-bit activations in groups of 64", 128, 8, 64),
        Recipe("8-bit weights in blocks of 32, 8-bit activations", 32, 8),
        Recipe("8-bit weights in blocks of 32, fp32 activations", 32),
    ),
}
