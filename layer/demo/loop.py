"""The training loop of both models of the drawn world."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from layer.demo.batches import Batches
from layer.demo.rendering import Scene
from layer.progress import bar

Loss = Callable[[Sequence[torch.Tensor], list[Scene], list[Scene]], torch.Tensor]


@dataclass(frozen=True)
class Plan:
    """How long and how fast; `pairs_from` is the step at which images of two things join: two things are harder.

    `decays_until` is the step at which the learning rate would reach 0, where that is not the last.
    """

    steps: int
    pairs_from: int
    peak_learning_rate: float
    bfloat16: bool = False
    weight_decay: float = 0.05
    warm_up: int = 100
    decays_until: int | None = None

    def learning_rate(self, step: int) -> float:
        """Return the factor of the peak: it rises, then falls as a cosine does."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        return 0.5 + 0.5 * math.cos(
            math.pi * (step - self.warm_up) / ((self.decays_until or self.steps) - self.warm_up)
        )


def fit(model: torch.nn.Module, batches: Batches, plan: Plan, loss_of: Loss) -> None:
    """Train in place; `loss_of` takes what the model returned, the images' scenes and the captions' meanings."""
    optimizer = torch.optim.AdamW(_groups(model, plan.weight_decay), lr=plan.peak_learning_rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, plan.learning_rate)
    with bar("training", plan.steps, "step") as shown:
        for step in range(plan.steps):
            batch = batches.draw(with_pairs=step >= plan.pairs_from)
            with torch.autocast("cpu", torch.bfloat16, enabled=plan.bfloat16):
                output = model(batch.pixels, batch.token_ids)
            loss = loss_of(output, batch.scenes, batch.meanings)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            shown.note(f"loss {loss.item():.3f}")
            shown.update()


def same(scenes: list[Scene], meanings: list[Scene]) -> torch.Tensor:
    """Tell which captions mean what an image shows, in whatever order: bool [images, captions]."""
    ids = {meaning: i for i, meaning in enumerate({frozenset(scene) for scene in [*scenes, *meanings]})}
    shown = torch.tensor([ids[frozenset(scene)] for scene in scenes])
    meant = torch.tensor([ids[frozenset(meaning)] for meaning in meanings])
    return shown[:, None] == meant[None, :]


def _groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, object]]:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
