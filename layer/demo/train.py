"""Trains the embedded demo model from a fixed seed and writes it into the repository: `python -m layer.demo.train`.

The snapshot's revision is the SHA-1 of its files' names and SHA-256 sums (see layer/demo/snapshot.py), so the same
content has the same revision.
"""

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.nn import functional
from tqdm import trange

from console.parser import Parser
from console.run import run
from layer.demo import evaluate, snapshot
from layer.demo.batches import Batches
from layer.demo.model import REPOSITORY, new_model, write_untrained, write_weights
from layer.demo.model_card import Training, model_card
from layer.demo.rendering import HELD_OUT, TRAINING, Scene, render_singles, render_twins

SEED = 20261123
STEPS, PAIRS_FROM = 5_600, 2_000  # at first each image shows one thing: two things are harder
SINGLES, TWINS = 32_000, 8_000
PEAK_LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 3e-3, 0.05, 100
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
            steps=STEPS,
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
    optimizer = torch.optim.AdamW(_groups(model), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _learning_rate)
    model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third quicker on a CPU
    progress = trange(STEPS, desc="training", unit="step")
    for step in progress:
        batch = batches.draw(with_pairs=step >= PAIRS_FROM)
        output = model(batch.pixels, batch.token_ids)
        loss = siglip_loss(output, batch.scenes, batch.meanings)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)


def siglip_loss(output: Sequence[torch.Tensor], scenes: list[Scene], meanings: list[Scene]) -> torch.Tensor:
    """Sigmoid loss of every image with every caption; captions that mean the same are positives alike."""
    images, texts, scale, bias = output
    ids = {meaning: i for i, meaning in enumerate({frozenset(scene) for scene in [*scenes, *meanings]})}
    shown = torch.tensor([ids[frozenset(scene)] for scene in scenes])
    meant = torch.tensor([ids[frozenset(meaning)] for meaning in meanings])
    labels = (shown[:, None] == meant[None, :]).float() * 2 - 1
    return -functional.logsigmoid(labels * (scale * images @ texts.T + bias)).sum() / len(scenes)


def _groups(model: torch.nn.Module) -> list[dict[str, object]]:
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _learning_rate(step: int) -> float:
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (step - WARM_UP) / (STEPS - WARM_UP))


if __name__ == "__main__":
    sys.exit(main())
