"""Arguments that several commands have, and the API that they name."""

import argparse
import os

from openclip_lambda import credentials
from openclip_lambda.api import Api
from openclip_lambda.bulk.terminal import say
from openclip_lambda.cli.parser import Parser
from openclip_lambda.errors import ClientError, ResponseError


def api_options() -> Parser:
    """Return the arguments that name an API, as a parent of commands' parsers."""
    parser = Parser(add_help=False)
    parser.add_argument("--url", default=os.environ.get("OPENCLIP_URL"), help="the stack's output Url (OPENCLIP_URL)")
    # From the environment rather than from an argument, which other users of the machine can see.
    parser.add_argument("--api-key", default=os.environ.get("OPENCLIP_API_KEY"), help="or a JWT (OPENCLIP_API_KEY)")
    parser.add_argument("--sigv4", action="store_true", help="sign with the AWS credentials found here (auth=iam)")
    parser.add_argument("--region", help="of the API, for --sigv4; default: its address's, or the environment's")
    parser.add_argument("--insecure-http", action="store_true", help="allow http:// to another machine: unencrypted")
    parser.add_argument("--json", action="store_true", help="print one JSON document for programs")
    return parser


def api_of(options: argparse.Namespace) -> Api:
    """Return the API that the arguments name. Raises ClientError where they name none that can be used."""
    if not options.url:
        raise ClientError("no address: give --url, or set OPENCLIP_URL to the stack's output Url")
    sign: credentials.Sign = credentials.unsigned
    if options.sigv4:
        sign = credentials.signature(options.region, options.url)
    elif options.api_key:
        sign = credentials.bearer(options.api_key)
    api = Api(options.url, sign, options.insecure_http)
    api.on_retry = _say_if_no_response
    return api


def _say_if_no_response(error: ResponseError, seconds: float) -> None:
    if error.status == 0:  # a busy API is not worth a line each time
        say(f"{error}: trying again in {seconds:g} s")
