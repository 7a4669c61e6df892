"""Writes the demo model's card from what was measured."""

from dataclasses import dataclass

from layer.demo.captions import LANGUAGES, caption
from layer.demo.evaluate import Figures
from layer.demo.shapes import COLORS, SHAPES, THINGS

_NAMES = {"en": "English", "zh": "Chinese"}


@dataclass(frozen=True)
class Training:
    """How a model came about."""

    seed: int
    steps: int
    images: int
    minutes: float
    threads: int
    parameters: int


def model_card(training: Training, figures: Figures, vit: bool = False) -> str:
    """Return the card, Markdown with front matter for the hub, of the embedded demo model or of the one beside it."""
    rows = "\n".join(
        f"| {_NAMES[language]} | {figures.zero_shot[language]:.2%} | {figures.right_beats_swapped[language]:.2%} |"
        for language in LANGUAGES
    )
    return (_VIT_CARD if vit else _CARD).format(
        **vars(training),
        colors=", ".join(COLORS),
        shapes=", ".join(SHAPES),
        classes=len(THINGS),
        english=caption(THINGS[:1], "en"),
        chinese=caption(THINGS[:1], "zh"),
        seen=figures.images,
        seen_pairs=figures.pair_images,
        rows=rows,
    )


_CARD = """---
license: apache-2.0
library_name: open_clip
pipeline_tag: zero-shot-image-classification
language: [en, zh]
tags: [clip, siglip, open_clip, demo]
---
# shapes-i18n

A very small OpenCLIP model that knows colored shapes, in English and in Chinese. It is the embedded demo model of
openclip-lambda: real and trained, so that the whole way from a model repository to a response can be watched without
downloading anything. It has the anatomy of `ViT-B-16-SigLIP-i18n-256` in small: a timm image tower, a custom text tower
without causal mask that pools the last position, the SigLIP loss with a bias, and a Hugging Face tokenizer of its own
with `clean: canonicalize`. It is of no use for photographs.

- {parameters:,} parameters, 64-dimensional embeddings, images of 64 x 64 pixels, 32 tokens.
- Colors: {colors}. Shapes: {shapes}.
- Captions such as "{english}" and "{chinese}", and the same with two things.

## Measured

On held-out images, drawn from other seeds than the training images: zero-shot top-1 over all {classes} classes on
{seen:,} images of one thing, and how often the right caption of an image of two things is closer to it than the one
with the colors exchanged, on {seen_pairs:,} images (a coin would score 50%). One caption template, the first.

| Language | zero-shot top-1 | right caption beats swapped colors |
|---|---|---|
{rows}

## Training

`python -m layer.demo.train`: {images:,} drawn images, {steps:,} steps, seed {seed}, \
{minutes:.1f} minutes on {threads} CPU cores.

## Use

```python
model, preprocess = open_clip.create_model_from_pretrained("hf-hub:openclip-lambda/shapes-i18n")
tokenizer = open_clip.get_tokenizer("hf-hub:openclip-lambda/shapes-i18n")
```
"""

_VIT_CARD = """---
license: apache-2.0
library_name: open_clip
pipeline_tag: zero-shot-image-classification
language: [en, zh]
tags: [clip, open_clip, demo]
---
# shapes-vit

A very small OpenCLIP model that knows colored shapes, in English and in Chinese. openclip-lambda has it for its tests:
8-bit recipes are tried on its weights, since weights that were trained are harder for them than random ones. It has the
anatomy of CLIP's `ViT-B-32` in small: patches and a class token, LayerNorm before each block, a causal text transformer
that is read at its end token, CLIP's loss. It is of no use for photographs, and `shapes-i18n` knows the shapes better.

- {parameters:,} parameters in half precision, 128-dimensional embeddings, images of 48 x 48 pixels, 24 tokens.
- Colors: {colors}. Shapes: {shapes}.
- Captions such as "{english}" and "{chinese}", and the same with two things.

## Measured

On held-out images, as for `shapes-i18n`: zero-shot top-1 over all {classes} classes on {seen:,} images of one thing,
and how often the right caption of an image of two things is closer to it than the one with the colors exchanged, on
{seen_pairs:,} images (a coin would score 50%).

| Language | zero-shot top-1 | right caption beats swapped colors |
|---|---|---|
{rows}

## Training

`python -m layer.demo.train_vit`: {images:,} drawn images, {steps:,} steps, seed {seed}, {minutes:.1f} minutes on \
{threads} CPU cores that had other work.
"""
