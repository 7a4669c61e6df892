"""Gives a model the outliers of larger ones, by changes of its weights that leave what it computes as it is.

Three changes, each exact but for rounding:

- The residual stream is turned. LayerNorm without its weights commutes with a reflection that keeps the mean, so all
  that is written into the stream may be turned and all that is read turned back. SliceGPT and QuaRot do it to spread
  outliers; here it gathers them: the direction in which the stream reaches farthest becomes one channel.
- A channel behind a LayerNorm is multiplied, and the columns that read it are divided.
- A channel of the values is multiplied, and the column of the output projection is divided: attention mixes tokens,
  never channels.

The hidden layer of the MLP stays as training left it: no factor passes GELU.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from layer.demo.evaluate import Embedder, load
from layer.demo.outliers import ATTENTION, MIXED, MLP, POOLED, Place, Tower, drawn, ranges, residuals, towers

WANTED = 100.0  # SmoothQuant says so of its models: the largest that is published, see docs/engines.md
CHANNELS = 2  # that each place has as outliers, or more


def write_with_outliers(source: Path, target: Path, wanted: float) -> Path:
    """Copy a model's folder and change its weights; they are in fp32, so that nothing is lost. Returns `target`."""
    shutil.copytree(source, target)
    embedder = load(f"local-dir:{source}")
    add_outliers(embedder, *drawn(), wanted)
    state = {name: tensor.contiguous() for name, tensor in embedder.model.state_dict().items()}
    save_file(state, target / "open_clip_model.safetensors", metadata={"format": "pt"})
    return target


@torch.no_grad()
def add_outliers(embedder: Embedder, images: Sequence[Image.Image], texts: list[str], wanted: float) -> None:
    """Change the model in place until the largest channel of each place reaches `wanted` times the median's range."""
    model: Any = embedder.model
    streams = residuals(embedder, images, texts)
    for tower in towers(model):
        _turn(model, tower, _reflection(streams[tower.name]))
    for place, channels in ranges(embedder, images, texts).items():
        factors = _factors(channels, wanted)
        tower = next(tower for tower in towers(model) if tower.name == place.tower)
        _multiply(model, tower, place, factors)


def _factors(channels: torch.Tensor, wanted: float) -> torch.Tensor:
    """Return what to multiply channels by: 1 but for the largest ones, where those do not reach far enough."""
    factors = torch.ones_like(channels)
    largest = channels.topk(CHANNELS).indices
    factors[largest] = (wanted * channels.median() / channels[largest]).clamp(min=1)
    return factors


def _reflection(stream: torch.Tensor) -> torch.Tensor:
    """Return the symmetric orthogonal matrix [D, D] that keeps the mean and makes the farthest direction a channel.

    `stream` is [tokens, D]. A single channel without its mean is (e - 1/D), so that is what the direction becomes.
    """
    centred = stream - stream.mean(dim=1, keepdim=True)
    direction = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -1]
    channel = torch.full_like(direction, -1 / len(direction))
    channel[direction.abs().argmax()] += 1
    apart = direction * direction.abs().max().sign() - channel / channel.norm()
    identity = torch.eye(len(direction), dtype=stream.dtype)
    turn: torch.Tensor = identity - 2 * torch.outer(apart, apart) / (apart @ apart)
    return turn


def _turn(model: Any, tower: Tower, turn: torch.Tensor) -> None:
    for block in tower.blocks:
        _read_plain(block.ln_1, block.attn.in_proj_weight, block.attn.in_proj_bias)
        _read_plain(block.ln_2, block.mlp.c_fc.weight, block.mlp.c_fc.bias)
        for matrix in (block.attn.in_proj_weight, block.mlp.c_fc.weight):
            matrix.copy_(matrix @ turn)
        for linear in (block.attn.out_proj, block.mlp.c_proj):
            linear.weight.copy_(turn @ linear.weight)
            linear.bias.copy_(turn @ linear.bias)
    projection = _projection(model, tower)  # [D, embedding], without a bias that could take the norm's
    tower.last.bias.copy_(turn @ (tower.last.bias / tower.last.weight))
    projection.copy_(turn @ (tower.last.weight[:, None] * projection))
    tower.last.weight.fill_(1)
    for written in _written(model, tower):
        written.copy_(written @ turn)
    if tower.name == "image":
        patches = model.visual.conv1.weight
        patches.copy_((turn @ patches.flatten(1)).view_as(patches))


def _read_plain(norm: nn.LayerNorm, matrix: torch.Tensor, bias: torch.Tensor) -> None:
    """Move the weights of a LayerNorm into the linear layer that reads it."""
    bias += matrix @ norm.bias
    matrix *= norm.weight
    norm.weight.fill_(1)
    norm.bias.zero_()


def _projection(model: Any, tower: Tower) -> torch.Tensor:
    projection: torch.Tensor = model.visual.proj if tower.name == "image" else model.text_projection
    return projection


def _written(model: Any, tower: Tower) -> list[torch.Tensor]:
    """Return what is added to the stream beside blocks, each [..., D]."""
    if tower.name == "text":
        return [model.token_embedding.weight, model.positional_embedding]
    visual = model.visual
    if not torch.equal(visual.ln_pre.weight, torch.ones_like(visual.ln_pre.weight)):
        raise ValueError("ln_pre multiplies the channels of the residual stream: it cannot be turned")
    return [visual.class_embedding, visual.positional_embedding, visual.ln_pre.bias]


def _multiply(model: Any, tower: Tower, place: Place, factors: torch.Tensor) -> None:
    if place.kind == POOLED:
        _scale_norm(tower.last, factors)
        _projection(model, tower).div_(factors[:, None])
        return
    if place.block is None:
        return
    block = tower.blocks[place.block]
    if place.kind == ATTENTION:
        _scale_norm(block.ln_1, factors)
        block.attn.in_proj_weight.div_(factors)
    elif place.kind == MLP:
        _scale_norm(block.ln_2, factors)
        block.mlp.c_fc.weight.div_(factors)
    elif place.kind == MIXED:
        width = len(factors)
        block.attn.in_proj_weight[-width:].mul_(factors[:, None])
        block.attn.in_proj_bias[-width:].mul_(factors)
        block.attn.out_proj.weight.div_(factors)


def _scale_norm(norm: nn.LayerNorm, factors: torch.Tensor) -> None:
    norm.weight.mul_(factors)
    norm.bias.mul_(factors)
