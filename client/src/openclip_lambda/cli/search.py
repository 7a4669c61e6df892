"""`openclip-lambda search`: a text or an image over the saved output of `embed`."""

import argparse
import base64
from pathlib import Path
from typing import Any

from openclip_lambda.api import Api
from openclip_lambda.bulk.files import read_image
from openclip_lambda.bulk.tables import EMBEDDINGS, to_json
from openclip_lambda.bulk.terminal import print_bytes, printable, say
from openclip_lambda.cli.options import api_of, api_options
from openclip_lambda.cli.parser import number
from openclip_lambda.errors import ClientError, InputError, ResponseError
from openclip_lambda.images import Scaling, prepared
from openclip_lambda.responses import Results
from openclip_lambda.search import page, rank, saved
from openclip_lambda.search.page import Found
from openclip_lambda.search.saved import Saved


def add_search(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("search", parents=[api_options()], help="the nearest rows of a saved output")
    parser.add_argument("saved", type=Path, help=f"what `embed --output` wrote: {', '.join(EMBEDDINGS)}")
    query = parser.add_mutually_exclusive_group(required=True)
    query.add_argument("text", nargs="?", help="what to look for, in words")
    query.add_argument("--image", help="what to look for, as an image file")
    parser.add_argument("--top", type=number(1, 1000), default=12, metavar="N", help="default: %(default)s")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with thumbnails, too")
    parser.add_argument("--other-bundle", action="store_true", help="allow an API whose bundle was built anew since")
    parser.set_defaults(run=_search)


def _search(options: argparse.Namespace) -> int:
    rows = saved.load(options.saved)
    if options.html:
        page.check(options.html)
    vector = _embedded(api_of(options), rows, options)
    best = rank.nearest(rows.vectors, vector, options.top)
    found = [Found(rows.names[place], score, rows.place(rows.names[place])) for place, score in best]
    query = options.image or options.text
    if options.html:
        about = f"{len(found):,} of {len(rows.names):,} in {rows.path}, by {rows.model or 'an unnamed model'}"
        page.write(options.html, query, Path(options.image) if options.image else None, about, found)
    if options.json:
        listed = [{"name": one.name, "score": round(one.score, 6)} for one in found]
        told = {"query": query, "model": rows.model, "results": listed, "html": str(options.html or "") or None}
        print_bytes(to_json(told) + b"\n")
    else:
        lines = [f"{one.score:6.3f}  {printable(one.name)}\n" for one in found]
        print_bytes("".join(lines).encode())
        if options.html:
            say(f"thumbnails are in {options.html}: open it in a browser")
    return 0


def _embedded(api: Api, rows: Saved, options: argparse.Namespace) -> Any:
    """Return the query's embedding, float32 [D], of the model that the rows are of. Raises ClientError otherwise."""
    if options.image:
        try:
            data = prepared(read_image(options.image), options.image, Scaling())
        except InputError as error:
            raise InputError(f"{options.image}: {error}") from error
        item = {"image": base64.b64encode(data).decode("ascii")}
    else:
        item = {"text": options.text}
    if rows.model is None:
        say(f"{rows.path} does not say which model it is of: the API's first is taken")
    results = Results()
    results.expect(None, None if options.other_bundle else rows.manifest, rows.vectors.shape[1])
    body = {"input": [item], "encoding_format": "base64", **({"model": rows.model} if rows.model else {})}
    try:
        (result,) = results.embeddings(api.post("/v1/embeddings", body), 1)
    except ResponseError as error:
        raise _explained(error, rows) from error
    if isinstance(result, InputError):
        raise result
    if results.full:
        say("note: the text reached the model's context length: tokens beyond it were not read")
    if rows.model and results.model not in (None, rows.model):
        raise ClientError(f"{rows.path} is of {rows.model}, the API answers with {results.model}: embed again")
    return result["embedding"]


def _explained(error: ResponseError, rows: Saved) -> ClientError:
    if error.code == "model_not_found":
        return ClientError(f"{rows.path} is of {rows.model}, which this API does not have: {error.reason}. Embed again")
    if error.status == 200 and "the bundle" in str(error):
        return ClientError(
            f"{rows.path} was made by another bundle ({rows.manifest}) than the one that answers now: embed again, or "
            "give --other-bundle where you know that it has the same weights"
        )
    if error.status == 200 and "dimensions" in str(error):
        return ClientError(f"{rows.path} is of another model than the one that answers ({error}): embed again")
    return error
