"""Evaluate the models of a bundle, write what was found into its manifest, and hold it to models.toml's gate."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from console.counts import counted
from layer.bundle import manifest
from layer.bundle.build_cache import Built
from layer.bundle.quality_records import Certificate
from layer.bundle.records import ModelEntry
from layer.errors import EvaluationError
from layer.gate.settings import LIMIT, LOSSES, Evaluation
from layer.naming import addresses
from layer.quality import decoded_differently, reading
from layer.quality.certificate import MEAN_RECALL, certify
from layer.quality.data import Data, LeftOut
from layer.quality.sides import Bundled
from layer.sources import lock as locks
from layer.sources.prepared.chosen import Options
from layer.spec import Spec

GATED = (MEAN_RECALL, "top-1 accuracy")  # one recall of a few thousand images changes by a point of itself


@dataclass(frozen=True)
class Result:
    """What was found of one model of a bundle on one set of data. `engine` is as "openvino int8"."""

    bundle: Path
    model: str
    engine: str
    certificate: Certificate
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Places:
    """Where things are: models.toml as read, its lock, prepared caches, and the builder's cache."""

    spec: Spec
    lock: locks.Lock
    sources: Options | None
    cache: Path


def data_of(asked: Evaluation, columns: tuple[str | None, str | None] = (None, None), limit: int = LIMIT) -> list[Data]:
    """Read the data that is asked for, and say what of it no engine embeds as open_clip. Raises EvaluationError."""
    found = [reading.pairs(asked.pairs, columns, limit)] if asked.pairs else []
    found += [reading.labels(asked.labels, asked.templates, limit)] if asked.labels else []
    for one in found:
        decoded_differently.note(one)
    return found


def evaluate(bundle: Path, model: str | None, data: Sequence[Data], places: Places) -> list[Result]:
    """Measure the models of a bundle, or one of them. Raises EvaluationError."""
    facts = manifest.read(bundle)
    wanted = addresses.plain(model).removeprefix("hf-hub:") if model else None
    entries = [entry for entry in facts.models if wanted in (None, entry.id)]
    if not entries:
        there = ", ".join(entry.id for entry in facts.models)
        raise EvaluationError(f"{bundle} has no model {model!r}: it has {there}")
    results = []
    for entry in entries:
        bundled = Bundled(bundle, facts, entry, places.spec, places.lock, places.sources or Options(), places.cache)
        for one in data:
            made, left = certify(bundled, one)
            engine = f"{entry.engine} {entry.precision}"
            results.append(Result(bundle, entry.id, engine, made, left.left_out))
    return results


def write(bundle: Path, results: Sequence[Result]) -> bool:
    """Write the certificates into the bundle's manifest, aside first; those of the same data are replaced.

    Returns whether the manifest is another one now: the same figures leave it as it was.
    """
    before = manifest.read(bundle)
    facts = replace(before, models=[_certified(entry, results) for entry in before.models])
    if facts == before:
        return False
    beside = bundle if bundle.is_mount() else bundle.parent  # nothing is renamed from one volume to another
    aside = beside / f".{bundle.name}.{os.getpid()}.manifest"
    aside.mkdir()
    try:
        manifest.write_facts(aside, facts)
        (aside / manifest.NAME).chmod(0o644)
        (aside / manifest.NAME).replace(bundle / manifest.NAME)
    finally:
        (aside / manifest.NAME).unlink(missing_ok=True)
        aside.rmdir()
    return True


def refuse_loss(asked: Evaluation, results: Sequence[Result]) -> None:
    """Raise EvaluationError with the numbers where an engine loses more to open_clip than [gate] allows."""
    lost = []
    for result in results:
        bound = getattr(asked, LOSSES[result.certificate.kind])
        for one in result.certificate.figures if bound is not None else ():
            if one.output == "float" and one.metric in GATED and one.loss > bound:
                lost.append(
                    f"{result.model} on {result.certificate.data}: {one.metric} {one.value:.4f}, open_clip "
                    f"{one.value + one.loss:.4f}: {one.loss:.4f} lost ({one.loss_low:.4f} to {one.loss_high:.4f}), "
                    f"{LOSSES[result.certificate.kind]} = {bound:g}"
                )
    if lost:
        listing = "\n  ".join(lost)
        raise EvaluationError(
            f"[gate] in models.toml refuses what was measured:\n  {listing}\n"
            'set precision = "fp32" for the model, or another engine; where the interval has the bound in it, '
            "more images tell them apart"
        )


def _note_left_out(results: Sequence[Result]) -> None:
    """Say how much of the data a build could not use: it shows no table, and a gate is to be of all of the data."""
    for result in results:
        made, unused = result.certificate, len(result.left_out)
        if unused:
            told = f"{unused:,} rows or files of {made.data} cannot be used, {counted(made.images, 'image')} measured"
            print(f"note: {result.model}: {told}: `python -m layer evaluate` says why", file=sys.stderr)


def certified(parts: Sequence[Built], asked: Evaluation, places: Places) -> list[Built]:
    """Measure every built model on models.toml's data, and hold it to the gate. Raises EvaluationError."""
    data = data_of(asked)
    made = []
    for part in parts:
        results = evaluate(part.bundle, None, data, places)
        _note_left_out(results)
        refuse_loss(asked, results)
        facts = replace(part.facts, models=[_certified(entry, results) for entry in part.facts.models])
        made.append(replace(part, facts=facts))
    return made


def _certified(entry: ModelEntry, results: Sequence[Result]) -> ModelEntry:
    new = [result.certificate for result in results if result.model == entry.id]
    return manifest.with_certificates(entry, new)
