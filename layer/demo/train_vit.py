"""Trains the second model of the drawn world, CLIP's anatomy, from a fixed seed: `python -m layer.demo.train_vit`.

It is there for the tests of 8-bit recipes: weights that were trained are harder for them than random ones. With
`--output` it is written elsewhere, and the one in the repository stays.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from console.parser import Parser
from console.run import run
from layer.demo import evaluate, snapshot
from layer.demo.curriculum import Curriculum
from layer.demo.loop import Plan, fit, same
from layer.demo.model_card import Training, model_card
from layer.demo.rendering import HELD_OUT, TRAINING, RenderedImages, Scene, render_singles, render_twins
from layer.demo.vit import REPOSITORY, SIDE, new_model, write_untrained, write_weights

SEED = 20261123
PLAN = Plan(steps=2_250, pairs_from=1_200, peak_learning_rate=1e-3, bfloat16=True, decays_until=3_000)
SINGLES, TWINS = 32_000, 8_000
BATCH = 64  # images
MOST_SCALE = 100.0  # as CLIP's
EVALUATED_SINGLES, EVALUATED_TWINS = 3_200, 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, train, measure, write; returns the exit status."""
    return run(lambda: _command(arguments))


def _command(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog="python -m layer.demo.train_vit", description=__doc__)
    parser.add_argument("--output", type=Path, default=snapshot.HUB, help="a Hugging Face cache (default: %(default)s)")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    torch.manual_seed(SEED)
    with TemporaryDirectory(prefix="shapes-vit-") as name:
        folder = Path(name)
        write_untrained(folder)
        model = new_model(folder)
        train(model, folder)
        write_weights(folder, model)
        minutes = (time.monotonic() - started) / 60
        figures = evaluate.measure(evaluate.load(f"local-dir:{folder}"), HELD_OUT, EVALUATED_SINGLES, EVALUATED_TWINS)
        card = model_card(_training(model, minutes), figures, vit=True)
        (folder / "README.md").write_text(card, encoding="utf-8")
        print(card, snapshot.install(folder, REPOSITORY, options.output), sep="\n")


def _training(model: torch.nn.Module, minutes: float) -> Training:
    return Training(
        seed=SEED,
        steps=PLAN.steps,
        images=SINGLES + 2 * TWINS,
        minutes=minutes,
        threads=torch.get_num_threads(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def train(model: torch.nn.Module, folder: Path) -> None:
    """Train `model` in place, with the tokenizer in `folder`."""
    singles, twins = shrunk(render_singles(TRAINING, SINGLES)), shrunk(render_twins(TRAINING, TWINS))
    fit(model.train(), Curriculum(singles, twins, folder, SEED, BATCH), PLAN, clip_loss)


def shrunk(images: RenderedImages) -> RenderedImages:
    """Return the images in the model's own size, resized as its preprocessing does."""
    small = [Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for image in images.pixels]
    return RenderedImages(np.stack([np.asarray(image) for image in small]), images.scenes)


def clip_loss(output: Sequence[torch.Tensor], scenes: list[Scene], meanings: list[Scene]) -> torch.Tensor:
    """CLIP's loss in both directions; what means the same shares the probability, what was not drawn asks nothing."""
    images, texts, scale = (part.float() for part in output[:3])
    logits = scale.clamp(max=MOST_SCALE) * images @ texts.T
    right = same(scenes, meanings).float()
    shown = right.sum(dim=0) > 0
    each_image = functional.cross_entropy(logits, right / right.sum(dim=1, keepdim=True))
    captions = right.T[shown]
    each_caption = functional.cross_entropy(logits.T[shown], captions / captions.sum(dim=1, keepdim=True))
    return (each_image + each_caption) / 2


if __name__ == "__main__":
    sys.exit(main())
