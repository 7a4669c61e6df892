"""`python -m devserver --port 8080`: the same lambda_handler on localhost. Not shipped to Lambda.

It behaves as an HTTP API in front of one execution environment: one request at a time, Lambda's limits on size.
"""

import argparse
import os
import signal
import socket
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

from console.parser import Parser, port
from console.preflight import stop_at_once
from console.run import run
from devserver.other_sites import OtherSites, is_loopback
from devserver.remote import address
from devserver.server import RequestHandler
from handler.errors import StartError


class Server(ThreadingHTTPServer):
    """A thread for each connection. Many may wait to be accepted: of a burst, the default of 5 resets the others."""

    request_queue_size = 1024  # Linux takes no more than net.core.somaxconn of it

    def __init__(self, host: str, number: int) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, number), RequestHandler)


def main(arguments: list[str] | None = None, prog: str = "python -m devserver") -> int:
    """Serve until SIGTERM or SIGINT, letting a running invocation end. Returns the exit status."""
    return run(lambda: _command(arguments, prog), (StartError,))


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=port, default=8080, help="0 takes a free one and prints it (default: 8080)")
    parser.add_argument("--api-key", type=_key, help="ask for `Authorization: Bearer ...` as a deployed API does")
    parser.add_argument(
        "--index",
        type=os.path.expanduser,
        default=os.environ.get("OPENCLIP_INDEX", ""),
        help="serve /v1/search and /v1/index too, over this directory or s3://bucket/prefix (OPENCLIP_INDEX)",
    )
    parser.add_argument("--images", type=Path, help="the folder that was indexed: a result's file can be looked at")
    parser.add_argument(
        "--function",
        type=address,
        help="a function under AWS's runtime interface emulator, as http://function:8080: it is sent the events, and "
        "nothing is loaded here",
    )
    parser.add_argument("--extensions", type=Path, help="a directory with code of your own (OPENCLIP_EXTENSIONS)")
    return parser


def _key(text: str) -> str:
    """Read a key, for `type=`; argparse tells what is wrong, without the key."""
    if text and text == text.strip() and all(" " <= letter <= "~" for letter in text):
        return text
    fault = "begins or ends with a space, or has a character that a header cannot have" if text else "is empty"
    raise argparse.ArgumentTypeError(f"the key {fault}: give another, or leave --api-key out to ask for none")


def _command(arguments: list[str] | None, prog: str) -> int:
    parser = _parser(prog)
    options = parser.parse_args(arguments)
    if options.function and options.index:
        parser.error("--index is served by the handler in this process, and --function says that there is none")
    if options.function and options.extensions:
        parser.error("--extensions runs in this process, and --function says that nothing does: package it instead")
    if options.images and not (options.index and options.images.is_dir()):
        parser.error("--images names the folder whose index --index is: give both, and a folder that is there")
    RequestHandler.api_key = options.api_key or ""
    if options.index:
        os.environ["OPENCLIP_SEARCH"] = "true"  # the playground's tab
    if options.extensions:
        os.environ["OPENCLIP_EXTENSIONS"] = str(options.extensions)
    server = Server(options.host, options.port)  # before a model is loaded in vain
    if options.function:
        RequestHandler.remote = options.function
    else:
        before = signal.signal(signal.SIGINT, stop_at_once)
        try:
            _load(server, options)
        finally:
            signal.signal(signal.SIGINT, before)
    if is_loopback(str(server.server_address[0])) and not options.api_key:
        RequestHandler.other_sites = OtherSites(options.host, _origins(options))
    for number in (signal.SIGTERM, signal.SIGINT):
        # In a thread of its own: shutdown waits for serve_forever, which runs in the one that gets the signal.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    host = f"[{options.host}]" if ":" in options.host else options.host
    print(f"serving on http://{host}:{server.server_port}", flush=True)
    print("open it in a browser for the playground; /docs describes the API", flush=True)
    server.serve_forever(poll_interval=0.1)
    RequestHandler.environment.shutdown()
    server.server_close()
    return 0


def _origins(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the origins whose pages may call: a function elsewhere has settings of its own, and no index."""
    if options.function:
        return ("*",)
    from handler.app import SERVICE  # imported by `_load`; here it is only looked up

    return tuple(SERVICE.settings.cors_origins)


def _load(server: Server, options: argparse.Namespace) -> None:
    """Run the handler's init phase in this process. Raises StartError."""
    from handler.app import SERVICE  # after the arguments: importing it is the init phase

    if SERVICE.models_or_none is None:  # its reason is logged
        server.server_close()
        fix = "set OPENCLIP_BUNDLE_DIR to a bundle (`python -m layer build` makes one)"
        of_own_code = "handler_ext" in (SERVICE.problem or "")
        raise StartError("nothing is served, for the reason above" + ("" if of_own_code else f": {fix}"))
    if options.index:
        from devserver.search import local  # late: who serves no index needs no LanceDB

        RequestHandler.search = local(options.index, options.images, os.environ)
