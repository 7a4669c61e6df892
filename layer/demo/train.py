"""Trains the embedded demo model from a fixed seed and writes it into the repository: `python -m layer.demo.train`.

The snapshot's revision is the SHA-1 of its files' names and SHA-256 sums (see layer/demo/snapshot.py), so the same
content has the same revision.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.nn import functional

from console.parser import Parser
from console.run import run
from layer.demo import evaluate, snapshot
from layer.demo.batches import Batches
from layer.demo.loop import Plan, fit, same
from layer.demo.model import REPOSITORY, new_model, write_untrained, write_weights
from layer.demo.model_card import Training, model_card
from layer.demo.rendering import HELD_OUT, TRAINING, Scene, render_singles, render_twins

SEED = 20261123
PLAN = Plan(steps=5_600, pairs_from=2_000, peak_learning_rate=3e-3)
SINGLES, TWINS = 32_000, 8_000
EVALUATED_SINGLES, EVALUATED_TWINS = 6_400, 2_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, train, measure, write; returns the exit status."""
    return run(lambda: _command(arguments))


def _command(arguments: Sequence[str] | None) -> None:
    Parser(prog="python -m layer.demo.train", description=__doc__).parse_args(arguments)
    started = time.monotonic()
    torch.manual_seed(SEED)
    with TemporaryDirectory(prefix="shapes-i18n-") as name:
        folder = Path(name)
        write_untrained(folder)
        model = new_model(folder)
        train(model, folder)
        write_weights(folder, model)
        minutes = (time.monotonic() - started) / 60
        figures = evaluate.measure(evaluate.load(f"local-dir:{folder}"), HELD_OUT, EVALUATED_SINGLES, EVALUATED_TWINS)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        training = Training(
            seed=SEED,
            steps=PLAN.steps,
            images=SINGLES + 2 * TWINS,
            minutes=minutes,
            threads=torch.get_num_threads(),
            parameters=parameters,
        )
        card = model_card(training, figures)
        (folder / "README.md").write_text(card, encoding="utf-8")
        print(card, snapshot.install(folder, REPOSITORY), sep="\n")


def train(model: torch.nn.Module, folder: Path) -> None:
    """Train `model` in place, with the tokenizer in `folder`."""
    batches = Batches(render_singles(TRAINING, SINGLES), render_twins(TRAINING, TWINS), folder, SEED)
    model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third quicker on a CPU
    fit(model, batches, PLAN, siglip_loss)


def siglip_loss(output: Sequence[torch.Tensor], scenes: list[Scene], meanings: list[Scene]) -> torch.Tensor:
    """Sigmoid loss of every image with every caption; captions that mean the same are positives alike."""
    images, texts, scale, bias = output
    labels = same(scenes, meanings).float() * 2 - 1
    return -functional.logsigmoid(labels * (scale * images @ texts.T + bias)).sum() / len(scenes)


if __name__ == "__main__":
    sys.exit(main())
