"""Check a bundle with the code that ships, as the builder does and as the image's build does.

`python -m handler.selfcheck --bundle DIR` prints one JSON document and exits with 1 when anything differs.
"""

import argparse
import json
import os
import sys


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m handler.selfcheck", description=__doc__)
    parser.add_argument("--bundle", help="the bundle's directory (default: OPENCLIP_BUNDLE_DIR)")
    parser.add_argument(
        "--samples", help="a JSON file in the form of the manifest's golden vectors, to be used instead"
    )
    arguments = parser.parse_args()
    if arguments.bundle:
        os.environ["OPENCLIP_BUNDLE_DIR"] = arguments.bundle
    from handler import app  # after the environment: importing it reads the settings

    if arguments.samples:
        from handler.golden import compare
        from handler.manifest import Golden

        with open(arguments.samples, encoding="utf-8") as stream:  # noqa: PTH123 - pathlib is 5 ms of a cold start
            samples = Golden(**json.load(stream))
        report = compare(app.SERVICE.models.manifest, app.SERVICE.models, samples)
    else:
        event = {"version": "2.0", "rawPath": "/health", "rawQueryString": "deep=true"}
        event["requestContext"] = {"http": {"method": "GET", "path": "/health"}}  # type: ignore[assignment]
        report = json.loads(app.lambda_handler(event, None)["body"])
    print(json.dumps(report, indent=1))
    return 0 if report.get("ok") else 1


if __name__ == "__main__":
    sys.exit(_main())
