"""Count the parameters of open_clip's models on torch's meta device: nothing is downloaded, nothing is allocated.

`python -m layer.registry.parameter_count` writes registry.json, which `python -m layer models` reads without torch.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from console.parser import Parser
from console.run import run
from layer.errors import BuildError
from layer.openclip import open_clip
from layer.progress import each
from layer.registry import meta_model
from layer.registry.patches import cuts_patches
from layer.sources.resolve import source_plan
from layer.spec import ModelSpec

OUTPUT = Path(__file__).with_name("registry.json")  # layer/registry/table.py reads it
TEXT_TOWERS = Path(__file__).with_name("text_towers.json")  # the published configs of the registry's text towers
SCALE_BYTES = 4  # of an output, of a smoothed input, of a token table's block
PRODUCT_BYTES = 5_000  # of a product's nodes in the two graphs that ONNX Runtime has of a tower
# Bytes of a tokenizer for each entry, at most: open_clip's own with its second form, which is mapped into memory; the
# tokenizer.json of others, with long pieces and merges.
OWN_TOKEN_BYTES, TOKEN_BYTES = 82, 135
MAPPED_PIECES, MAPPED_BYTES = 100_000, 45  # from so many entries on, others have such a form, too
# Parameters of no nn.Linear that are multiplied all the same; an attention of two widths has three in the place of one.
IN_MATRICES = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "proj", "text_projection")


def count(name: str) -> dict[str, Any]:
    """Return one model's row: its towers' parameters, and the bytes of its weights by engine and precision."""
    return count_config(open_clip.get_model_config(name), towers())


def count_config(config: dict[str, Any], towers: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a model that is not in the registry, from open_clip's config of it.

    `towers` are transformers' configs of text towers. Raises CheckpointError where open_clip cannot make such a model.
    """
    with meta_model.uncompiled(config):
        return _row(meta_model.create(config, towers), config, towers)


def _row(model: Any, config: dict[str, Any], towers: dict[str, Any]) -> dict[str, Any]:
    parameters = {"image": 0, "text": 0}
    sizes = {"torch fp32": 0, "fp32": 0, "int8": 0}
    for key, tensor, in_8_bits in _weights(model):
        sizes["torch fp32"] += tensor.numel() * 4
        if key.startswith(("text_decoder.", "text.text_decoder.")):
            continue  # CoCa's captioner: a checkpoint has it, an embedding does not pass it
        sizes["fp32"] += tensor.numel() * 4
        sizes["int8"] += in_8_bits
        parameters["image" if key.startswith("visual.") else "text"] += tensor.numel()
    size = model.visual.image_size
    return {
        "embed_dim": config["embed_dim"],
        "image_size": [size, size] if isinstance(size, int) else list(size),
        "context_length": config["text_cfg"].get("context_length", 77),
        "parameters": parameters,
        "bytes": sizes,
        "tokenizer": _tokenizer_bytes(config["text_cfg"], towers),
    }


def _weights(model: nn.Module) -> Iterator[tuple[str, torch.Tensor, int]]:
    """Yield each weight with its name and the bytes that it takes in an 8-bit graph of ONNX Runtime."""
    for prefix, module in model.named_modules():
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if tensor is None or (name not in module.state_dict() and name != "weight"):
                continue  # a buffer that is made, not stored
            yield f"{prefix}.{name}".lstrip("."), tensor, _in_8_bits(module, name, tensor)


def _in_8_bits(module: nn.Module, name: str, tensor: torch.Tensor) -> int:
    """Return the bytes of a weight, with the scales and nodes of its per-token product, or a token table's scales."""
    if isinstance(module, nn.Conv2d) and name == "weight" and cuts_patches(module):
        tensor = tensor.flatten(1)  # the export makes a product of it
    if tensor.ndim == 2 and (isinstance(module, nn.Linear | nn.Conv2d) or name in IN_MATRICES):
        from_left = name in ("proj", "text_projection")  # [inputs, outputs]: vectors @ proj
        inputs, outputs = tensor.shape if from_left else tensor.shape[::-1]
        return int(inputs) * int(outputs) + SCALE_BYTES * (int(inputs) + int(outputs)) + PRODUCT_BYTES
    if isinstance(module, nn.Embedding) and tensor.shape[0] > 1000:
        rows, width = tensor.shape
        return int(rows) * (width + SCALE_BYTES * (width // 32 if width % 32 == 0 else 1))
    return tensor.numel() * 4


def _tokenizer_bytes(text: Mapping[str, Any], towers: Mapping[str, Any]) -> int:
    """Bytes of a tokenizer, at most."""
    tower, size = text.get("hf_model_name"), int(text.get("vocab_size", 49408))  # open_clip's own, CLIPTextCfg
    if tower:
        size = meta_model.tower_config(towers, tower).vocab_size
    entry = TOKEN_BYTES if tower or text.get("hf_tokenizer_name") else OWN_TOKEN_BYTES
    return size * (entry + (MAPPED_BYTES if size >= MAPPED_PIECES else 0))


def towers() -> dict[str, Any]:
    """Return transformers' configs of the registry's text towers, by repository."""
    known: dict[str, Any] = json.loads(TEXT_TOWERS.read_text(encoding="utf-8"))
    return known


def pairs() -> list[dict[str, Any]]:
    """Return every pair of the installed registry with where its weights, tokenizer and text config come from."""
    rows = []
    for name, tag in open_clip.list_pretrained():
        plan = source_plan(ModelSpec(name, tag))
        weights = [need.repo for need in plan.needs if "weights" in need.roles]
        rows.append({"name": name, "pretrained": tag, "weights": weights[0] if weights else None})
        rows[-1]["text"] = [need.repo for need in plan.needs if set(need.roles) & {"tokenizer", "text_config"}]
        rows[-1]["url"] = plan.direct.url if plan.direct else None
        rows[-1]["advice"] = plan.advice
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Write registry.json; returns the exit status."""
    return run(lambda: _command(arguments), (BuildError,))


def _command(arguments: Sequence[str] | None) -> None:
    Parser(prog="python -m layer.registry.parameter_count", description=__doc__).parse_args(arguments)
    models = {name: count(name) for name in each(open_clip.list_models(), "counting", "model")}
    lines = [
        f' "open_clip": "{open_clip.__version__}"',
        ' "models": {\n  ' + ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in models.items()) + "\n }",
        ' "pairs": [\n  ' + ",\n  ".join(json.dumps(row) for row in pairs()) + "\n ]",
    ]
    OUTPUT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
