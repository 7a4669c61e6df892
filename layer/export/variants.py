"""What a tower that passed the gate may also run as, on processors that are faster so.

Each is measured as the tower itself was: with groups of activations (`grouped_graph`), and in bfloat16. One that does
not run is left out as one that is not exact enough: the tower itself does run.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from layer.bundle.export_records import GroupedGraph, Trial
from layer.engines import ENGINES, Recipe
from layer.export.bounds import MOST_BF16_LOSS
from layer.export.comparison import TOWERS, Compared, Comparison, NotRunError
from layer.export.ir_file import grouped_path
from layer.findings.printable import printable

BF16 = "bf16"  # a variant in the handler's report (handler/engines/openvino_variants.py)
NO_VECTORS = -1.0  # the least cosine that there is, of a variant that gave nothing to compare


def with_variants(
    gate: Comparison,
    found: Compared,
    recipes: Mapping[str, Recipe],
    graphs: Mapping[str, Path],
    tried: list[Trial],
    step: Callable[[str], None],
) -> Compared:
    """Return `found`, whose towers passed, with what else they may run as; adds what was refused to `tried`.

    `graphs` are the fp32 graphs that the towers were written from.
    """
    engine = ENGINES[gate.model.engine]
    if gate.model.precision != "int8":
        return found
    if engine.bf16_images:
        step("comparing in bfloat16, where this processor has it")
        found = in_bf16(gate, found, tried)
    if engine.grouped_writer:
        step("comparing with groups of activations, where they may be faster")
        found = _with_groups(gate, found, recipes, graphs, tried)
    return found


def in_bf16(gate: Comparison, found: Compared, tried: list[Trial]) -> Compared:
    """Measure the image tower, which passed, in bfloat16; returns `found` with that cosine.

    `found` is returned unchanged if this processor has no bfloat16, or if it is not exact enough. The same if it
    loses much more than the recipe itself: on images unlike the samples, it might then lose more than the bound.
    """
    image = replace(found.export.image, bf16_cosine=1.0)  # any cosine, so that the handler uses bfloat16
    export = replace(found.export, image=image)
    try:
        measured, variants = gate.measured(export, found.entry.jpeg_decoding)
    except NotRunError as error:
        tried.append(_left_out(gate, "image", f"{image.recipe}, {BF16}", error))
        return found
    if variants.get("image") != BF16:
        return found
    lost = 1 - measured.parity.min_image_cosine
    if "image" in measured.inexact or lost > MOST_BF16_LOSS * (1 - found.parity.min_image_cosine):
        tried.append(measured.trial("image", f"{image.recipe}, {BF16}"))
        return found
    seen = replace(image, bf16_cosine=measured.parity.min_image_cosine)
    return replace(found, export=replace(found.export, image=seen))


def _with_groups(
    gate: Comparison, found: Compared, recipes: Mapping[str, Recipe], graphs: Mapping[str, Path], tried: list[Trial]
) -> Compared:
    """Write the second graph of each tower that has one, measure it in the place of the first, and record it."""
    engine = ENGINES[gate.model.engine]
    write = engine.load_grouped_writer()
    made = {tower: write(graphs[tower], recipes[tower], gate.folder / f"{tower}.{engine.suffix}") for tower in TOWERS}
    sizes = {tower: size for tower, size in made.items() if size}
    return _measured(gate, found, recipes, sizes, tried) if sizes else found


def _measured(
    gate: Comparison, found: Compared, recipes: Mapping[str, Recipe], sizes: Mapping[str, int], tried: list[Trial]
) -> Compared:
    """Return `found` with the second graphs of the towers of `sizes` that are exact; the files of others are removed.

    Where the handler does not run them together, each is measured alone, so that one does not cost the other.
    """
    paths = {tower: gate.folder / f"{tower}.{ENGINES[gate.model.engine].suffix}" for tower in sizes}
    second = {tower: replace(recipes[tower], group=size) for tower, size in sizes.items()}
    refused: list[Trial] = []
    try:
        with _in_place([*paths.values()]):
            measured = gate.compare({**recipes, **second}, found.entry.jpeg_decoding)
            if "image" in sizes and "image" not in measured.inexact and ENGINES[gate.model.engine].bf16_images:
                measured = in_bf16(gate, measured, refused)
    except NotRunError as error:
        for tower, size in sizes.items():
            if len(sizes) > 1:
                found = _measured(gate, found, recipes, {tower: size}, tried)
            else:
                tried.append(_left_out(gate, tower, _grouped(recipes[tower].name, size), error))
                grouped_path(paths[tower]).unlink()
        return found
    towers = {"image": found.export.image, "text": found.export.text}
    for tower, size in sizes.items():
        if tower in measured.inexact:
            refused.append(measured.trial(tower, recipes[tower].name))
            grouped_path(paths[tower]).unlink()
            continue
        in_bfloat16 = measured.export.image.bf16_cosine if tower == "image" else None
        towers[tower] = replace(towers[tower], grouped=GroupedGraph(size, measured.lowest(tower), in_bfloat16))
    tried += [replace(row, recipe=_grouped(row.recipe, sizes[row.tower])) for row in refused]
    return replace(found, export=replace(found.export, image=towers["image"], text=towers["text"]))


def _grouped(recipe: str, size: int) -> str:
    return f"{recipe}, groups of {size}"


def _left_out(gate: Comparison, tower: str, recipe: str, error: NotRunError) -> Trial:
    """Return the manifest's record of a variant that gave no vectors, and say so."""
    reason = printable(" ".join(error.reason.split()))
    print(
        f"note: the {tower} tower of {gate.model.id} is built without a faster variant ({recipe}), with which the "
        f"handler fails on this machine: {reason}",
        file=sys.stderr,
    )
    return Trial(tower, recipe, NO_VECTORS, reason)


@contextmanager
def _in_place(towers: Sequence[Path]) -> Iterator[None]:
    """Within this block, the second graph of each tower has the name of the first, as if it were the tower."""
    kept = {tower: tower.with_suffix(".first") for tower in towers}
    for tower, first in kept.items():
        tower.rename(first)
        grouped_path(tower).rename(tower)
    try:
        yield
    finally:
        for tower, first in kept.items():
            tower.rename(grouped_path(tower))
            first.rename(tower)
