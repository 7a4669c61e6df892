"""The command line: `python -m client embed | classify | health`."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from client import credentials, tables
from client.api import Api
from client.errors import ClientError, InputError
from client.inputs import Inputs
from client.outputs import Files, Lines, Output, print_bytes, unhurried
from client.responses import Results
from client.run import Ask, Run, survey
from client.terminal import say
from console.parser import Parser
from console.run import run

ALL, NONE, SOME, INTERRUPTED = 0, 1, 3, 130  # exit statuses: what became results
MAX_BATCH = 256


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. An error is one message on stderr, never a traceback."""
    return run(lambda: _command(arguments), (ClientError,))


def _command(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    status: int = options.run(options, _api(options))
    return status


def _parser() -> Parser:
    parser = Parser(prog="python -m client", description="Ask a deployed embeddings API.")
    shared = Parser(add_help=False)
    shared.add_argument("--url", default=os.environ.get("OPENCLIP_URL"), help="the stack's output Url (OPENCLIP_URL)")
    # From the environment rather than from an argument, which other users of the machine can see.
    shared.add_argument("--api-key", default=os.environ.get("OPENCLIP_API_KEY"), help="or a JWT (OPENCLIP_API_KEY)")
    shared.add_argument("--sigv4", action="store_true", help="sign with the AWS credentials found here (auth=iam)")
    shared.add_argument("--region", help="of the API, for --sigv4")
    shared.add_argument("--insecure-http", action="store_true", help="allow http:// to another machine: unencrypted")
    work = Parser(add_help=False)
    work.add_argument("inputs", nargs="*", metavar="IMAGE", help="a file, a directory of them, or s3://bucket/key")
    work.add_argument("--model", help="default: the bundle's first")
    work.add_argument(
        "--batch", type=_batch, default=16, metavar="N", help=f"items a request, 1 to {MAX_BATCH}; default: %(default)s"
    )

    commands = parser.add_subparsers(required=True, metavar="embed | classify | health")
    embed = commands.add_parser("embed", parents=[shared, work], help="embeddings of images and texts")
    embed.add_argument("--text", action="append", default=[], help="may be given more than once")
    embed.add_argument("--output", type=Path, help=".npy, .csv or .json (default: JSON lines)")
    embed.set_defaults(run=_embed)
    classify = commands.add_parser("classify", parents=[shared, work], help="scores of labels for images")
    classify.add_argument("--label", action="append", required=True, help="more than once")
    classify.add_argument("--template", default="a photo of a {}", help="default: %(default)s")
    classify.add_argument("--output", type=Path, help=".csv or .json (default: JSON lines)")
    classify.set_defaults(run=_classify)
    health = commands.add_parser("health", parents=[shared], help="what runs there; exit status 1 if not well")
    health.add_argument("--deep", action="store_true", help="hash the bundle and compare the golden vectors")
    health.set_defaults(run=_health)
    return parser


def _batch(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_BATCH:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MAX_BATCH}")
    return int(text)


def _api(options: argparse.Namespace) -> Api:
    if not options.url:
        raise ClientError("no address: give --url, or set OPENCLIP_URL to the stack's output Url")
    sign: credentials.Sign = credentials.nobody
    if options.sigv4:
        sign = credentials.signature(options.region)
    elif options.api_key:
        sign = credentials.bearer(options.api_key)
    return Api(options.url, sign, options.insecure_http)


def _embed(options: argparse.Namespace, api: Api) -> int:
    results, model = Results(), _model(options)

    def ask(items: list[dict[str, Any]]) -> Any:
        return results.embeddings(api.post("/v1/embeddings", {"input": items, **model}), len(items))

    return _work(options, Inputs(options.inputs, options.text), ask, tables.EMBEDDINGS)


def _classify(options: argparse.Namespace, api: Api) -> int:
    results = Results()
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


def _status(run: Run) -> int:
    return NONE if not run.done else SOME if run.skipped else ALL


def _summary(run: Run, place: Path | None, complete: bool) -> None:
    """Count, where not everything became a result."""
    if complete and not run.skipped:
        return
    left = "" if complete else f", {max(0, run.total - run.done - run.skipped):,} not sent"
    where = f": results are in {place}" if place else ""
    say(f"{run.done:,} of {run.total:,} done, {run.skipped:,} skipped{left}{where}")


def _health(options: argparse.Namespace, api: Api) -> int:
    health = api.get("/health?deep=true" if options.deep else "/health")
    if not isinstance(health, dict) or "status" not in health:
        raise ClientError(f"{api.url}/health answered without a `status`: is it the stack's output Url?")
    print_bytes(json.dumps(health, indent=1).encode() + b"\n")
    return ALL


def _model(options: argparse.Namespace) -> dict[str, str]:
    return {"model": options.model} if options.model else {}
