"""Measure one model on one set of data: every output beside open_clip in fp32, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from console.counts import counted
from layer.bundle.quality_records import Certificate, Figure
from layer.errors import EvaluationError
from layer.naming.validate import shown
from layer.quality import bootstrap, sides
from layer.quality.data import Data, LeftOut
from layer.quality.embedding import Embedded
from layer.quality.encodings import OUTPUTS
from layer.quality.ranking import Task, hits

REFERENCE = "open_clip"
RECALL_AT, TOP = (1, 5, 10), (1, 5)
MEAN_RECALL = "mean recall"
MIN_IMAGES = 2


def certify(model: sides.Bundled, data: Data) -> tuple[Certificate, Data]:
    """Measure a model; returns the certificate, and the data without what one of the sides refused.

    Raises EvaluationError where too little is left.
    """
    ours = sides.by_handler(model, data)
    data, ours = _without(data, ours.refused, ours)  # what the function refuses, open_clip need not decode
    theirs = sides.by_open_clip(model, data)
    data, ours, theirs = _without(data, theirs.refused, ours, theirs)
    outputs = {REFERENCE: theirs}
    outputs |= {name: Embedded(encode(ours.images), encode(ours.texts)) for name, encode in OUTPUTS.items()}
    figures = _figures(data, outputs)
    created_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    made = Certificate(
        kind=data.kind,
        data=data.name,
        sha256=data.sha256,
        images=len(data.images),
        given=data.given,
        texts=len(data.texts),
        left_out=len(data.left_out),
        templates=list(data.templates) if data.kind == "labels" else [],
        resamples=bootstrap.RESAMPLES,
        seed=bootstrap.SEED,
        confidence=bootstrap.CONFIDENCE,
        created_at=created_at,
        figures=figures,
    )
    return made, data


def _without(data: Data, refused: Mapping[str, Mapping[int, str]], *sides: Embedded) -> tuple[Any, ...]:
    """Leave out what one side could not embed: returns the data, and each side's vectors of what is left."""
    reasons = [LeftOut(str(data.images[place]), reason) for place, reason in sorted(refused["image"].items())]
    reasons += [LeftOut(shown(data.texts[place]), reason) for place, reason in sorted(refused["text"].items())]
    images, texts = (
        set(range(len(data.images))) - set(refused["image"]),
        set(range(len(data.texts))) - set(refused["text"]),
    )
    left, seen, said = data.only(images, texts)
    if len(left.images) < MIN_IMAGES or len(left.texts) < MIN_IMAGES:
        raise EvaluationError(
            f"{data.name}: of {counted(len(data.images), 'image')} and {counted(len(data.texts), 'text')}, "
            f"{len(left.images)} and {len(left.texts)} can be measured: give two of each or more"
            + "".join(f"\n  {one.what}: {one.reason}" for one in (*data.left_out, *reasons)[:5])
        )
    kept = (Embedded(side.images[seen], side.texts[said], side.refused) for side in sides)
    given = data.given - (len(data.images) - len(left.images))  # what cannot be used is told, and is not of the sample
    return replace(left, left_out=(*left.left_out, *reasons), given=given), *kept


def _figures(data: Data, outputs: dict[str, Embedded]) -> list[Figure]:
    by_image, of_itself = _grouped(data.right, len(data.images)), np.arange(len(data.images))
    if data.kind == "labels":
        measured = _measured("top-{} accuracy", TOP, outputs, _Direction(True, by_image, of_itself))
    else:
        by_text = _grouped([(text, image) for image, text in data.right], len(data.texts))
        first = np.array([places[0] for places in by_text])
        measured = {
            **_measured("text-to-image recall@{}", RECALL_AT, outputs, _Direction(False, by_text, first)),
            **_measured("image-to-text recall@{}", RECALL_AT, outputs, _Direction(True, by_image, of_itself)),
        }
    found = dict(zip(measured, bootstrap.draw(list(measured.values()), len(data.images)), strict=True))
    if data.kind == "pairs":
        found[MEAN_RECALL] = bootstrap.mean(list(found.values()))
    return [figure for metric, drawn in found.items() for figure in _of(metric, drawn, list(outputs))]


@dataclass(frozen=True)
class _Direction:
    """Queries from images or from texts: each one's right answers, and the image that it is resampled with."""

    from_images: bool
    right: Sequence[NDArray[np.int64]]
    image: NDArray[np.int64]


def _measured(
    metric: str, cutoffs: Sequence[int], outputs: dict[str, Embedded], way: _Direction
) -> dict[str, bootstrap.Hits]:
    one = next(iter(outputs.values()))
    candidates = len(one.texts if way.from_images else one.images)
    ks = [k for k in cutoffs if k < candidates] or [1]  # the first k of k candidates are all
    found = []
    for vectors in outputs.values():
        ends = (vectors.images, vectors.texts) if way.from_images else (vectors.texts, vectors.images)
        found.append(hits(Task(*ends, way.right), ks))
    by_cutoff = np.stack(found, axis=2).transpose(1, 0, 2)  # [cutoffs, queries, outputs]
    return {metric.format(k): bootstrap.Hits(rows, way.image) for k, rows in zip(ks, by_cutoff, strict=True)}


def _of(metric: str, drawn: bootstrap.Drawn, outputs: Sequence[str]) -> list[Figure]:
    figures = []
    for output, (share, loss) in zip(outputs, bootstrap.estimates(drawn, outputs.index(REFERENCE)), strict=True):
        numbers = (share.value, share.low, share.high, loss.value, loss.low, loss.high)
        figures.append(Figure(output, metric, *(round(number, 6) for number in numbers)))
    return figures


def _grouped(pairs: Sequence[tuple[int, int]], count: int) -> list[NDArray[np.int64]]:
    found: list[list[int]] = [[] for _ in range(count)]
    for one, other in pairs:
        found[one].append(other)
    return [np.array(sorted(places)) for places in found]
