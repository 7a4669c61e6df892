"""Attention as one operation of ONNX Runtime's gives torch's own numbers, wherever a tower has a form that is known."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from layer.engines import FP32
from layer.export.attention import export_friendly_attention
from layer.export.onnx_int8 import write_runtime_graph
from layer.openclip import open_clip

timm = open_clip.timm_model.timm  # as open_clip imports it: torchvision is not whole here
LENGTH, HEADS, WIDTH = 7, 4, 32
CAUSAL = torch.full((LENGTH, LENGTH), float("-inf")).triu(1)


class ToItself(nn.Module):
    """Of a sequence to itself, as open_clip's towers have it; a causal one may be shorter than its mask."""

    def __init__(self, mask: torch.Tensor | None = None, bias: bool = True) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, bias=bias, batch_first=True)
        self.mask = mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = None if self.mask is None else self.mask[: x.shape[1], : x.shape[1]]
        found: torch.Tensor = self.attention(x, x, x, need_weights=False, attn_mask=mask)[0]
        return found


class ToAnother(nn.Module):
    """Of queries of the model's own to a sequence, as an attentional pooler has it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.queries = nn.Parameter(torch.randn(3, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        queries = self.queries.unsqueeze(0).expand(x.shape[0], -1, -1)
        found: torch.Tensor = self.attention(queries, x, x, need_weights=False)[0]
        return found


class Heads(nn.Module):
    """Queries, keys and values as one product, and apart as [N, heads, L, E]."""

    def __init__(self) -> None:
        super().__init__()
        self.all = nn.Linear(WIDTH, 3 * WIDTH)

    def parts(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        return (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.all(x).chunk(3, dim=-1))


class MixedHeads(Heads):
    """With a product between the scores and their softmax, as talking heads have it: no form that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(HEADS, HEADS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.parts(x)
        scores = self.mix((q @ k.transpose(-2, -1)).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        found: torch.Tensor = (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
        return found


class SomeKeys(Heads):
    """With one mask for all queries, [N, 1, 1, L], as padding has it: ONNX Runtime's operation takes none."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.parts(x)
        mask = torch.where(x[:, :, 0] > 1, -1e9, 0.0)[:, None, None]
        return functional.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)


class Windows(Heads):
    """Within windows of three tokens, which are taken apart and joined in one step with the heads."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = x.shape[0]
        parts = self.all(x[:, :6]).chunk(3, dim=-1)
        q, k, v = (part.reshape(2 * count, 3, HEADS, WIDTH // HEADS).transpose(1, 2) for part in parts)
        found = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        return found.reshape(count, 6, WIDTH)


class Flat(Heads):
    """Of which all sequences are joined to one, as torch's own multi-head attention has it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.parts(x)
        return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, WIDTH)


class TwoScores(Heads):
    """Of which something beside the values takes the softmax."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.parts(x)
        weights = functional.softmax(q @ k.transpose(-2, -1), dim=-1)
        found: torch.Tensor = (weights @ v).transpose(1, 2).flatten(2) + weights.sum(dim=(1, 2))[:, :, None]
        return found


KNOWN = {
    "plain": ToItself(),
    "without biases": ToItself(bias=False),
    "causal": ToItself(CAUSAL),
    "to another sequence": ToAnother(),
    "timm's": timm.layers.Attention(WIDTH, HEADS, qkv_bias=True),
    "timm's pooling": timm.layers.AttentionPoolLatent(WIDTH, num_heads=HEADS),
}
UNKNOWN = {
    "mixed heads": MixedHeads(),
    "two takers": TwoScores(),
    "windows": Windows(),
    "all tokens in one axis": Flat(),
    "a mask of keys": SomeKeys(),
}


def export(module: nn.Module, folder: Path, fixed: bool) -> Counter[str]:
    """Write module.onnx as a build does; returns how many operations of each type it has."""
    batch, length = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("length", min=2, max=LENGTH)
    dynamic = {0: batch} if fixed else {0: batch, 1: length}
    with export_friendly_attention():
        program = torch.onnx.export(
            module.eval(),
            (torch.zeros(2, LENGTH if fixed else LENGTH - 1, WIDTH),),
            dynamo=True,
            dynamic_shapes=(dynamic,),
            input_names=["x"],
            verbose=False,
        )
    assert program is not None
    program.save(str(folder / "fp32.onnx"), external_data=True)
    write_runtime_graph(folder / "fp32.onnx", FP32, folder / "module.onnx")
    return Counter(node.op_type for node in onnx.load(folder / "module.onnx", load_external_data=False).graph.node)


def check(module: nn.Module, graph: Path, length: int) -> None:
    """Compare a graph with torch's module, on batches of another size than the exported one."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # as the handler has it
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    for count in (1, 5):
        x = torch.randn(count, length, WIDTH, generator=torch.Generator().manual_seed(count))
        with torch.inference_mode():
            expected = module(x).numpy()
        np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], expected, atol=2e-6)


@pytest.mark.parametrize("form", KNOWN)
def test_a_form_that_is_known_becomes_one_operation(form: str, tmp_path: Path) -> None:
    operations = export(KNOWN[form], tmp_path, fixed=form != "causal")

    assert (operations["MultiHeadAttention"], operations["Softmax"]) == (1, 0)
    assert operations["Transpose"] == 0, "nothing of the heads' copies is left"
    for length in (LENGTH, 2, 3) if form == "causal" else (LENGTH,):
        check(KNOWN[form], tmp_path / "module.onnx", length)


@pytest.mark.parametrize("form", UNKNOWN)
def test_another_form_stays_what_it_is(form: str, tmp_path: Path) -> None:
    operations = export(UNKNOWN[form], tmp_path, fixed=True)

    assert (operations["MultiHeadAttention"], operations["Softmax"]) == (0, 1)
    check(UNKNOWN[form], tmp_path / "module.onnx", LENGTH)
