"""`openclip-lambda embed` and `classify`: many inputs to an API, rows of results to a file or to standard output."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openclip_lambda.bulk import tables
from openclip_lambda.bulk.inputs import Inputs
from openclip_lambda.bulk.journal import Journal
from openclip_lambda.bulk.outputs import Files, Lines, Output, signals_ignored
from openclip_lambda.bulk.run import Run, survey
from openclip_lambda.bulk.sending import Ask
from openclip_lambda.bulk.terminal import print_bytes, say
from openclip_lambda.calls import TEMPLATE
from openclip_lambda.cli.command import FAILED, INTERRUPTED, SOME
from openclip_lambda.cli.options import api_of, api_options
from openclip_lambda.cli.parser import Parser, number
from openclip_lambda.counts import counted
from openclip_lambda.errors import ClientError, InputError
from openclip_lambda.images import Scaling
from openclip_lambda.responses import Results, full_note

MAX_BATCH = 4096  # an API that takes fewer says so, and gets them in parts
MAX_JOBS = 64
KINDS_SHOWN = 20


def add_embed(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("embed", parents=[api_options(), _shared()], help="embeddings of images and texts")
    parser.add_argument("--text", action="append", default=[], help="may be given more than once")
    parser.add_argument("--output", type=Path, help=f"{', '.join(tables.EMBEDDINGS)} (default: JSON lines)")
    parser.set_defaults(run=_embed)


def add_classify(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("classify", parents=[api_options(), _shared()], help="scores of labels for images")
    parser.add_argument("--label", action="append", required=True, help="more than once")
    parser.add_argument("--template", default=TEMPLATE, help="default: %(default)s")
    parser.add_argument("--output", type=Path, help=f"{', '.join(tables.SCORES)} (default: JSON lines)")
    parser.set_defaults(run=_classify)


def _shared() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="IMAGE",
        help="a file, a directory, a pattern, s3://bucket/key; -: a list on stdin",
    )
    parser.add_argument("--model", help="default: the bundle's first")
    parser.add_argument(
        "--batch", type=number(1, MAX_BATCH), default=16, metavar="N", help="items a request; default: %(default)s"
    )
    parser.add_argument(
        "--jobs", type=number(1, MAX_JOBS), default=1, metavar="N", help="requests at once; default: %(default)s"
    )
    parser.add_argument(
        "--max-side",
        type=number(16, 65500),
        metavar="PIXELS",
        help="scale images that are larger; default: only what is too large",
    )
    parser.add_argument("--upright", action="store_true", help="turn images as their EXIF says; open_clip does not")
    parser.add_argument("--resume", action="store_true", help="go on where a run with this --output ended early")
    return parser


def _embed(options: argparse.Namespace) -> int:
    api, results = api_of(options), Results()
    asked = {"encoding_format": "base64", **_asked(options)}

    def ask(items: list[dict[str, Any]]) -> Any:
        return results.embeddings(api.post("/v1/embeddings", {"input": items, **asked}), len(items))

    return _work(options, Inputs(options.inputs, options.text), ask, results, tables.EMBEDDINGS)


def _classify(options: argparse.Namespace) -> int:
    api, results = api_of(options), Results()
    if len(set(options.label)) < len(options.label):
        raise InputError("a label is given twice: give each --label once")
    if tables.NAME in options.label and options.output and options.output.suffix.lower() in tables.COLUMNS:
        raise InputError(
            f"the label {tables.NAME} and the images' names would be two columns of one name: choose .json or .jsonl, "
            "or give the label another name"
        )
    asked = {"labels": options.label, "template": options.template, **_asked(options)}

    def ask(items: list[dict[str, Any]]) -> Any:
        answer = api.post("/v1/classify", {"input": [item["image"] for item in items], **asked})
        return results.scores(answer, len(items), options.label)

    return _work(options, Inputs(options.inputs), ask, results, tables.SCORES)


def _work(options: argparse.Namespace, inputs: Inputs, ask: Ask, results: Results, formats: Sequence[str]) -> int:
    """Check what can be checked before the first request, then send everything; return the exit status."""
    files = Files(options.output, formats) if options.output and str(options.output) != "-" else None
    if options.resume and not files:
        raise InputError("--resume goes on from what is beside the --output: give that, too")
    total = survey(inputs, files.identities() if files else set())
    if inputs.left_out:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(inputs.left_out.items())[:KINDS_SHOWN])
        say(f"not looked at, since their names are not those of images: {kinds}")
    journal = _opened(files, options, results) if files else None
    output: Output = files or Lines()
    run, complete = Run(ask, results, output, total, journal), False
    try:
        run.go(inputs, options.batch, options.jobs, Scaling(options.max_side, options.upright))
        complete = True
        return _status(run)
    except ClientError as error:
        say(f"error: {error}")
        return SOME if run.done else FAILED
    except KeyboardInterrupt:
        say("stopped")
        return INTERRUPTED
    finally:
        with signals_ignored():
            place = output.finish(complete)
            if journal:
                journal.close(complete)
        if results.full:
            say(f"note: {full_note(results.full)}")
        _summary(run, place, complete)
        if options.json:
            print_bytes(tables.to_json({"report": _report(run, results, place, complete)}) + b"\n")


def _opened(files: Files, options: argparse.Namespace, results: Results) -> Journal:
    """Open the output's files and its journal, whose results must be of the model that answers now."""
    asked = {name: getattr(options, name, None) for name in ("model", "label", "template", "max_side", "upright")}
    files.open()
    try:
        journal = Journal(files.target, asked, options.resume, files.scratch())
    except ClientError:
        files.discard()
        raise
    results.expect(journal.model, journal.manifest, None)
    if options.resume:
        told = (
            f"resuming after {counted(journal.count, 'result')}"
            if journal.count
            else "nothing to resume: from the beginning"
        )
        say(told)
    return journal


def _status(run: Run) -> int:
    return FAILED if not run.done else SOME if run.skipped else 0


def _summary(run: Run, place: Path | None, complete: bool) -> None:
    """Print the counts, and the reason if not every input has a result."""
    if complete and not run.skipped and not place:
        return  # the rows on standard output say it all
    left = "" if complete else f", {max(0, run.total - run.done - run.skipped):,} not sent"
    where = f": results are in {place}" if place else ""
    say(f"{run.done:,} of {run.total:,} done, {run.skipped:,} skipped{left}{where}")
    if run.skipped > 1:
        for kind, count in run.why.most_common(KINDS_SHOWN):
            say(f"  {count:,} skipped: {kind}")
    if not complete and place:
        say("the same command with --resume goes on from there")


def _report(run: Run, results: Results, place: Path | None, complete: bool) -> dict[str, Any]:
    return {
        "complete": complete,
        "total": run.total,
        "done": run.done,
        "skipped": run.named,
        "output": str(place) if place else None,
        "model": results.model,
        "manifest_sha256": results.manifest,
    }


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    model = {"model": options.model} if options.model else {}
    return {**model, **({"exif_orientation": True} if options.upright else {})}
