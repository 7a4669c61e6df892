"""Replace the attention of an ONNX graph by ONNX Runtime's fused operation, which splits heads without copying.

Only known forms are replaced, in graphs that ONNX Runtime has optimized; any other attention is left unchanged.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel

MICROSOFT = "com.microsoft"
HEADS_FIRST, KEYS_TURNED = [0, 2, 1, 3], [0, 2, 3, 1]  # of [N, L, heads, E]
PARTS_FIRST = [2, 0, 3, 1, 4]  # of [N, L, parts, heads, E]
Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Tokens:
    """Queries, keys or values [N, L, heads * E]: a tensor, or one of its equal parts along the last axis."""

    name: str
    heads: int
    part: int = 0
    parts: int = 1

    @property
    def output(self) -> str:
        """The name that these tokens have in the graph."""
        return self.name if self.parts == 1 else f"{self.name}.part{self.part}"


def fuse_attention(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> int:
    """Replace attention by `MultiHeadAttention`, in place; returns how many. `shapes` are the tensors' shapes by name.

    A mask that is added to the scores is supported if its last two axes are those of the scores.
    """
    graph = _Graph(model.graph, shapes)
    fused = {node.output[0]: node for found in model.graph.node if (node := graph.attention(found))}
    if not fused:
        return 0
    nodes = [fused.get(node.output[0], node) for node in model.graph.node]
    added = [*graph.splits.values(), *graph.wider_masks.values()]
    del model.graph.node[:]
    model.graph.node.extend(_used([*nodes, *added], model.graph.output))
    model.graph.initializer.append(numpy_helper.from_array(np.array([0, 1]), "attention.axes"))
    tidy = ONNXModel(model)
    tidy.topological_sort()
    tidy.clean_initializers()
    return len(fused)


class _Graph:
    """A graph by the names of its tensors, and what has to be added to it."""

    def __init__(self, graph: onnx.GraphProto, shapes: Mapping[str, Shape]) -> None:
        self._made = {name: node for node in graph.node for name in node.output}
        self._takes: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._takes.setdefault(name, []).append(node)
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._shapes = shapes
        self.splits: dict[str, onnx.NodeProto] = {}
        self.wider_masks: dict[str, onnx.NodeProto] = {}

    def attention(self, joined: onnx.NodeProto) -> onnx.NodeProto | None:
        """Return the operation that replaces `joined`, the Reshape after attention; None if it is anything else."""
        path = self._above(joined, "Reshape", "Transpose", "MatMul", "Softmax")
        if path is None or _attribute(path[1], "perm") != HEADS_FIRST or _attribute(path[3], "axis", -1) not in (-1, 3):
            return None
        _, split_up, product, softmax = path
        if not self._splits_heads(joined.output[0], split_up.output[0]) or any(
            len(self._takes[node.output[0]]) != 1 for node in path[1:]
        ):
            return None
        scores, mask = self._scores(softmax.input[0])
        if scores is None:
            return None
        turned = HEADS_FIRST if _attribute(scores, "transB", 0) else KEYS_TURNED
        query, key = self._tokens(scores.input[0], HEADS_FIRST), self._tokens(scores.input[1], turned)
        value = self._tokens(product.input[1], HEADS_FIRST)
        if not (query and key and value) or not query.heads == key.heads == value.heads:
            return None
        inputs = [self._named(tokens) for tokens in (query, key, value)]
        inputs += ["", "", self._mask(mask)] if mask else []
        scale = float(_attribute(scores, "alpha", 1.0))
        return helper.make_node(
            "MultiHeadAttention", inputs, [joined.output[0]], domain=MICROSOFT, num_heads=query.heads, scale=scale
        )

    def _above(self, node: onnx.NodeProto | None, *types: str) -> list[onnx.NodeProto] | None:
        """Return `node` and the chain of nodes that make its first input, one for each of these types; else None."""
        found = []
        for kind in types:
            if node is None or node.op_type != kind:
                return None
            found.append(node)
            node = self._made.get(node.input[0])
        return found

    def _scores(self, name: str) -> tuple[onnx.NodeProto | None, str]:
        """Return the product of queries and keys that makes `name`, and the mask that is added; (None, "") if none."""
        node, mask = self._made.get(name), ""
        if node is not None and node.op_type == "Add":
            products = [at for at in (0, 1) if _is_product(self._made.get(node.input[at]))]
            if len(products) != 1:
                return None, ""
            mask, node = node.input[1 - products[0]], self._made[node.input[products[0]]]
        if not _is_product(node) or (mask and not self._fits(mask, node)):
            return None, ""
        return node, mask

    def _fits(self, mask: str, scores: onnx.NodeProto) -> bool:
        """Tell whether a mask is [L, S], or [N or 1, heads or 1, L, S], as the scores are [N, heads, L, S]."""
        given, wanted = self._shape(mask), self._shape(scores.output[0])
        if len(wanted) != 4 or len(given) not in (2, 4):
            return False
        return given[-2:] == wanted[-2:] and all(
            size in (1, most) for size, most in zip(given[:-2], wanted, strict=False)
        )

    def _shape(self, name: str) -> Shape:
        tensor = self._constants.get(name)
        return tuple(tensor.dims) if tensor is not None else self._shapes.get(name, ())

    def _tokens(self, name: str, order: list[int]) -> Tokens | None:
        """Return the tokens that become `name` by splitting into heads and transposing to `order`; None if unknown."""
        node = self._made.get(name)
        if path := self._above(node, "Transpose", "Reshape"):
            whole, split_up = path[1].input[0], path[1].output[0]
            good = _attribute(path[0], "perm") == order and self._splits_heads(whole, split_up)
            return Tokens(whole, int(self._shape(split_up)[2])) if good else None
        # timm has one product for the three, and takes them apart as [N, L, 3, heads, E].
        if path := self._above(node, "Squeeze", "Transpose", "Split", "Reshape"):
            good = self._numbers(path[0].input[1]) == [0] and _attribute(path[1], "perm") == PARTS_FIRST
            return self._part(path[1].input[0], path[2], path[3]) if good and order == HEADS_FIRST else None
        if path := self._above(node, "Transpose", "Squeeze", "Split", "Reshape"):
            good = _attribute(path[0], "perm") == order and self._numbers(path[1].input[1]) == [2]
            return self._part(path[1].input[0], path[2], path[3]) if good else None
        return None

    def _splits_heads(self, whole: str, split_up: str) -> bool:
        """Tell whether `whole` is [N, L, W] and `split_up` has only W split; a Reshape might also change N and L."""
        one, other = self._shape(whole), self._shape(split_up)
        sizes = [size for size in other[2:] if isinstance(size, int) and size > 0]
        known = len(one) == 3 and len(sizes) == len(other) - 2 > 0
        return known and one == (*other[:2], math.prod(sizes))

    def _part(self, name: str, split: onnx.NodeProto, reshape: onnx.NodeProto) -> Tokens | None:
        whole, split_up = reshape.input[0], reshape.output[0]
        lengths = self._numbers(split.input[1]) if split.input[1:] else []
        good = _attribute(split, "axis") == 2 and set(lengths) == {1} and self._splits_heads(whole, split_up)
        if not good or len(self._shape(split_up)) != 5:
            return None
        return Tokens(whole, int(self._shape(split_up)[3]), list(split.output).index(name), len(lengths))

    def _numbers(self, name: str) -> list[int]:
        tensor = self._constants.get(name)
        return [] if tensor is None else [int(number) for number in numpy_helper.to_array(tensor).reshape(-1)]

    def _named(self, tokens: Tokens) -> str:
        if tokens.parts > 1:
            names = [Tokens(tokens.name, tokens.heads, part, tokens.parts).output for part in range(tokens.parts)]
            self.splits[tokens.name] = helper.make_node("Split", [tokens.name], names, axis=2, num_outputs=tokens.parts)
        return tokens.output

    def _mask(self, name: str) -> str:
        if len(self._shape(name)) == 4:
            return name
        wider = f"{name}.of_all_heads"
        self.wider_masks[name] = helper.make_node("Unsqueeze", [name, "attention.axes"], [wider])
        return wider


def _is_product(node: onnx.NodeProto | None) -> bool:
    """Tell whether a node multiplies two tensors, of which at most the second one is transposed."""
    if node is None or node.op_type not in ("MatMul", "FusedMatMul"):
        return False
    return not any(_attribute(node, name, 0) for name in ("transA", "transBatchA", "transBatchB"))


def _attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    found = [helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name == name]
    return found[0] if found else default


def read_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Return the shapes that a graph declares for its tensors, by name; a dynamic size is given by its name."""
    ports = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    return {
        port.name: tuple(size.dim_param or size.dim_value for size in port.type.tensor_type.shape.dim) for port in ports
    }


def _used(nodes: list[onnx.NodeProto], outputs: Iterable[onnx.ValueInfoProto]) -> list[onnx.NodeProto]:
    """Return the nodes that an output depends on."""
    made, needed, ahead = {name: node for node in nodes for name in node.output}, set(), [port.name for port in outputs]
    while ahead:
        name = ahead.pop()
        if name not in needed and (node := made.get(name)):
            needed |= set(node.output)
            ahead += [taken for taken in node.input if taken not in needed]
    return [node for node in nodes if needed.intersection(node.output)]
