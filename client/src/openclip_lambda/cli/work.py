"""`openclip-lambda embed` and `classify`: many inputs to an API, rows of results to a file or to standard output."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openclip_lambda.bulk import tables
from openclip_lambda.bulk.inputs import Inputs
from openclip_lambda.bulk.outputs import Files, Lines, Output, print_bytes, unhurried
from openclip_lambda.bulk.run import Ask, Run, survey
from openclip_lambda.bulk.terminal import say
from openclip_lambda.cli.options import api_of, api_options
from openclip_lambda.cli.parser import Parser, number
from openclip_lambda.errors import ClientError, InputError
from openclip_lambda.responses import Results

ALL, NONE, SOME, INTERRUPTED = 0, 1, 3, 130  # exit statuses: what became results
MAX_BATCH = 4096  # an API that takes fewer says so, and gets them in parts


def add_embed(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("embed", parents=[api_options(), _shared()], help="embeddings of images and texts")
    parser.add_argument("--text", action="append", default=[], help="may be given more than once")
    parser.add_argument("--output", type=Path, help=".npy, .csv or .json (default: JSON lines)")
    parser.set_defaults(run=_embed)


def add_classify(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("classify", parents=[api_options(), _shared()], help="scores of labels for images")
    parser.add_argument("--label", action="append", required=True, help="more than once")
    parser.add_argument("--template", default="a photo of a {}", help="default: %(default)s")
    parser.add_argument("--output", type=Path, help=".csv or .json (default: JSON lines)")
    parser.set_defaults(run=_classify)


def _shared() -> Parser:
    parser = Parser(add_help=False)
    parser.add_argument("inputs", nargs="*", metavar="IMAGE", help="a file, a directory of them, or s3://bucket/key")
    parser.add_argument("--model", help="default: the bundle's first")
    parser.add_argument(
        "--batch", type=number(1, MAX_BATCH), default=16, metavar="N", help="items a request; default: %(default)s"
    )
    return parser


def _embed(options: argparse.Namespace) -> int:
    api, results = api_of(options), Results()
    asked = {"encoding_format": "base64", **_model(options)}

    def ask(items: list[dict[str, Any]]) -> Any:
        return results.embeddings(api.post("/v1/embeddings", {"input": items, **asked}), len(items))

    return _work(options, Inputs(options.inputs, options.text), ask, tables.EMBEDDINGS)


def _classify(options: argparse.Namespace) -> int:
    api, results = api_of(options), Results()
    if len(set(options.label)) < len(options.label):
        raise InputError("a label is given twice: give each --label once")
    asked = {"labels": options.label, "template": options.template, **_model(options)}

    def ask(items: list[dict[str, Any]]) -> Any:
        answer = api.post("/v1/classify", {"input": [item["image"] for item in items], **asked})
        return results.scores(answer, len(items), options.label)

    return _work(options, Inputs(options.inputs), ask, tables.SCORES)


def _work(options: argparse.Namespace, inputs: Inputs, ask: Ask, formats: Sequence[str]) -> int:
    """Check what can be checked before the first request, then send everything; return the exit status."""
    files = Files(options.output, formats) if options.output and str(options.output) != "-" else None
    total = survey(inputs, files.identities() if files else set())
    if inputs.left_out:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(inputs.left_out.items())[:20])
        say(f"not looked at, since their names are not those of images: {kinds}")
    if files:
        files.open()
    output: Output = files or Lines()
    requests = Run(ask, output, total)
    complete = False
    try:
        requests.go(inputs, options.batch)
        complete = True
        return _status(requests)
    except ClientError as error:
        say(f"error: {error}")
        return SOME if requests.done else NONE
    except KeyboardInterrupt:
        say("stopped")
        return INTERRUPTED
    finally:
        with unhurried():
            place = output.finish(complete)
        _summary(requests, place, complete)
        if options.json:
            print_bytes(tables.to_json({"report": _report(requests, place, complete)}) + b"\n")


def _status(run: Run) -> int:
    return NONE if not run.done else SOME if run.skipped else ALL


def _summary(run: Run, place: Path | None, complete: bool) -> None:
    """Count, where not everything became a result."""
    if complete and not run.skipped:
        return
    left = "" if complete else f", {max(0, run.total - run.done - run.skipped):,} not sent"
    where = f": results are in {place}" if place else ""
    say(f"{run.done:,} of {run.total:,} done, {run.skipped:,} skipped{left}{where}")


def _report(run: Run, place: Path | None, complete: bool) -> dict[str, Any]:
    return {
        "complete": complete,
        "total": run.total,
        "done": run.done,
        "skipped": run.skipped,
        "output": str(place) if place else None,
    }


def _model(options: argparse.Namespace) -> dict[str, str]:
    return {"model": options.model} if options.model else {}
