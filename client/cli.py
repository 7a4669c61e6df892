"""The command line: `python -m client embed | classify | health`."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from client import credentials, outputs
from client.api import Api
from client.errors import ClientError
from client.inputs import Source, batches, sources


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. An error is one message on stderr, never a traceback."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options, _api(options))
    except ClientError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m client", description="Ask a deployed embeddings API.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--url", default=os.environ.get("OPENCLIP_URL"), help="the stack's output Url (OPENCLIP_URL)")
    # From the environment rather than from an argument, which other users of the machine can see.
    shared.add_argument("--api-key", default=os.environ.get("OPENCLIP_API_KEY"), help="or a JWT (OPENCLIP_API_KEY)")
    shared.add_argument("--sigv4", action="store_true", help="sign with the AWS credentials found here (auth=iam)")
    shared.add_argument("--region", help="of the API, for --sigv4")
    work = argparse.ArgumentParser(add_help=False)
    work.add_argument("inputs", nargs="*", metavar="PICTURE", help="a file, a directory of them, or s3://bucket/key")
    work.add_argument("--model", help="default: the bundle's first")
    work.add_argument("--batch", type=int, default=16, choices=range(1, 257), metavar="N", help="default: %(default)s")

    commands = parser.add_subparsers(required=True, metavar="embed | classify | health")
    embed = commands.add_parser("embed", parents=[shared, work], help="embeddings of pictures and texts")
    embed.add_argument("--text", action="append", default=[], help="may be given more than once")
    embed.add_argument("--output", type=Path, help=".npy, .csv or .json (default: JSON lines)")
    embed.set_defaults(run=_embed)
    classify = commands.add_parser("classify", parents=[shared, work], help="scores of labels for pictures")
    classify.add_argument("--label", action="append", required=True, help="more than once")
    classify.add_argument("--template", default="a photo of a {}", help="default: %(default)s")
    classify.add_argument("--output", type=Path, help=".csv or .json (default: JSON lines)")
    classify.set_defaults(run=_classify)
    health = commands.add_parser("health", parents=[shared], help="what runs there; exit status 1 if not well")
    health.add_argument("--deep", action="store_true", help="hash the bundle and compare the golden vectors")
    health.set_defaults(run=_health)
    return parser


def _api(options: argparse.Namespace) -> Api:
    if not options.url:
        raise ClientError("no address: give --url, or set OPENCLIP_URL to the stack's output Url")
    if options.sigv4:
        return Api(options.url, credentials.signature(options.region))
    return Api(options.url, credentials.bearer(options.api_key) if options.api_key else credentials.nobody)


def _embed(options: argparse.Namespace, api: Api) -> None:
    outputs.check(options.output, outputs.EMBEDDINGS)
    rows = []
    for batch, items in _progress(sources(options.inputs, options.text), options.batch):
        answer = api.post("/v1/embeddings", {"input": items, **_model(options)})
        rows += [
            {"name": source.name, "embedding": item["embedding"]}
            for source, item in zip(batch, answer["data"], strict=True)
        ]
    outputs.write(rows, options.output)


def _classify(options: argparse.Namespace, api: Api) -> None:
    outputs.check(options.output, outputs.SCORES)
    asked = {"labels": options.label, "template": options.template, **_model(options)}
    rows = []
    for batch, items in _progress(sources(options.inputs, []), options.batch):
        answer = api.post("/v1/classify", {"input": [item["image"] for item in items], **asked})
        rows += [
            {"name": source.name, "scores": _by_label(item)} for source, item in zip(batch, answer["data"], strict=True)
        ]
    outputs.write(rows, options.output)


def _health(options: argparse.Namespace, api: Api) -> None:
    print(json.dumps(api.get("/health?deep=true" if options.deep else "/health"), indent=1, ensure_ascii=False))


def _model(options: argparse.Namespace) -> dict[str, str]:
    return {"model": options.model} if options.model else {}


def _by_label(item: dict[str, Any]) -> dict[str, float]:
    return {prediction["label"]: prediction["score"] for prediction in item["predictions"]}


def _progress(found: list[Source], size: int) -> Iterator[tuple[list[Source], list[dict[str, Any]]]]:
    """Go through the batches under a bar that counts items; a few are not worth one."""
    with tqdm(total=len(found), unit="item", disable=len(found) <= size or None) as bar:
        for batch, items in batches(found, size):
            yield batch, items
            bar.update(len(batch))
