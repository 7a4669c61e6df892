"""`[evaluate]` and `[gate]` of models.toml: the images that a build is measured on, and the loss that it may have."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer.errors import SpecError
from layer.files.user_paths import path_in
from layer.naming import tables
from layer.naming.validate import shown

TABLES = ("evaluate", "gate")
TEMPLATE = "a photo of a {}"
LIMIT = 10_000  # images of `evaluate`; a larger set is sampled
LOSSES = {"pairs": "max_recall_loss", "labels": "max_accuracy_loss"}  # keys of [gate], by the data they are measured on
PLACES = {"[evaluate]": (*LOSSES, "template"), "[gate]": (*LOSSES.values(),)}


@dataclass(frozen=True)
class Evaluation:
    """What models.toml asks of a build: data to measure on, and the greatest losses to open_clip, as shares of 1."""

    pairs: Path | None = None
    labels: Path | None = None
    templates: tuple[str, ...] = (TEMPLATE,)
    max_recall_loss: float | None = None
    max_accuracy_loss: float | None = None


def read(path: Path, data: Mapping[str, Any]) -> Evaluation | None:
    """Read both tables; None where there is neither. Raises SpecError naming the key and the fix."""
    if not any(name in data for name in TABLES):
        return None
    asked, gate = _table(path, data, "evaluate"), _table(path, data, "gate")
    places = {key: _place(path, key, asked[key]) for key in LOSSES if key in asked}
    if not places:
        raise SpecError(f'{path}: [gate] has nothing to measure on: add [evaluate] with pairs = "captions.csv"')
    losses = {key: _loss(path, key, value) for key, value in gate.items()}
    for kind, key in LOSSES.items():
        if key in losses and kind not in places:
            raise SpecError(f"{path}: {key} in [gate] is measured on {kind}: add {kind} to [evaluate]")
    return Evaluation(
        places.get("pairs"),
        places.get("labels"),
        templates(asked.get("template", TEMPLATE), f"{path}: template"),
        losses.get("max_recall_loss"),
        losses.get("max_accuracy_loss"),
    )


def templates(value: object, where: str) -> tuple[str, ...]:
    """Return the templates of a value, one or a list, each with one {}. Raises SpecError."""
    found = value if isinstance(value, list | tuple) else [value]
    for one in found:
        if not isinstance(one, str) or one.count("{}") != 1 or not one.isprintable():
            raise SpecError(f"{where} = {shown(one)}: write a text with one {{}}, where the class comes")
    if not found:
        raise SpecError(f"{where} is empty: leave it out for {TEMPLATE!r}")
    return tuple(found)


def _table(path: Path, data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, dict):
        raise SpecError(f"{path}: {name} is not a table: write [{name}]")
    tables.refuse_unknown(path, f"[{name}]", table, PLACES[f"[{name}]"], PLACES)
    return table


def _place(path: Path, key: str, value: object) -> Path:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise SpecError(f"{path}: {key} = {shown(value)} in [evaluate]: write a path, relative to this file")
    return path_in(path, value)


def _loss(path: Path, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise SpecError(f"{path}: {key} = {shown(value)} in [gate]: write a share of 1, as in {key} = 0.002")
    return float(value)
