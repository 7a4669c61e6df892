"""How far the largest channel of activations stands out of the others, place by place in both towers.

Eight bits of a token are shared by its channels. One channel that reaches a hundred times as far as the median leaves
the others one step or two. Trained transformers have such channels; random weights have none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from layer.demo import rendering
from layer.demo.captions import LANGUAGES, TEMPLATES, caption
from layer.demo.evaluate import Embedder, load
from layer.export.attention import export_friendly_attention

SEED = 23  # training and other measurements draw with others
RESIDUAL = "residual stream"
ATTENTION = "LayerNorm before attention"
MIXED = "output of attention"
MLP = "LayerNorm before the MLP"
HIDDEN = "hidden layer of the MLP"
POOLED = "LayerNorm before the projection"


KINDS = (RESIDUAL, ATTENTION, MIXED, MLP, HIDDEN, POOLED)


@dataclass(frozen=True)
class Place:
    """Where activations are measured; `block` counts from 0 and is None behind the last."""

    tower: str
    block: int | None
    kind: str


@dataclass(frozen=True)
class Tower:
    """A tower of the kind that open_clip builds itself: its blocks, and the LayerNorm before its projection."""

    name: str
    blocks: list[Any]
    last: nn.LayerNorm


def drawn() -> tuple[list[Image.Image], list[str]]:
    """Return images and captions of the drawn world on which activations are measured."""
    ones = [rendering.single(SEED, number) for number in range(64)]
    twos = [one for number in range(16) for one in rendering.twins(SEED, number)]
    texts = [
        caption(scene, language, number % len(TEMPLATES[language]))
        for number, (_, scene) in enumerate([*ones, *twos])
        for language in LANGUAGES
    ]
    return [image for image, _ in [*ones, *twos]], texts


def towers(model: Any) -> list[Tower]:
    """Return the image and the text tower."""
    image, text = model.visual, getattr(model, "text", model)
    return [
        Tower("image", list(image.transformer.resblocks), image.ln_post),
        Tower("text", list(text.transformer.resblocks), text.ln_final),
    ]


def ranges(embedder: Embedder, images: Sequence[Image.Image], texts: list[str]) -> dict[Place, torch.Tensor]:
    """Return the largest absolute value of each channel, float32 [channels], over all tokens of all samples."""
    found: dict[Place, torch.Tensor] = {}

    def note(place: Place, activations: torch.Tensor) -> None:
        reached = activations.abs().flatten(0, -2).amax(dim=0)
        found[place] = torch.maximum(found[place], reached) if place in found else reached

    with _watching(embedder.model, note):
        embedder.images(images)
        embedder.texts(texts)
    return found


def residuals(embedder: Embedder, images: Sequence[Image.Image], texts: list[str]) -> dict[str, torch.Tensor]:
    """Return the residual stream before every block and behind the last, [tokens, channels], by tower."""
    found: dict[str, list[torch.Tensor]] = {}

    def keep(place: Place, activations: torch.Tensor) -> None:
        if place.kind == RESIDUAL:
            found.setdefault(place.tower, []).append(activations.flatten(0, -2))

    with _watching(embedder.model, keep):
        embedder.images(images)
        embedder.texts(texts)
    return {tower: torch.cat(streams) for tower, streams in found.items()}


def ratio(channels: torch.Tensor) -> float:
    """Return the largest channel's range over the median channel's."""
    return float(channels.max() / channels.median())


def measured(folder: Path) -> dict[Place, float]:
    """Return the ratio at each place of the model in a folder, on drawn images and captions."""
    return {place: ratio(channels) for place, channels in ranges(load(f"local-dir:{folder}"), *drawn()).items()}


def table(ratios: Mapping[Place, float]) -> list[str]:
    """Return the lines of a table in Markdown: a row for each block, a column for each kind of place."""
    rows = ["| tower | block | " + " | ".join(KINDS) + " |", "|---" * (2 + len(KINDS)) + "|"]
    for tower, block in dict.fromkeys((place.tower, place.block) for place in ratios):
        cells = [ratios.get(Place(tower, block, kind)) for kind in KINDS]
        shown = " | ".join("" if cell is None else f"{cell:.1f}" for cell in cells)
        rows.append(f"| {tower} | {'behind the last' if block is None else block + 1} | {shown} |")
    return rows


@contextmanager
def _watching(model: nn.Module, tell: Callable[[Place, torch.Tensor], None]) -> Iterator[None]:
    """Within this block `tell` is given all activations of each place."""
    handles = []
    for module, place, entering in _places(model):

        def hook(_: Any, given: Any, made: Any, place: Place = place, entering: bool = entering) -> None:
            tell(place, given[0] if entering else made)

        handles.append(module.register_forward_hook(hook))
    try:
        with export_friendly_attention():  # torch's own attention hides what enters its output projection
            yield
    finally:
        for handle in handles:
            handle.remove()


def _places(model: nn.Module) -> Iterator[tuple[nn.Module, Place, bool]]:
    """Yield a module, the place, and whether it is what enters the module or what the module makes."""
    for tower in towers(model):
        for number, block in enumerate(tower.blocks):
            yield block.ln_1, Place(tower.name, number, RESIDUAL), True
            yield block.ln_1, Place(tower.name, number, ATTENTION), False
            yield block.attn.out_proj, Place(tower.name, number, MIXED), True
            yield block.ln_2, Place(tower.name, number, MLP), False
            yield block.mlp.c_proj, Place(tower.name, number, HIDDEN), True
        yield tower.last, Place(tower.name, None, RESIDUAL), True
        yield tower.last, Place(tower.name, None, POOLED), False
