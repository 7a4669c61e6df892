"""`python -m layer evaluate`: the quality certificate of a bundle, on the user's own images."""

import argparse
import dataclasses
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from console.parser import Parser, count
from layer.cli import models_file, sources
from layer.cli.printer import BUNDLE, CACHE, printer
from layer.errors import EvaluationError
from layer.gate.settings import LIMIT, TEMPLATE, Evaluation, templates
from layer.spec import DEFAULT_SPEC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layer.quality.data import Data
    from layer.quality.evaluate import Result


def add(commands: "argparse._SubParsersAction[Parser]") -> None:
    """Add the command."""
    evaluate = commands.add_parser("evaluate", help="measure a bundle on your own images beside open_clip in fp32")
    data = evaluate.add_mutually_exclusive_group()
    data.add_argument("--pairs", type=Path, help="a CSV of image paths and captions, or images with a .txt beside each")
    data.add_argument("--labels", type=Path, help="a folder for each class, with images; its name is the class")
    evaluate.add_argument("--template", action="append", help=f"of a class's prompt (default: {TEMPLATE}); repeatable")
    evaluate.add_argument(
        "--image-column", metavar="NAME", help="of the CSV (default: image, filepath, file_name, ...)"
    )
    evaluate.add_argument("--caption-column", metavar="NAME", help="of the CSV (default: caption, title, text, ...)")
    evaluate.add_argument("--limit", type=count, default=LIMIT, help="images; of more, a sample (default: %(default)s)")
    evaluate.add_argument("--model", metavar="ID", help="one model of the bundle (default: all)")
    evaluate.add_argument("--bundle", type=Path, action="append", help=f"default: {BUNDLE}; repeatable, to compare")
    evaluate.add_argument("--models", type=Path, default=DEFAULT_SPEC, help="the models.toml it was built from")
    evaluate.add_argument("--cache", type=Path, default=CACHE, help="keeps downloads and embeddings")
    evaluate.add_argument("--chart", type=Path, metavar="FILE", help="draw the figures into a .png or .svg")
    evaluate.add_argument("--keep-manifest", action="store_true", help="do not write the figures into the manifest")
    sources.add_option(evaluate)
    evaluate.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    spec = models_file.read(options.models)
    sources.check_endpoint()
    asked = _asked(options, spec.evaluation)
    if options.chart:
        _check_chart(options.chart)
    from layer.bundle.verify import check_files
    from layer.files import disk_errors, overlap, replace
    from layer.files.directory_lock import held
    from layer.quality import evaluate
    from layer.sources import lock

    bundles = list(dict.fromkeys(map(replace.place, options.bundle or [BUNDLE])))
    _check_manifests([] if options.keep_manifest else bundles)
    overlap.refuse(options.cache, [(f"--bundle {one}", one) for one in bundles], overlap.CHANGED, overlap.CACHE)
    pins = lock.read(lock.lock_path(options.models))
    places = evaluate.Places(spec, pins, sources.of(options), options.cache)
    with disk_errors.explained("the evaluation", options.cache, *bundles):
        data = evaluate.data_of(asked, (options.image_column, options.caption_column), options.limit)
        _refuse_input(options.chart, data)
        with ExitStack() as locks:
            locks.enter_context(held(options.cache / ".lock", str(options.cache)))
            results = []
            for bundle in bundles:
                if not options.keep_manifest:  # as a build holds it
                    locks.enter_context(held(bundle.with_name(f".{bundle.name}.lock"), str(bundle)))
                check_files(bundle)  # the figures are to be of what the manifest says
                found = evaluate.evaluate(bundle, options.model, data, places)
                if not options.keep_manifest and evaluate.write(bundle, found):
                    _note(bundle)
                results += found
        _draw(results, options.chart)
    printer(options).show_quality(results)
    if spec.evaluation:
        evaluate.refuse_loss(spec.evaluation, results)


def _check_manifests(bundles: "Sequence[Path]") -> None:
    """Raise EvaluationError if the figures cannot be written into a manifest, before they take minutes."""
    for bundle in bundles:
        if bundle.is_dir() and not os.access(bundle, os.W_OK):
            raise EvaluationError(
                f"{bundle} cannot be written, and the figures go into its manifest: add --keep-manifest to have them "
                "printed alone"
            )


def _check_chart(chart: Path) -> None:
    """Raise EvaluationError if a chart cannot be written, before its figures take minutes."""
    if chart.suffix not in (".png", ".svg"):
        raise EvaluationError(f"--chart {chart}: name a file that ends in .png or .svg")
    above = next(path for path in chart.absolute().parents if os.path.lexists(path))
    if chart.is_dir() or not above.is_dir() or not os.access(above, os.W_OK):
        reason = "is a directory" if chart.is_dir() else f"cannot be written in {above}"
        raise EvaluationError(f"--chart {chart} {reason}: name another file")


def _refuse_input(chart: Path | None, data: "Sequence[Data]") -> None:
    """Raise EvaluationError where the chart would replace an image that is measured."""
    if chart and chart.exists() and any(chart.samefile(image) for one in data for image in one.images):
        raise EvaluationError(f"--chart {chart} is an image that is measured, and would be replaced: name another file")


def _asked(options: argparse.Namespace, of_spec: Evaluation | None) -> Evaluation:
    """Return what the command line asks for, else what models.toml does."""
    named = templates(options.template or [TEMPLATE], "--template")
    if options.pairs or options.labels:
        return Evaluation(options.pairs, options.labels, named)
    if of_spec is None:
        raise EvaluationError(
            "nothing to measure on: name your images with --pairs or --labels, or in [evaluate] of models.toml"
        )
    return dataclasses.replace(of_spec, templates=named) if options.template else of_spec


def _note(bundle: Path) -> None:
    """Say that a package of this bundle no longer has its manifest: a deployment will refuse it."""
    if (bundle.parent / "package.json").exists():
        print(f"note: the manifest of {bundle} is another now: run `make package` before you deploy", file=sys.stderr)


def _draw(results: "Sequence[Result]", chart: Path | None) -> None:
    if chart:
        from layer.quality.chart import draw

        draw(results, chart)
