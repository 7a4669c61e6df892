"""Check a bundle with the code that ships, as the builder does and as the image's build does.

`python -m handler.selfcheck --bundle DIR` prints one JSON document, and exits with 1 if anything differs. With
`--requests` it reads the body of a direct Invoke from each line of standard input, and writes the response as a line of
standard output. The builder uses that to measure the shipped code on the user's own images.
"""

import argparse
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def main(arguments: list[str] | None = None) -> int:
    """Print the report of one bundle; returns the exit status. If the check fails, the report has the reason."""
    try:
        report = _report(arguments)
    except Exception as error:  # noqa: BLE001 - the report is where the error is told
        report = {"ok": False, "reason": f"{type(error).__name__}: {error}: check --bundle and --samples"}
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    try:
        print(json.dumps(report, indent=1), flush=True)
    except OSError as error:
        with contextlib.suppress(OSError):  # otherwise Python writes the rest at exit, and fails again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(
            f"error: standard output cannot be written ({error.strerror}): redirect it to another place",
            file=sys.stderr,
        )
        return 1
    return 0 if report.get("ok") else 1


def _report(given: list[str] | None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m handler.selfcheck", description=__doc__)
    parser.add_argument("--bundle", help="the bundle's directory (default: OPENCLIP_BUNDLE_DIR)")
    parser.add_argument(
        "--samples", help="a JSON file in the form of the manifest's golden vectors, to be used instead"
    )
    parser.add_argument("--requests", action="store_true", help="answer the JSON bodies that standard input has")
    arguments = parser.parse_args(given)
    if arguments.bundle:
        os.environ["OPENCLIP_BUNDLE_DIR"] = arguments.bundle
    with contextlib.redirect_stdout(sys.stderr):  # what code of the deployment's own prints is no part of the report
        return _checked(arguments)


def _checked(arguments: argparse.Namespace) -> dict[str, Any]:
    from handler import app  # after the environment: importing it reads the settings

    if arguments.requests:
        return _answer(app.lambda_handler)
    if arguments.samples:
        from handler.golden import compare
        from handler.manifest import Golden

        with open(arguments.samples, encoding="utf-8") as stream:  # noqa: PTH123 - pathlib is 5 ms of a cold start
            samples = Golden(**json.load(stream))
        return compare(app.SERVICE.models.manifest, app.SERVICE.models, samples)
    event: dict[str, Any] = {"version": "2.0", "rawPath": "/health", "rawQueryString": "deep=true", "openclip": "check"}
    event["requestContext"] = {"http": {"method": "GET", "path": "/health"}}
    report: dict[str, Any] = json.loads(app.lambda_handler(event, None)["body"])
    return report


def _answer(handle: "Callable[[Any, Any], dict[str, Any]]") -> dict[str, Any]:
    """Answer each line with a line. Everything else that prints to standard output, as the metrics, goes to stderr."""
    answers, count = os.fdopen(os.dup(1), "w", encoding="utf-8"), 0
    os.dup2(2, 1)
    with answers:
        for count, line in enumerate(sys.stdin, 1):  # noqa: B007 - counted
            answers.write(json.dumps(handle(json.loads(line), None)) + "\n")
            answers.flush()
    return {"ok": True, "answered": count}


if __name__ == "__main__":
    sys.exit(main())
